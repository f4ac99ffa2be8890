"""Which webhook is sent next, and when again after a failure. A machine.

A lane is one URL and one space: within it the next is sent when the one before it has arrived or was given up, so that
`space.ended` never overtakes `space.started`. Lanes do not wait for each other, but one URL takes only so many requests
at a time, and a URL that is down holds up no other.

It knows deliveries by number; the store has them. What is pending is bounded by whoever adds (`len`).
"""

import heapq
from collections import deque
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

MAX_AT_ONCE: Final = 4
"""Requests in flight to one URL. More would only queue up in a receiver that is slow already."""

FIRST_RETRY_S: Final = 1.0
LAST_RETRY_S: Final = 900.0
"""Back-off doubles from the first to the last; a receiver that is down for an hour is asked some fifteen times."""


class Pending(Struct, frozen=True):
    """A delivery that has not arrived yet."""

    number: int
    """In the order of storing."""
    url: str
    space: str
    attempts: int = 0
    due_at_s: float = 0.0


class Send(Struct, frozen=True):
    """Attempt this now; ends in `on_delivered` or `on_failed`."""

    number: int
    url: str
    attempt: int


class Retry(Struct, frozen=True):
    """It failed; it will be tried again. To be kept, so that a restart neither hurries nor forgets it."""

    number: int
    attempts: int
    due_at_s: float


class GiveUp(Struct, frozen=True):
    """It failed for the last time: a dead letter."""

    number: int
    attempts: int


class _Lane:
    def __init__(self) -> None:
        self.waiting: deque[Pending] = deque()
        self.is_sending = False


class WebhookQueue:
    """The machine. `wakes_at_s` says when `due` has something more to send."""

    def __init__(self, *, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._heads: list[tuple[float, int, tuple[str, str]]] = []
        self._in_flight: dict[int, Pending] = {}
        self._forgotten: set[int] = set()
        self._busy: dict[str, int] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Deliveries that wait or are on their way."""
        return self._waiting + len(self._in_flight)

    @property
    def wakes_at_s(self) -> float | None:
        """None while nothing waits, or what waits is held up by an answer that is outstanding."""
        moments = [due_at_s for due_at_s, _, (url, _) in self._heads if self._has_room(url)]
        return min(moments, default=None)

    def on_stored(self, deliveries: Iterable[Pending]) -> None:
        """They are on the disk, in the order given; each joins the end of its lane."""
        for delivery in deliveries:
            lane = self._lanes.setdefault((delivery.url, delivery.space), _Lane())
            lane.waiting.append(delivery)
            self._waiting += 1
            if len(lane.waiting) == 1 and not lane.is_sending:
                self._line_up(delivery)

    def due(self, now_s: float) -> list[Send]:
        """What to attempt now, longest due first."""
        sends: list[Send] = []
        held_up: list[tuple[float, int, tuple[str, str]]] = []
        while self._heads and self._heads[0][0] <= now_s:
            head = heapq.heappop(self._heads)
            key = head[2]
            if not self._has_room(key[0]):
                held_up.append(head)
                continue
            lane = self._lanes[key]
            delivery = lane.waiting.popleft()
            self._waiting -= 1
            lane.is_sending = True
            self._in_flight[delivery.number] = delivery
            self._busy[delivery.url] = self._busy.get(delivery.url, 0) + 1
            sends.append(Send(delivery.number, delivery.url, delivery.attempts + 1))
        for head in held_up:
            heapq.heappush(self._heads, head)
        return sends

    def on_delivered(self, number: int) -> None:
        self._settle(number, again=None)

    def on_failed(self, number: int, now_s: float, *, jitter: float) -> Retry | GiveUp:
        """`jitter` in [0, 1) spreads those who failed together over half the pause."""
        failed = self._in_flight[number]
        attempts = failed.attempts + 1
        if attempts >= self._max_attempts or number in self._forgotten:
            self._settle(number, again=None)
            return GiveUp(number, attempts)
        due_at_s = now_s + pause_s(attempts, jitter=jitter)
        self._settle(number, again=Pending(number, failed.url, failed.space, attempts, due_at_s))
        return Retry(number, attempts, due_at_s)

    def forget(self, numbers: Iterable[int]) -> None:
        """They are no longer in the store. What is on its way is let arrive, and not repeated where it fails."""
        gone = set(numbers)
        self._forgotten |= gone & self._in_flight.keys()
        for key, lane in list(self._lanes.items()):
            kept = deque(delivery for delivery in lane.waiting if delivery.number not in gone)
            self._waiting -= len(lane.waiting) - len(kept)
            lane.waiting = kept
            if not kept and not lane.is_sending:
                del self._lanes[key]
        self._heads = []
        for lane in self._lanes.values():
            if lane.waiting and not lane.is_sending:
                self._line_up(lane.waiting[0])

    def _settle(self, number: int, *, again: Pending | None) -> None:
        sent = self._in_flight.pop(number)
        self._forgotten.discard(number)
        self._busy[sent.url] -= 1
        key = (sent.url, sent.space)
        lane = self._lanes[key]
        lane.is_sending = False
        if again is not None:
            lane.waiting.appendleft(again)
            self._waiting += 1
        if lane.waiting:
            self._line_up(lane.waiting[0])
        else:
            del self._lanes[key]

    def _line_up(self, head: Pending) -> None:
        heapq.heappush(self._heads, (head.due_at_s, head.number, (head.url, head.space)))

    def _has_room(self, url: str) -> bool:
        return self._busy.get(url, 0) < MAX_AT_ONCE


def pause_s(attempts: int, *, jitter: float) -> float:
    """Before the next attempt, after so many: 1 s doubling to 15 min, less up to a half at random.

    Half the pause stays certain, so that a receiver that comes back is not met by everything at once, nor by nothing.
    """
    full_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(attempts - 1, 20))
    return full_s * (1.0 - jitter / 2.0)
