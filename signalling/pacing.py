"""What waits to be told about one space, put together while it waits and let go at a bounded rate. A machine.

To each subscriber at most 30 messages in any second: `SHARED_AT_ONCE` and `SHARED_PER_S` of what all are told, and one
in `PERSONAL_EVERY_S` of what one alone is told. The first after a pause waits for nothing. What is superseded while it
waits is never sent; what adds up is added up; nothing else is left out.
"""

from typing import Final, get_args

from msgspec import Struct

from signalling.events import Caption, EventType, NoticeType, ParticipantsChanged, Payload, Reactions
from signalling.resources import ParticipantResource

TICK_S: Final = 0.1
SHARED_PER_S: Final = 16.0
SHARED_AT_ONCE: Final = 8
PERSONAL_EVERY_S: Final = 0.2
MOST_PER_S: Final = 30
"""8 at once and 16 in the second that they begin; 6 in a second of one every 0.2 s, both ends included."""

MAX_PEOPLE: Final = 50
"""In one message, some 15 kB; the others wait for the next tick."""

COST_SHARE: Final = 1.5
"""A tick that cost the sender so much processor time is not followed by another within so many times that: two thirds
of it at the most go into telling, and the larger an audience is, the more is put together for it."""


class Told(Struct, frozen=True):
    """One message: to everyone, or to one identity."""

    type: EventType | NoticeType
    payload: Payload
    identity: str | None = None


_ROUNDING: Final = 1e-6
"""Of the allowance, which is woken for when it is one."""

_PEOPLE: Final = "people"
_SOMEBODY: Final = Told("participants.changed", ParticipantsChanged([], []))
"""Holds the place in the queue; what is sent is made of who waits when its turn comes."""


class Pacer:
    """`wakes_at_s` says when `take` has something to give."""

    def __init__(self) -> None:
        self._shared: dict[str, Told] = {}
        self._people: dict[str, Told] = {}
        self._personal: dict[str, dict[str, Told]] = {}
        self._finals = 0
        self._opens_at_s = 0.0
        self._personal_opens_at_s = 0.0
        self._allowed = float(SHARED_AT_ONCE)
        self._allowed_at_s = 0.0

    @property
    def wakes_at_s(self) -> float | None:
        due = []
        if self._shared:
            due.append(self._allowed_at_s + max(0.0, 1.0 - self._allowed) / SHARED_PER_S)
        if self._personal:
            due.append(self._personal_opens_at_s)
        return max(self._opens_at_s, min(due)) if due else None

    def put(self, event: EventType, payload: Payload) -> None:
        """For everyone."""
        match payload:
            case Caption():
                self._put_caption(payload)
            case Reactions(counts) if event in self._shared:
                waiting = self._shared[event].payload
                before = waiting.counts if isinstance(waiting, Reactions) else {}
                total = {emoji: before.get(emoji, 0) + counts.get(emoji, 0) for emoji in {**before, **counts}}
                self._shared[event] = Told(event, Reactions(total))
            case _ if event.startswith("participant."):
                self._put_person(event, payload)
            case _:
                self._shared[event] = Told(event, payload)

    def put_for(self, identity: str, event: NoticeType, payload: Payload) -> None:
        """For one identity."""
        self._personal.setdefault(identity, {})[event] = Told(event, payload, identity)

    def take(self, now_s: float) -> list[Told]:
        """What may go now, in order; nothing more before the next tick."""
        due_s = self.wakes_at_s
        if due_s is None or now_s < due_s:
            return []
        self._opens_at_s = now_s + TICK_S
        self._allowed = min(SHARED_AT_ONCE, self._allowed + (now_s - self._allowed_at_s) * SHARED_PER_S)
        self._allowed_at_s = now_s
        personal = 1 if now_s >= self._personal_opens_at_s else 0
        told = self._take(shared=int(self._allowed + _ROUNDING), personal=personal, people=MAX_PEOPLE)
        self._allowed -= sum(each.identity is None for each in told)
        if any(each.identity is not None for each in told):
            self._personal_opens_at_s = now_s + PERSONAL_EVERY_S
        return told

    def take_for(self, identity: str) -> list[Told]:
        """What waits for one identity, at once: it is about to be sent away."""
        return list(self._personal.pop(identity, {}).values())

    def take_all(self) -> list[Told]:
        """Everything, at once: it is over."""
        everything = len(self._shared) + len(self._people) + 1
        return self._take(shared=everything, personal=len(get_args(NoticeType)), people=everything)

    def on_sent(self, began_s: float, cost_s: float) -> None:
        """What it cost to write the last tick to all."""
        self._opens_at_s = max(self._opens_at_s, began_s + COST_SHARE * cost_s)

    def _put_person(self, event: EventType, payload: Payload) -> None:
        identity = getattr(payload, "identity", "")
        waiting = self._people.get(identity)
        if waiting and waiting.type == "participant.joined" and event == "participant.changed":
            event = "participant.joined"  # nobody has been told of the arrival yet
        self._people[identity] = Told(event, payload)
        self._shared.setdefault(_PEOPLE, _SOMEBODY)

    def _put_caption(self, caption: Caption) -> None:
        draft = f"caption {caption.identity or ''}"
        if not caption.is_final:
            self._shared[draft] = Told("caption", caption)
            return
        self._shared.pop(draft, None)
        self._finals += 1
        self._shared[f"caption #{self._finals}"] = Told("caption", caption)

    def _take(self, *, shared: int, personal: int, people: int) -> list[Told]:
        chosen = list(self._shared)[:shared]
        told = [self._take_people(people) if key == _PEOPLE else self._shared[key] for key in chosen]
        for key in chosen:
            del self._shared[key]
        if self._people:
            self._shared[_PEOPLE] = _SOMEBODY
        return [*self._take_personal(personal), *told]

    def _take_personal(self, limit: int) -> list[Told]:
        told: list[Told] = []
        for identity, notices in list(self._personal.items()):
            told += [notices.pop(event) for event in list(notices)[:limit]]
            if not notices:
                del self._personal[identity]
        return told

    def _take_people(self, limit: int) -> Told:
        chosen = {identity: self._people.pop(identity) for identity in list(self._people)[:limit]}
        if len(chosen) == 1:
            return next(iter(chosen.values()))
        present = [told.payload for told in chosen.values() if isinstance(told.payload, ParticipantResource)]
        left = [identity for identity, told in chosen.items() if told.type == "participant.left"]
        return Told("participants.changed", ParticipantsChanged(present, left))
