"""The event streams of one space: each event encoded once, the same bytes written to all who watch. Edge (loop, wires).

A round writes to a slice of the watchers, lets the loop go on with other work, and writes to the next, so that ten
thousand of them delay no request. A watcher whose wire is full is left out: it holds no queue here, and is given what
it missed, or the space afresh, when its wire has emptied; if that takes too long it is cut off.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from signalling.events import Caption, Envelope, EventType, NoticeType, Payload, Resumed, SnapshotEvent
from signalling.frames import Packing
from signalling.pacing import Pacer, Told
from signalling.resources import timestamp
from signalling.ring import Cursor, Kept, Ring

SLICE: Final = 100
"""Watchers between two turns of the loop: a millisecond of writing."""

MAX_BACKLOG_BYTES: Final = 16 * 1024
"""Unsent on a wire, beyond what the kernel holds; more is not written until it is gone."""

MAX_CAUGHT_UP: Final = 20
"""Events; who has missed more is shown a snapshot, which is shorter."""

LOOK_AGAIN_S: Final = 0.25
STALLED_FOR_S: Final = 20.0
"""A reader whose buffers have been full for this long is gone, or might as well be."""

HEARTBEAT_S: Final = 15.0

CAPTIONS_KEPT: Final = 5
"""Final lines for who comes late: as much as stands on a screen."""

_encoder: Final = msgspec.json.Encoder()


class Wire(Protocol):
    """One connection, ready to be written to."""

    @property
    def packing(self) -> Packing: ...

    @property
    def heartbeat(self) -> bytes:
        """What keeps an idle stream alive; empty where the transport has a way of its own."""

    def write(self, data: bytes) -> None: ...

    def backlog_bytes(self) -> int:
        """What has been written and not yet taken by the kernel."""

    def abort(self) -> None:
        """Drops the connection and all that waits on it."""


class Watcher:
    """One stream. `over` is done when nothing more will be written."""

    __slots__ = ("identity", "make_snapshot", "over", "seq", "stalled_at_s", "wire")

    def __init__(self, identity: str, wire: Wire, make_snapshot: Callable[[], SnapshotEvent]) -> None:
        self.identity = identity
        self.wire = wire
        self.make_snapshot = make_snapshot
        self.seq = 0
        self.stalled_at_s: float | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class _Round(Struct):
    """One tick on its way to the watchers."""

    watchers: Sequence[Watcher]
    shared: Sequence[Kept]
    personal: frozenset[str]
    after: int
    """Who has this number has all that was told to everyone before."""
    last: int
    began_s: float
    cpu_s: float
    """What this thread had used when it began; what others' work in between costs counts too."""
    is_final: bool
    position: int = 0
    packed: dict[Packing, bytes] = {}


