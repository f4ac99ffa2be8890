"""What is kept for the safety of people: reports, bans and the audit trail, and how the API shows them. Pure."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from signalling.errors import CommandError
from signalling.resources import WITHOUT_NUL, Timestamp, Why, timestamp

MAX_REPORT_CHARACTERS: Final = 2000

ReportReason = Literal[
    "spam", "harassment", "hate", "violence", "self_harm", "illegal", "impersonation", "privacy", "other"
]
ReportState = Literal["open", "resolved"]
Resolution = Literal["no_action", "warned", "space_ended", "banned", "other"]

Identity = Annotated[str, Meta(min_length=1, max_length=128, pattern=WITHOUT_NUL)]


class AuditRecord(Struct, frozen=True, kw_only=True):
    """One act: who, whom, when, why. `upon` is empty for acts on a whole space, `space` for acts everywhere."""

    at_s: float
    space: str
    action: str
    by: str
    upon: str = ""
    reason: str = ""


class ReportRecord(Struct, frozen=True, kw_only=True):
    report: str
    at_s: float
    space: str
    reporter: str
    identity: str | None
    """Who is reported; None reports the space itself."""
    reason: ReportReason
    text: str
    state: ReportState = "open"
    resolution: Resolution | None = None
    resolved_by: str | None = None
    resolved_at_s: float | None = None


class BanRecord(Struct, frozen=True, kw_only=True):
    identity: str
    at_s: float
    by: str
    reason: str = ""


class Bans:
    """Whom the operator keeps out everywhere. The spaces and the door hold the same one."""

    def __init__(self, records: Iterable[BanRecord] = ()) -> None:
        self._records = {record.identity: record for record in records}

    def __iter__(self) -> Iterator[BanRecord]:
        return iter(self._records.values())

    def __contains__(self, identity: str) -> bool:
        return identity in self._records

    def add(self, record: BanRecord) -> None:
        self._records[record.identity] = record

    def lift(self, identity: str) -> None:
        self._records.pop(identity, None)

    def check(self, identity: str) -> None:
        """Raises CommandError `banned`."""
        if identity in self._records:
            raise CommandError("banned", f"the operator of this server has banned {identity!r}; ask the operator")


# How the API shows them


class FileReport(Struct, frozen=True, forbid_unknown_fields=True):
    reason: ReportReason
    identity: Identity | None = None
    """Whom the report is about; without it, it is about the space."""
    text: Annotated[str, Meta(max_length=MAX_REPORT_CHARACTERS, pattern=WITHOUT_NUL)] = ""


class ResolveReport(Struct, frozen=True, forbid_unknown_fields=True):
    resolution: Resolution
    reason: Why = ""


class ReportReceipt(Struct, frozen=True):
    """What the reporter gets: a number to refer to."""

    id: str
    created_at: Timestamp


class ReportResource(Struct, frozen=True, kw_only=True):
    id: str
    created_at: Timestamp
    space: str
    reporter: str
    identity: str | None
    reason: ReportReason
    text: str
    state: ReportState
    resolution: Resolution | None = None
    resolved_by: str | None = None
    resolved_at: Timestamp | None = None


class ReportPage(Struct, frozen=True):
    reports: list[ReportResource]
    next: str | None
    """The cursor of the next page; null on the last."""


class AuditResource(Struct, frozen=True, kw_only=True):
    at: Timestamp
    space: str
    action: str
    by: str
    upon: str
    reason: str


class AuditPage(Struct, frozen=True):
    """Newest first."""

    entries: list[AuditResource]
    next: str | None


class BanResource(Struct, frozen=True, kw_only=True):
    identity: str
    banned_at: Timestamp
    by: str
    reason: str


class BanList(Struct, frozen=True):
    bans: list[BanResource]


def report_resource(record: ReportRecord) -> ReportResource:
    return ReportResource(
        id=record.report,
        created_at=timestamp(record.at_s),
        space=record.space,
        reporter=record.reporter,
        identity=record.identity,
        reason=record.reason,
        text=record.text,
        state=record.state,
        resolution=record.resolution,
        resolved_by=record.resolved_by,
        resolved_at=None if record.resolved_at_s is None else timestamp(record.resolved_at_s),
    )


def audit_resource(record: AuditRecord) -> AuditResource:
    return AuditResource(
        at=timestamp(record.at_s),
        space=record.space,
        action=record.action,
        by=record.by,
        upon=record.upon,
        reason=record.reason,
    )


def ban_resource(record: BanRecord) -> BanResource:
    return BanResource(identity=record.identity, banned_at=timestamp(record.at_s), by=record.by, reason=record.reason)
