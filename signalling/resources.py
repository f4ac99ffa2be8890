"""What the HTTP API and the events show: the types from which their descriptions are generated. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from sfu.contract.messages import Audience
from signalling.permissions import Role
from signalling.records import EndReason, Entry, SpaceRecord, Speak, State, TicketRecord, TicketTerms

SPACE_ID_PATTERN = "^[a-z0-9][a-z0-9-]{1,62}$"
MAX_ON_STAGE = 13
"""Host, cohosts and speakers together."""
SILENCE_DBOV = -127
"""The lowest level that RFC 6464 can say."""

SpaceId = Annotated[str, Meta(pattern=SPACE_ID_PATTERN, description="Lower-case letters, digits and hyphens, 2 to 63.")]
Title = Annotated[str, Meta(min_length=1, max_length=70, pattern=r"\S")]
TypedTitle = Annotated[str, Meta(min_length=1, max_length=1000, description="At most 70 characters when trimmed.")]
Words = Annotated[str, Meta(max_length=5000, description="At most 1000 characters when trimmed.")]
Topics = Annotated[
    list[str], Meta(max_length=64, description="At most three of those that the operator has (spaces.topics).")
]
Language = Annotated[str, Meta(max_length=200, description="BCP 47.")]
Identity = Annotated[str, Meta(min_length=1, max_length=128)]
WITHOUT_NUL = r"^[^\x00]*$"
"""What PostgreSQL can keep."""
Why = Annotated[str, Meta(max_length=280, pattern=WITHOUT_NUL, description="Kept in the audit trail.")]
Timestamp = Annotated[str, Meta(description="RFC 3339, in UTC.", extra_json_schema={"format": "date-time"})]


class Counts(Struct, frozen=True, kw_only=True):
    speakers: int
    """On stage."""
    listeners: int
    """Everybody else who is connected, hidden ones included."""
    hidden: int = 0
    """Of those, how many are not listed."""
    live: int = 0
    """All who are in now."""
    total: int = 0
    """Different people who have ever been in."""
    peak: int = 0
    """Most people at one time."""


class SpaceResource(Struct, frozen=True, kw_only=True):
    id: SpaceId
    title: Title
    description: str = ""
    topics: list[str] = []
    language: str | None = None
    state: State
    audience: Audience
    speak: Speak = "invited"
    entry: Entry = "open"
    host: str
    host_name: str = ""
    url: str = ""
    """Where people go; it can be shared before the start."""
    created_at: Timestamp
    starts_at: Timestamp | None = None
    started_at: Timestamp | None = None
    ended_at: Timestamp | None = None
    end_reason: EndReason | None = None
    ends_at: Timestamp | None = None
    """When it will end unless a host or cohost is back by then; null while one is here."""
    max_speakers: int
    """On stage beside the host and cohosts."""
    max_cohosts: int = 2
    ticket: TicketTerms | None = None
    """What one needs to come in; null where nobody needs any."""
    is_recorded: bool = False
    """There is a session whose token has the grant `recorder`."""
    counts: Counts


class SpaceList(Struct, frozen=True):
    spaces: list[SpaceResource]


class CreateSpace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    title: TypedTitle
    id: SpaceId | None = None
    description: Words = ""
    topics: Topics = []
    language: Language | None = None
    audience: Audience = "mix"
    speak: Speak = "invited"
    entry: Entry = "open"
    starts_at: Timestamp | None = None
    """Null begins now."""
    max_speakers: Annotated[int, Meta(ge=1, le=MAX_ON_STAGE - 1)] | None = None
    ticket: TicketTerms | None = None


class EditSpace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays as it is."""

    title: TypedTitle | UnsetType = UNSET
    description: Words | UnsetType = UNSET
    topics: Topics | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET
    audience: Audience | UnsetType = UNSET
    speak: Speak | UnsetType = UNSET
    entry: Entry | UnsetType = UNSET
    starts_at: Timestamp | UnsetType = UNSET
    max_speakers: Annotated[int, Meta(ge=1, le=MAX_ON_STAGE - 1)] | UnsetType = UNSET
    ticket: TicketTerms | UnsetType | None = UNSET


