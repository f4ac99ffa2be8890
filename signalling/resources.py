"""What the HTTP API and the events show: the types from which their descriptions are generated. Pure."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from signalling.permissions import Role
from signalling.records import SpaceRecord

SPACE_ID_PATTERN = "^[a-z0-9][a-z0-9-]{1,62}$"
SILENCE_DBOV = -127
"""The lowest level that RFC 6464 can say."""

SpaceId = Annotated[str, Meta(pattern=SPACE_ID_PATTERN, description="Lower-case letters, digits and hyphens, 2 to 63.")]
Title = Annotated[str, Meta(min_length=1, max_length=70, pattern=r"\S")]
Timestamp = Annotated[str, Meta(description="RFC 3339, in UTC.", extra_json_schema={"format": "date-time"})]


class Counts(Struct, frozen=True):
    speakers: int
    """On stage."""
    listeners: int
    """Everybody else who is connected, hidden ones included."""


class SpaceResource(Struct, frozen=True):
    id: SpaceId
    title: Title
    state: Literal["live", "ended"]
    audience: Literal["forward"]
    host: str
    created_at: Timestamp
    max_speakers: int
    counts: Counts


class SpaceList(Struct, frozen=True):
    spaces: list[SpaceResource]


class CreateSpace(Struct, frozen=True, forbid_unknown_fields=True):
    title: Title
    id: SpaceId | None = None
    audience: Literal["forward"] = "forward"
    max_speakers: Annotated[int, Meta(ge=1, le=100)] | None = None


class EditSpace(Struct, frozen=True, forbid_unknown_fields=True):
    title: Title


class ParticipantResource(Struct, frozen=True, kw_only=True):
    identity: str
    name: str
    role: Role
    is_muted: bool
    is_speaking: bool = False
    is_connected: bool
    level_dbov: Annotated[int, Meta(ge=SILENCE_DBOV, le=0)] = SILENCE_DBOV
    has_raised_hand: bool
    joined_at: Timestamp


class ParticipantList(Struct, frozen=True):
    """People on stage first, then the others in the order of their coming."""

    participants: list[ParticipantResource]


class Promote(Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["speaker", "cohost"] = "speaker"


class MutedIdentities(Struct, frozen=True):
    muted: list[str]


class React(Struct, frozen=True, forbid_unknown_fields=True):
    emoji: Annotated[str, Meta(min_length=1, max_length=16)]


class You(Struct, frozen=True):
    identity: str
    role: Role
    is_muted: bool


class Voice(Struct, frozen=True):
    identity: str
    level_dbov: int


class SnapshotEvent(Struct, frozen=True):
    """The first event of a stream, and again whenever a slow reader missed some.

    `participants` are those on stage, moderators and raised hands; the audience is counted, not listed.
    """

    space: SpaceResource
    participants: list[ParticipantResource]
    you: You


class Left(Struct, frozen=True):
    identity: str


class SpeakersChanged(Struct, frozen=True):
    speakers: list[Voice]


class Reactions(Struct, frozen=True):
    counts: dict[str, int]


class Nothing(Struct, frozen=True):
    pass


class Problem(Struct, frozen=True):
    """An error (RFC 9457). Some carry more members: `section`, `missing_permission`, `limit` and the like."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class Readiness(Struct, frozen=True):
    status: Literal["ready", "not_ready"]
    reasons: list[str] = field(default_factory=list)


class DevTokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    space: SpaceId
    identity: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    role: Literal["host", "speaker", "listener"] = "listener"


class DevToken(Struct, frozen=True):
    token: str
    identity: str
    space: SpaceId


def timestamp(moment_s: float) -> str:
    """Seconds since 1970 as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def space_resource(record: SpaceRecord, counts: Counts) -> SpaceResource:
    """A space as the API shows it, live or ended."""
    return SpaceResource(
        id=record.space,
        title=record.title,
        state="live" if record.ended_at_s is None else "ended",
        audience=record.audience,
        host=record.host,
        created_at=timestamp(record.created_at_s),
        max_speakers=record.max_speakers,
        counts=counts,
    )
