"""Every event that a space tells: its name, what it carries, to whom, and an example. Pure.

The one source of the envelopes that are sent (`signalling.feeds`) and of their description (`signalling.web.asyncapi`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import Meta, Struct

from signalling.permissions import Role
from signalling.resources import Counts, ParticipantResource, SpaceResource, Timestamp

MAX_CAPTION_CHARACTERS: Final = 300
"""Two lines on a screen are 84 characters; a recogniser's longest sentence fits."""

LANGUAGE_PATTERN: Final = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$"
"""The tags of BCP 47 that name a language in use; no private or grandfathered ones."""

Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class You(Struct, frozen=True, kw_only=True):
    identity: str
    role: Role
    is_muted: bool
    is_self_muted: bool = False
    is_invited: bool = False
    is_followed: bool = False
    """The host follows you, so you may come on stage where `speak` is `followed`."""
    blocked_on_stage: list[str] = []
    """People whom you have blocked and who may be heard now."""


class Invitation(Struct, frozen=True):
    role: Literal["speaker", "cohost"]


RemovalReason = Literal["removed", "blocked", "banned", "ticket_revoked"]


class Removal(Struct, frozen=True):
    reason: RemovalReason


class HostGone(Struct, frozen=True):
    ends_at: Timestamp
    """Unless a host or cohost is back by then."""


class Voice(Struct, frozen=True):
    identity: str
    level_dbov: int


class Link(Struct, frozen=True, kw_only=True):
    """A link pinned to the stage."""

    id: str
    url: str
    title: str
    added_by: str
    added_at: Timestamp


class Caption(Struct, frozen=True, kw_only=True):
    """A line of what is said. One that is not final is replaced by the next of the same identity."""

    identity: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    """Whose words; null where that is not known."""
    text: Annotated[str, Meta(min_length=1, max_length=MAX_CAPTION_CHARACTERS, pattern=r"\S")]
    is_final: bool = True
    language: Annotated[str, Meta(pattern=LANGUAGE_PATTERN, description="BCP 47")] | None = None
    start_ms: Milliseconds | None = None
    """When it was begun to be said, since 1970."""
    duration_ms: Milliseconds | None = None


class SnapshotEvent(Struct, frozen=True, kw_only=True):
    """The first event of a stream, and again whenever a slow reader missed too many.

    `participants` are those on stage, moderators and raised hands; the audience is counted, not listed. `captions` are
    the last final lines, the oldest first.
    """

    epoch: str = ""
    """The first part of this stream's cursors; another one after a restart of the server."""
    space: SpaceResource
    participants: list[ParticipantResource]
    you: You
    links: list[Link] = []
    captions: list[Caption] = []


class Resumed(Struct, frozen=True):
    """The first event of a stream that goes on where an earlier one broke off; what was missed follows."""

    epoch: str
    events: int


class Left(Struct, frozen=True):
    identity: str


class ParticipantsChanged(Struct, frozen=True):
    """What happened to several people within a moment: first take away `left`, then put in `participants`."""

    participants: list[ParticipantResource]
    left: list[str]


class SpeakersChanged(Struct, frozen=True):
    speakers: list[Voice]


class Reactions(Struct, frozen=True):
    counts: dict[str, int]


class LinksChanged(Struct, frozen=True):
    links: list[Link]


class ServerDraining(Struct, frozen=True):
    """Who is in may stay until `ends_at`; nobody new is taken in meanwhile."""

    ends_at: Timestamp
    reconnect_within_s: Annotated[int, Meta(ge=0)]
    """When the session ends, come back at a random moment of so many seconds: not all at once."""


class Nothing(Struct, frozen=True):
    pass


EventType = Literal[
    "participant.joined",
    "participant.left",
    "participant.changed",
    "participants.changed",
    "counts",
    "speakers.changed",
    "reactions",
    "caption",
    "links.changed",
    "space.changed",
    "space.started",
    "space.host_gone",
    "space.host_back",
    "space.cancelled",
    "space.ended",
    "server.draining",
]
"""Told to everyone who watches the space."""

NoticeType = Literal["you.changed", "you.removed", "you.invited", "you.hand_declined"]
"""Told to the streams of one identity."""

OpeningType = Literal["snapshot", "resumed"]
"""How a stream begins."""

Payload = (
    ParticipantResource
    | ParticipantsChanged
    | Left
    | Counts
    | SpeakersChanged
    | Reactions
    | Caption
    | LinksChanged
    | SpaceResource
    | ServerDraining
    | You
    | Invitation
    | Removal
    | HostGone
    | Nothing
)


class Envelope(Struct, frozen=True):
    """One event. `seq` grows along a stream; numbers are missing where others were told something alone."""

    type: str
    seq: int
    ts: str
    space: str
    data: Payload | SnapshotEvent | Resumed


class Kind(Struct, frozen=True):
    """A row of the catalogue."""

    payload: type
    summary: str
    example: Any