class Feed:
    """All watchers of one space, and what they are told."""

    def __init__(
        self, space: str, *, epoch: str, clock: Callable[[], float], on_missed: Callable[[int], None] = lambda _: None
    ) -> None:
        self._space = space
        self._clock = clock
        self._on_missed = on_missed
        self._pacer = Pacer()
        self._ring = Ring(epoch)
        self._shared_seq = 0
        self._watchers: dict[str, list[Watcher]] = {}
        self._everyone: dict[Watcher, None] = {}
        self._behind: dict[Watcher, None] = {}
        self._captions: deque[Caption] = deque(maxlen=CAPTIONS_KEPT)
        self._round: _Round | None = None
        self._is_over = False
        self._alarm: asyncio.TimerHandle | None = None
        self._look_again: asyncio.TimerHandle | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._quiet_since_s = 0.0

    # Watching

    def watch(
        self, identity: str, wire: Wire, make_snapshot: Callable[[], SnapshotEvent], *, after: Cursor | None = None
    ) -> Watcher:
        """A stream for `identity`, begun at once: with what follows `after`, or a snapshot. Ends with `unwatch`."""
        watcher = Watcher(identity, wire, make_snapshot)
        self._watchers.setdefault(identity, []).append(watcher)
        self._everyone[watcher] = None
        missed = self._ring.resume(after, identity) if after else None
        if missed is None or after is None:
            self._show(watcher)
        else:
            opening = self._envelope("resumed", after.seq, Resumed(self._ring.epoch, len(missed)))
            self._write(watcher, [opening, *missed])
        if self._heartbeat is None:
            self._arm_heartbeat()
        if self._is_over:
            watcher.end()
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        watcher.end()
        self._everyone.pop(watcher, None)
        self._behind.pop(watcher, None)
        watchers = self._watchers[watcher.identity]
        watchers.remove(watcher)
        if not watchers:
            del self._watchers[watcher.identity]

    def watchers_of(self, identity: str) -> int:
        return len(self._watchers.get(identity, ()))

    # Telling

    def announce(self, event: EventType, payload: Payload) -> None:
        """To everyone."""
        self._pacer.put(event, payload)
        self._turn()

    def notify(self, identity: str, event: NoticeType, payload: Payload) -> None:
        """To the streams of `identity`, the ones that are away for a moment included."""
        self._pacer.put_for(identity, event, payload)
        self._turn()

    def eject(self, identity: str | None) -> None:
        """Ends the streams of `identity`, or all, after what they are still to be told."""
        if identity is None:
            self._is_over = True
            self._turn()
            return
        for told in self._pacer.take_for(identity):
            self._number(told)
        for watcher in self._watchers.get(identity, ()):
            self._catch_up(watcher)
            watcher.end()

    def _turn(self) -> None:
        """Begins a round if it is time, or sets the alarm for when it is."""
        if self._round is not None:
            return
        now_s = asyncio.get_running_loop().time()
        if self._is_over:
            self._disarm()
            self._begin(self._pacer.take_all(), now_s)
            return
        due_s = self._pacer.wakes_at_s
        if due_s is None:
            return
        if due_s <= now_s:
            self._begin(self._pacer.take(now_s), now_s)
        elif self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(due_s - now_s, self._ring_alarm)

    def _ring_alarm(self) -> None:
        self._alarm = None
        self._turn()

    def _begin(self, told: Iterable[Told], now_s: float) -> None:
        after = self._shared_seq
        kept = [self._number(each) for each in told]
        shared = [event for event in kept if event.identity is None]
        personal = frozenset(event.identity for event in kept if event.identity is not None)
        if shared or self._is_over:
            watchers = list(self._everyone)
            self._quiet_since_s = now_s
        else:
            watchers = [watcher for identity in personal for watcher in self._watchers.get(identity, ())]
        self._round = _Round(
            watchers, shared, personal, after, self._ring.last, now_s, time.thread_time(), self._is_over
        )
        self._slice()

    def _slice(self) -> None:
        turn = self._round
        if turn is None:
            return
        watchers = turn.watchers[turn.position : turn.position + SLICE]
        for watcher in watchers:
            if not watcher.over.done():
                self._tell(watcher, turn)
        turn.position += len(watchers)
        loop = asyncio.get_running_loop()
        if watchers and len(turn.watchers) > SLICE:
            loop.call_soon(self._slice)  # once more after the last: the loop writes between its turns
            return
        self._round = None
        self._pacer.on_sent(turn.began_s, time.thread_time() - turn.cpu_s)
        if not turn.is_final:
            self._turn()

    def _tell(self, watcher: Watcher, turn: _Round) -> None:
        if watcher.stalled_at_s is not None or watcher.seq < turn.after or watcher.identity in turn.personal:
            self._catch_up(watcher)
        elif watcher.wire.backlog_bytes() > MAX_BACKLOG_BYTES:
            self._stall(watcher)
        else:
            packing = watcher.wire.packing
            data = turn.packed.get(packing)
            if data is None:
                data = turn.packed[packing] = packing(self._ring.epoch, turn.shared)
            if data:
                watcher.wire.write(data)
            watcher.seq = turn.last
        if turn.is_final:
            watcher.end()

    # Those who read too slowly

    def _catch_up(self, watcher: Watcher) -> None:
        """Writes what `watcher` has missed, in its place a snapshot, or nothing while its wire is full."""
        if watcher.wire.backlog_bytes() > MAX_BACKLOG_BYTES:
            self._stall(watcher)
            return
        watcher.stalled_at_s = None
        self._behind.pop(watcher, None)
        missed = self._ring.since(watcher.seq, watcher.identity)
        if missed is not None and len(missed) <= MAX_CAUGHT_UP:
            self._write(watcher, missed)
        else:
            self._on_missed(self._ring.last - watcher.seq)
            self._show(watcher)

    def _stall(self, watcher: Watcher) -> None:
        now_s = asyncio.get_running_loop().time()
        if watcher.stalled_at_s is None:
            watcher.stalled_at_s = now_s
        elif now_s - watcher.stalled_at_s > STALLED_FOR_S:
            watcher.wire.abort()
            watcher.end()
            return
        self._behind[watcher] = None
        if self._look_again is None:
            self._look_again = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look)

    def _look(self) -> None:
        self._look_again = None
        for watcher in list(self._behind):
            if watcher.over.done():
                self._behind.pop(watcher, None)
            else:
                self._catch_up(watcher)

    # Bytes

    def _show(self, watcher: Watcher) -> None:
        snapshot = msgspec.structs.replace(
            watcher.make_snapshot(), epoch=self._ring.epoch, captions=list(self._captions)
        )
        self._write(watcher, [self._envelope("snapshot", self._ring.last, snapshot)])

    def _write(self, watcher: Watcher, events: Sequence[Kept]) -> None:
        """All up to now; there is no later event that `watcher` has not seen."""
        if events:
            watcher.wire.write(watcher.wire.packing(self._ring.epoch, events))
        watcher.seq = self._ring.last

    def _number(self, told: Told) -> Kept:
        seq = self._ring.last + 1
        kept = self._envelope(told.type, seq, told.payload, identity=told.identity)
        self._ring.append(kept)
        if told.identity is None:
            self._shared_seq = seq
        if isinstance(told.payload, Caption) and told.payload.is_final:
            self._captions.append(told.payload)
        return kept

    def _envelope(
        self, event: str, seq: int, payload: Payload | SnapshotEvent | Resumed, *, identity: str | None = None
    ) -> Kept:
        envelope = Envelope(event, seq, timestamp(self._clock()), self._space, payload)
        return Kept(seq, event, _encoder.encode(envelope), identity)

    # Idle streams

    def _arm_heartbeat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        self._heartbeat = None
        if not self._everyone or self._is_over:
            return
        if asyncio.get_running_loop().time() - self._quiet_since_s >= HEARTBEAT_S:
            for watcher in self._everyone:
                if watcher.wire.heartbeat and watcher.stalled_at_s is None:
                    watcher.wire.write(watcher.wire.heartbeat)
        self._arm_heartbeat()

    def _disarm(self) -> None:
        for handle in (self._alarm, self._look_again, self._heartbeat):
            if handle:
                handle.cancel()
        self._alarm = self._look_again = self._heartbeat = None
