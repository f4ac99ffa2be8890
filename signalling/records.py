"""What must outlive a process: spaces, what was decided about people, tickets, and who is kept out. Pure.

The store keeps these as they are; `signalling.spaces` reads them at the start and says when one has changed.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from sfu.contract.messages import Audience
from signalling.permissions import Role

State = Literal["scheduled", "live", "ended", "cancelled"]
EndReason = Literal["ended", "host_gone", "operator", "cancelled"]
"""Why a space is over: its host said so, nobody was left to host, the operator said so, or it never began."""

Speak = Literal["everyone", "followed", "invited"]
"""Who may come on stage without being asked: everyone, people whom the host follows, nobody."""

Entry = Literal["open", "muted"]
"""Whoever comes on stage switches on the microphone alone, or only once a host has allowed it."""


class TicketTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ticket of a space is; the price is for people to read, payment is the operator's."""

    capacity: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    """So many may hold one at a time; None for no limit."""
    price: Annotated[int, Meta(ge=0, le=2**53 - 1, description="In the currency's smallest unit: cents.")] = 0
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")] = "EUR"
    transferable: bool = False


class SpaceRecord(Struct, frozen=True, kw_only=True):
    space: str
    title: str
    audience: Audience
    host: str
    max_speakers: int
    """On stage beside the host and cohosts."""
    created_at_s: float
    ended_at_s: float | None = None
    host_name: str = ""
    description: str = ""
    topics: list[str] = []
    language: str | None = None
    speak: Speak = "invited"
    entry: Entry = "open"
    max_cohosts: int = 2
    starts_at_s: float | None = None
    """When it is to begin; None where it began at once."""
    started_at_s: float | None = None
    end_reason: EndReason | None = None
    has_been_hosted: bool = False
    """A host or cohost has been in it since it began."""
    hostless_since_s: float | None = None
    total: int = 0
    """Different people who have ever been in."""
    peak: int = 0
    """Most people at one time."""
    ticket: TicketTerms | None = None

    @property
    def state(self) -> State:
        if self.ended_at_s is not None:
            return "cancelled" if self.end_reason == "cancelled" else "ended"
        return "scheduled" if self.started_at_s is None else "live"

    @property
    def max_on_stage(self) -> int:
        """What the sfu enforces: host, cohosts and speakers together."""
        return 1 + self.max_cohosts + self.max_speakers


class StandingRecord(Struct, frozen=True):
    """What has been decided about an identity in a space, whether it is here or not."""

    identity: str
    role: Role | None = None
    """Given (`speaker`, `cohost`) or taken (`listener`); None leaves it to the token."""
    is_muted: bool = False
    """By a moderator, who alone lifts it."""
    is_self_muted: bool = False
    """By themselves, or by coming on stage; nobody else lifts it."""
    has_stepped_down: bool = False
    """The role was not taken: they left the stage by themselves and may come back as they came."""
    hand_raised_at_s: float | None = None
    invited_as: Role | None = None


class ExclusionRecord(Struct, frozen=True):
    """A removal, which refuses the tokens issued until then, or a block from this space, which refuses all."""

    identity: str
    at_s: float
    is_block: bool


class BlockRecord(Struct, frozen=True):
    """A host's block: it holds in every space of that host. None as time lifts it."""

    host: str
    identity: str
    at_s: float | None


class TicketRecord(Struct, frozen=True, kw_only=True):
    ticket: str
    identity: str
    """Who may come in by it."""
    issued_at_s: float
    used_at_s: float | None = None
    """The first join; from then on it is nobody else's."""
    revoked_at_s: float | None = None

    @property
    def is_valid(self) -> bool:
        return self.revoked_at_s is None


class LinkRecord(Struct, frozen=True, kw_only=True):
    """A link pinned to the stage."""

    link: str
    url: str
    title: str
    added_by: str
    added_at_s: float


class LinksRecord(Struct, frozen=True):
    """All links of a space, in order."""

    links: list[LinkRecord]


class Owner(Struct, frozen=True, array_like=True):
    """What the sfu keeps for us with a session, so that a restarted signalling server knows whose it is."""

    name: str
    authority: Literal["host", "cohost"] | None
    can_publish: bool
    is_hidden: bool
    issued_at_s: float | None
    joined_at_s: float
    mid: str
    """Of the section that carries the transport; an ICE restart's answer names it."""
    key: str = ""
    """The API key that signed the token."""
    is_followed: bool = False
    """The host follows them, by their token."""
    is_recorder: bool = False
    """By their token, the session is there to record."""
