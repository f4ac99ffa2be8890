"""What a space asks of the world outside it: the effects of `signalling.spaces`. Pure.

They are carried out in this order, whatever their order in the list: what the store keeps, so that whatever is in force
would be again after a crash; then `Tell` (while it is being kept, where it only restricts); then what people are told.
"""

from msgspec import Struct

from sfu.contract.messages import Command
from signalling.events import EventType, NoticeType, Payload
from signalling.records import (
    BlockRecord,
    ExclusionRecord,
    LinksRecord,
    SpaceRecord,
    StandingRecord,
    TicketRecord,
)
from signalling.safety import AuditRecord
from signalling.webhooks import Happening, StageTold


class Tell(Struct, frozen=True):
    """A command for the sfu."""

    command: Command


class KeepSpace(Struct, frozen=True):
    record: SpaceRecord


class KeepStanding(Struct, frozen=True):
    record: StandingRecord


class KeepExclusion(Struct, frozen=True):
    record: ExclusionRecord


class KeepBlock(Struct, frozen=True):
    """Of a host, in all of that host's spaces."""

    record: BlockRecord


class KeepTicket(Struct, frozen=True):
    record: TicketRecord


class KeepLinks(Struct, frozen=True):
    record: LinksRecord


class KeepAudit(Struct, frozen=True):
    """Who did it to whom, and why."""

    record: AuditRecord


class KeepHappening(Struct, frozen=True):
    """The operator's application is to be told."""

    record: Happening


class KeepStage(Struct, frozen=True):
    """What the application has been told of the stage."""

    record: StageTold


class Announce(Struct, frozen=True):
    """An event for everyone who watches the space."""

    type: EventType
    payload: Payload

    @property
    def is_passing(self) -> bool:
        """Whether it tells of a moment and of nothing that is decided, so that it waits for no decision's write."""
        return self.type in {"caption", "reactions", "speakers.changed"}


class Notify(Struct, frozen=True):
    """An event for the streams of one identity."""

    identity: str
    type: NoticeType
    payload: Payload


class Eject(Struct, frozen=True):
    """Close the event streams of one identity; None closes them all."""

    identity: str | None


Keep = (
    KeepSpace
    | KeepStanding
    | KeepExclusion
    | KeepBlock
    | KeepTicket
    | KeepLinks
    | KeepAudit
    | KeepHappening
    | KeepStage
)
Effect = Tell | Keep | Announce | Notify | Eject