_ADA: Final = {
    "identity": "ada",
    "name": "Ada",
    "role": "host",
    "is_muted": False,
    "is_self_muted": False,
    "is_speaking": False,
    "is_connected": True,
    "level_dbov": -127,
    "has_raised_hand": False,
    "hand_raised_at": None,
    "is_invited": False,
    "joined_at": "2026-11-21T17:00:00.000Z",
}
_BOB: Final = {**_ADA, "identity": "bob", "name": "Bob", "role": "speaker", "is_muted": True}
_LINK: Final = {
    "id": "f3a9c1d2",
    "url": "https://palco.example/agenda",
    "title": "Agenda",
    "added_by": "ada",
    "added_at": "2026-11-21T17:03:00.000Z",
}
_LINE: Final = {
    "identity": "ada",
    "text": "Welcome, everybody.",
    "is_final": True,
    "language": "en",
    "start_ms": 1795280580000,
    "duration_ms": 1200,
}
_COUNTS: Final = {"speakers": 2, "listeners": 340, "hidden": 12, "live": 342, "total": 401, "peak": 355}
_SPACE: Final = {
    "id": "town-hall",
    "title": "Town hall",
    "description": "Questions and answers.",
    "topics": ["community"],
    "language": "en",
    "state": "live",
    "audience": "mix",
    "speak": "invited",
    "entry": "open",
    "host": "ada",
    "host_name": "Ada",
    "url": "https://palco.example/#space=town-hall",
    "created_at": "2026-11-20T09:00:00.000Z",
    "starts_at": "2026-11-21T17:00:00.000Z",
    "started_at": "2026-11-21T17:00:00.000Z",
    "ended_at": None,
    "end_reason": None,
    "ends_at": None,
    "max_speakers": 10,
    "max_cohosts": 2,
    "ticket": None,
    "is_recorded": False,
    "counts": _COUNTS,
}
_BEFORE: Final = {**_SPACE, "state": "scheduled", "started_at": None}
_AFTER: Final = {"ended_at": "2026-11-21T18:00:00.000Z", "ends_at": None}
_YOU: Final = {
    "identity": "bob",
    "role": "speaker",
    "is_muted": True,
    "is_self_muted": False,
    "is_invited": False,
    "is_followed": True,
    "blocked_on_stage": [],
}
_SNAPSHOT: Final = {
    "epoch": "m3k9x2ab",
    "space": _SPACE,
    "participants": [_ADA, _BOB],
    "you": _YOU,
    "links": [_LINK],
    "captions": [_LINE],
}

EVENTS: Final[Mapping[str, Kind]] = {
    "snapshot": Kind(SnapshotEvent, "The space as it is.", _SNAPSHOT),
    "resumed": Kind(
        Resumed, "Nothing was lost since the cursor: so many events follow.", {"epoch": "m3k9x2ab", "events": 3}
    ),
    "participant.joined": Kind(ParticipantResource, "Somebody came on stage, or with a title.", _BOB),
    "participant.changed": Kind(
        ParticipantResource, "A role, a mute, a hand or a connection is different.", {**_BOB, "is_muted": False}
    ),
    "participant.left": Kind(Left, "Somebody who was shown has gone.", {"identity": "bob"}),
    "participants.changed": Kind(
        ParticipantsChanged, "As the three above, of several people at once.", {"participants": [_ADA], "left": ["bob"]}
    ),
    "counts": Kind(Counts, "How many speak and listen; once a second at most.", _COUNTS),
    "speakers.changed": Kind(
        SpeakersChanged,
        "Who is heard now, the loudest first; four times a second at most.",
        {"speakers": [{"identity": "ada", "level_dbov": -23}]},
    ),
    "reactions": Kind(Reactions, "How many of each since the last such event; once a second.", {"counts": {"👏": 12}}),
    "caption": Kind(Caption, "A line of what is said, on the way or final.", _LINE),
    "links.changed": Kind(LinksChanged, "The links that are pinned now, in order.", {"links": [_LINK]}),
    "space.changed": Kind(SpaceResource, "Something about the space itself is different.", _SPACE),
    "space.started": Kind(SpaceResource, "A scheduled space is live.", _SPACE),
    "space.host_gone": Kind(
        HostGone, "Nobody is left to host; the space will end.", {"ends_at": "2026-11-21T18:05:00.000Z"}
    ),
    "space.host_back": Kind(Nothing, "A host or cohost is here again; the space goes on.", {}),
    "space.cancelled": Kind(
        SpaceResource,
        "A scheduled space will not take place; the stream ends.",
        {**_BEFORE, **_AFTER, "state": "cancelled", "end_reason": "cancelled"},
    ),
    "space.ended": Kind(
        SpaceResource,
        "The space is over, and so is the stream.",
        {**_SPACE, **_AFTER, "state": "ended", "end_reason": "ended"},
    ),
    "server.draining": Kind(
        ServerDraining,
        "The server goes out of service: stay while you can, then come back after a delay drawn at random.",
        {"ends_at": "2026-11-21T18:00:00.000Z", "reconnect_within_s": 10},
    ),
    "you.changed": Kind(You, "To you: your role or mute is different.", {**_YOU, "is_muted": False}),
    "you.invited": Kind(Invitation, "To you: you may come on stage; accept or decline.", {"role": "speaker"}),
    "you.hand_declined": Kind(Nothing, "To you: a moderator has answered your hand with no.", {}),
    "you.removed": Kind(Removal, "To you: you are out, and why; the stream ends.", {"reason": "removed"}),
}

PERSONAL: Final = frozenset(get_args(NoticeType))
