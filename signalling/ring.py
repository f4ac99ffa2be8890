"""The last events of one space, for streams that break off and come back. A machine.

A cursor says how far a stream had come: `<epoch>-<seq>`. The epoch is the server process's, the number the event's. A
stream goes on without a loss where everything after its cursor is still kept, and is shown the space afresh where not.
"""

import re
from collections import deque
from typing import Final

from msgspec import Struct

from signalling.errors import PeerError

MAX_EVENTS: Final = 512
"""Half a minute of the most that is told; minutes of what is usual. A reconnection takes two seconds."""

MAX_BYTES: Final = 128 * 1024

_CURSOR = re.compile(r"([0-9a-z]{1,16})-(0|[1-9][0-9]{0,15})")


class Cursor(Struct, frozen=True):
    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


def parse_cursor(text: str) -> Cursor:
    """Raises PeerError `bad_request`."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise PeerError("bad_request", "`after` and Last-Event-ID take the id of an event of this space, unchanged")
    return Cursor(match[1], int(match[2]))


class Kept(Struct, frozen=True):
    """An event as it was told: to everyone, or to `identity` alone. `json` is its envelope."""

    seq: int
    type: str
    json: bytes
    identity: str | None = None


class Ring:
    """Numbers events from 1 and keeps the newest of them."""

    def __init__(self, epoch: str, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self.epoch = epoch
        self._kept: deque[Kept] = deque()
        self._last = 0
        self._bytes = 0
        self._max_events = max_events
        self._max_bytes = max_bytes

    @property
    def last(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last

    def append(self, event: Kept) -> None:
        """`event.seq` is `last + 1`."""
        self._last = event.seq
        self._kept.append(event)
        self._bytes += len(event.json)
        while len(self._kept) > self._max_events or self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popleft().json)

    def since(self, seq: int, identity: str) -> list[Kept] | None:
        """All that `identity` may see after `seq`; None where some of it is no longer here, or `seq` is not ours."""
        if not self._last - len(self._kept) <= seq <= self._last:
            return None
        missed = self._last - seq
        newest = [self._kept[-1 - index] for index in range(missed)]
        return [event for event in reversed(newest) if event.identity in {None, identity}]

    def resume(self, cursor: Cursor, identity: str) -> list[Kept] | None:
        """As `since`, from a cursor of this epoch; None from any other."""
        return self.since(cursor.seq, identity) if cursor.epoch == self.epoch else None
