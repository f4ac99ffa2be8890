"""What a space asks of the world outside it: the effects of `signalling.spaces`. Pure.

They are carried out in this order, whatever their order in the list: `Tell` (so that the data plane obeys first), then
what the store keeps, then what people are told.
"""

from typing import Literal

from msgspec import Struct

from sfu.contract.messages import Command
from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord
from signalling.resources import (
    Counts,
    Left,
    Nothing,
    ParticipantResource,
    Reactions,
    SpaceResource,
    SpeakersChanged,
    You,
)

EventType = Literal[
    "participant.joined",
    "participant.left",
    "participant.changed",
    "counts",
    "speakers.changed",
    "reactions",
    "space.changed",
    "space.ended",
]
NoticeType = Literal["you.changed", "you.removed", "you.invited"]
Payload = ParticipantResource | Left | Counts | SpeakersChanged | Reactions | SpaceResource | You | Nothing


class Tell(Struct, frozen=True):
    """A command for the sfu."""

    command: Command


class KeepSpace(Struct, frozen=True):
    record: SpaceRecord


class KeepStanding(Struct, frozen=True):
    record: StandingRecord


class KeepExclusion(Struct, frozen=True):
    record: ExclusionRecord


class Announce(Struct, frozen=True):
    """An event for everyone who watches the space."""

    type: EventType
    payload: Payload


class Notify(Struct, frozen=True):
    """An event for the streams of one identity."""

    identity: str
    type: NoticeType
    payload: Payload


class Eject(Struct, frozen=True):
    """Close the event streams of one identity; None closes them all."""

    identity: str | None


Effect = Tell | KeepSpace | KeepStanding | KeepExclusion | Announce | Notify | Eject
