"""The event streams of one space: each event encoded once, the same bytes for all who watch. Edge (asyncio wake-ups).

A reader that falls behind costs a bounded queue of references to shared bytes: what it missed is dropped, and it is
shown the space afresh when it reads on.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from signalling.effects import EventType, NoticeType, Payload
from signalling.resources import SnapshotEvent, timestamp

MAX_WAITING: Final = 64
"""Events. At 30 a second a reader may stall for two seconds before it is shown a snapshot instead."""

_encoder = msgspec.json.Encoder()


class Envelope(Struct, frozen=True):
    """One event. `seq` counts the events of the space; what is told to one participant alone takes no number."""

    type: str
    seq: int
    ts: str
    space: str
    data: Payload | SnapshotEvent


class Frame(Struct, frozen=True):
    """An event as both transports send it."""

    json: bytes
    sse: bytes


class Watcher:
    """One stream. `frames` waits for what to send next; None is the end."""

    def __init__(self, identity: str, make_snapshot: Callable[[], Frame]) -> None:
        self.identity = identity
        self._make_snapshot = make_snapshot
        self._waiting: deque[Frame] = deque()
        self._is_behind = True  # the first thing to be shown is a snapshot
        self._is_over = False
        self._news = asyncio.Event()
        self._news.set()

    def push(self, frame: Frame) -> int:
        """Queues `frame`; returns how many events were dropped for it."""
        self._news.set()
        if self._is_behind:
            return 1
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(frame)
            return 0
        dropped = len(self._waiting) + 1
        self._waiting.clear()
        self._is_behind = True
        return dropped

    def end(self) -> None:
        """No more after what is queued."""
        self._is_over = True
        self._news.set()

    async def frames(self) -> list[Frame] | None:
        while True:
            if self._is_behind and not self._is_over:
                self._is_behind = False
                return [self._make_snapshot()]
            if self._waiting:
                frames = list(self._waiting)
                self._waiting.clear()
                return frames
            if self._is_over:
                return None
            self._news.clear()
            await self._news.wait()


class Feed:
    """All watchers of one space."""

    def __init__(self, space: str) -> None:
        self._space = space
        self._seq = 0
        self._watchers: dict[str, list[Watcher]] = {}

    def watch(self, identity: str, make_snapshot: Callable[[], SnapshotEvent], now_s: Callable[[], float]) -> Watcher:
        """A stream for `identity`; ends with `unwatch`."""
        watcher = Watcher(identity, lambda: self._frame("snapshot", make_snapshot(), now_s()))
        self._watchers.setdefault(identity, []).append(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        watchers = self._watchers[watcher.identity]
        watchers.remove(watcher)
        if not watchers:
            del self._watchers[watcher.identity]

    def watchers_of(self, identity: str) -> int:
        return len(self._watchers.get(identity, ()))

    def announce(self, event: EventType, payload: Payload, now_s: float) -> int:
        """To everyone. Returns how many events slow readers lost."""
        self._seq += 1
        if not self._watchers:
            return 0
        frame = self._frame(event, payload, now_s)
        return sum(watcher.push(frame) for watchers in self._watchers.values() for watcher in watchers)

    def notify(self, identity: str, event: NoticeType, payload: Payload, now_s: float) -> None:
        """To the streams of `identity`."""
        if watchers := self._watchers.get(identity):
            frame = self._frame(event, payload, now_s)
            for watcher in watchers:
                watcher.push(frame)

    def eject(self, identity: str | None) -> None:
        """Ends the streams of `identity`, or all."""
        chosen = self._watchers.values() if identity is None else [self._watchers.get(identity, [])]
        for watchers in chosen:
            for watcher in watchers:
                watcher.end()

    def _frame(self, event: str, payload: Payload | SnapshotEvent, now_s: float) -> Frame:
        body = _encoder.encode(Envelope(event, self._seq, timestamp(now_s), self._space, payload))
        return Frame(json=body, sse=b"id: %d\nevent: %s\ndata: %s\n\n" % (self._seq, event.encode(), body))
