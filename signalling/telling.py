"""What the operator's application is to be told of what a space has decided. A machine.

Of people it is told of those on stage, not of the audience: what it was told of a stage is remembered (the store keeps
it over a restart), and the difference is news.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from signalling.effects import Announce, Effect, KeepAudit, KeepHappening, KeepStage, KeepTicket
from signalling.records import TicketRecord
from signalling.resources import ParticipantResource, SpaceResource
from signalling.safety import AuditRecord
from signalling.webhooks import ActTold, Happening, PersonTold, SpaceTold, StageTold, TicketTold, Told, WebhookType

_SPACE_EVENTS: Final[Mapping[str, WebhookType]] = {
    "space.changed": "space.changed",
    "space.cancelled": "space.cancelled",
    "space.started": "space.started",
    "space.ended": "space.ended",
}


class Telling:
    """`make_id` gives each happening a name of its own."""

    def __init__(self, make_id: Callable[[], str]) -> None:
        self._make_id = make_id
        self._stages: dict[str, Mapping[str, PersonTold]] = {}

    def on_restored(self, stages: Iterable[StageTold]) -> None:
        """What an earlier process has told."""
        self._stages = {stage.space: {person.identity: person for person in stage.people} for stage in stages}

    def on_decision(
        self, space: str, effects: Sequence[Effect], *, stage: Iterable[ParticipantResource] | None, now_s: float
    ) -> list[KeepHappening | KeepStage]:
        """News of `space` in the order to tell it: who left comes before an end, who came after a beginning.

        `stage` is who is on it for all to see, after the decision; None while that is not known.
        """
        before = self._stages.get(space, {})
        now = before if stage is None else {person.identity: _person_told(person) for person in stage}
        left = [self._news("participant.left", space, before[who], now_s) for who in before if who not in now]
        came = [self._news("participant.joined", space, now[who], now_s) for who in now if who not in before]
        decided = [news for effect in effects for news in self._of_effect(space, effect, now_s)]
        if not left and not came:
            return [*decided]
        self._stages[space] = now
        return [*left, *decided, *came, KeepStage(StageTold(space, list(now.values())))]

    def of_act(self, record: AuditRecord) -> Happening:
        """An act of the operator's, or of a moderator's."""
        told = ActTold(action=record.action, by=record.by, upon=record.upon, reason=record.reason)
        return self.happening("moderation.act", space=record.space, told=told, now_s=record.at_s)

    def happening(
        self, kind: WebhookType, *, space: str, told: Told, now_s: float, event: str | None = None
    ) -> Happening:
        """`event` is its id where what happened has one of its own: told twice, it is stored once."""
        return Happening(id=event or self._make_id(), type=kind, space=space, at_s=now_s, told=told)

    def _of_effect(self, space: str, effect: Effect, now_s: float) -> list[KeepHappening]:
        match effect:
            case Announce(event, SpaceResource() as resource) if event in _SPACE_EVENTS:
                return [self._news(_SPACE_EVENTS[event], space, space_told(resource), now_s)]
            case KeepAudit(record):
                return [KeepHappening(self.of_act(record))]
            case KeepTicket(TicketRecord(ticket=ticket, identity=identity, used_at_s=used_at_s, revoked_at_s=None)):
                if used_at_s is None:
                    return []
                told = TicketTold(ticket=ticket, identity=identity)
                name = f"ticket/{ticket}/used"
                used = self.happening("ticket.used", space=space, told=told, now_s=now_s, event=name)
                return [KeepHappening(used)]
        return []

    def _news(self, kind: WebhookType, space: str, told: Told, now_s: float) -> KeepHappening:
        return KeepHappening(self.happening(kind, space=space, told=told, now_s=now_s))


def space_told(resource: SpaceResource) -> SpaceTold:
    return SpaceTold(title=resource.title, host=resource.host, state=resource.state, starts_at=resource.starts_at)


def _person_told(person: ParticipantResource) -> PersonTold:
    return PersonTold(identity=person.identity, name=person.name, role=person.role)