class ParticipantResource(Struct, frozen=True, kw_only=True):
    identity: str
    name: str
    role: Role
    is_muted: bool
    """By a host or cohost, who alone can lift it."""
    is_self_muted: bool = False
    """By themselves, or since they came on stage: theirs alone to lift."""
    is_speaking: bool = False
    is_connected: bool
    level_dbov: Annotated[int, Meta(ge=SILENCE_DBOV, le=0)] = SILENCE_DBOV
    has_raised_hand: bool
    hand_raised_at: Timestamp | None = None
    is_invited: bool = False
    """To the stage, and has not answered yet."""
    joined_at: Timestamp


class ParticipantList(Struct, frozen=True):
    """People on stage first, then the others in the order of their coming."""

    participants: list[ParticipantResource]


class WithReason(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of an act that may say why; the audit trail keeps it."""

    reason: Why = ""


class Promote(WithReason, frozen=True, forbid_unknown_fields=True):
    role: Literal["speaker", "cohost"] = "speaker"


class Invite(WithReason, frozen=True, forbid_unknown_fields=True):
    role: Literal["speaker", "cohost"] = "speaker"


class Hand(Struct, frozen=True):
    identity: str
    name: str
    raised_at: Timestamp


class Hands(Struct, frozen=True):
    """First raised, first in the list."""

    hands: list[Hand]


class Block(Struct, frozen=True):
    identity: str
    at: Timestamp


class Blocks(Struct, frozen=True):
    blocks: list[Block]


class TicketFor(Struct, frozen=True, forbid_unknown_fields=True):
    identity: Identity


class TicketResource(Struct, frozen=True, kw_only=True):
    id: str
    identity: str
    issued_at: Timestamp
    used_at: Timestamp | None = None
    """The first time that its holder came in."""
    revoked_at: Timestamp | None = None


class TicketList(Struct, frozen=True):
    """In the order in which they were issued."""

    tickets: list[TicketResource]


class MutedIdentities(Struct, frozen=True):
    muted: list[str]


class React(Struct, frozen=True, forbid_unknown_fields=True):
    emoji: Annotated[str, Meta(min_length=1, max_length=16)]


class Problem(Struct, frozen=True):
    """An error (RFC 9457). Some carry more members: `section`, `missing_permission`, `limit` and the like."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    rule: str = ""
    """What refused it."""
    remedy: str = ""
    """How to get it allowed, where there is a way."""


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


def timestamp_or_none(moment_s: float | None) -> str | None:
    return None if moment_s is None else timestamp(moment_s)


def is_space_id(text: str) -> bool:
    """Whether a space may be called so; anything may stand in a URL."""
    return re.fullmatch(SPACE_ID_PATTERN.removesuffix("$"), text) is not None


def share_url(base: str, space: str) -> str:
    """Where the page shows `space`, on the server that people reach at `base`."""
    return f"{base.rstrip('/')}/#space={space}"


def space_resource(
    record: SpaceRecord,
    counts: Counts | None = None,
    *,
    url: str,
    ends_at_s: float | None = None,
    is_recorded: bool = False,
) -> SpaceResource:
    """A space as the API shows it, in any state; without `counts` nobody is in it."""
    return SpaceResource(
        id=record.space,
        title=record.title,
        description=record.description,
        topics=record.topics,
        language=record.language,
        state=record.state,
        audience=record.audience,
        speak=record.speak,
        entry=record.entry,
        host=record.host,
        host_name=record.host_name,
        url=url,
        created_at=timestamp(record.created_at_s),
        starts_at=timestamp_or_none(record.starts_at_s),
        started_at=timestamp_or_none(record.started_at_s),
        ended_at=timestamp_or_none(record.ended_at_s),
        end_reason=record.end_reason,
        ends_at=timestamp_or_none(ends_at_s),
        max_speakers=record.max_speakers,
        max_cohosts=record.max_cohosts,
        ticket=record.ticket,
        is_recorded=is_recorded,
        counts=counts or Counts(speakers=0, listeners=0, total=record.total, peak=record.peak),
    )


def ticket_resource(record: TicketRecord) -> TicketResource:
    return TicketResource(
        id=record.ticket,
        identity=record.identity,
        issued_at=timestamp(record.issued_at_s),
        used_at=timestamp_or_none(record.used_at_s),
        revoked_at=timestamp_or_none(record.revoked_at_s),
    )
