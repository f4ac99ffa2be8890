"""What must outlive a process: spaces, given roles and mutes, and who is kept out. Pure.

The store keeps these as they are; `signalling.spaces` reads them at the start and says when one has changed.
"""

from typing import Literal

from msgspec import Struct

from signalling.permissions import Role

Audience = Literal["forward"]


class SpaceRecord(Struct, frozen=True, kw_only=True):
    space: str
    title: str
    audience: Audience
    host: str
    max_speakers: int
    created_at_s: float
    ended_at_s: float | None = None


class StandingRecord(Struct, frozen=True):
    """What the space's moderators have decided about an identity, whether it is here or not."""

    identity: str
    role: Role | None = None
    """Given (`speaker`, `cohost`) or taken (`listener`); None leaves it to the token."""
    is_muted: bool = False


class ExclusionRecord(Struct, frozen=True):
    """A removal, which refuses the tokens issued until then, or a block, which refuses all."""

    identity: str
    at_s: float
    is_block: bool


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
