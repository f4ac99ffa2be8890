"""The mixer process: taps and a timer around the `Mixer` of each space. Edge.

One loop, one thread. Every 20 ms all spaces are done one after another; between two of them the taps are emptied, for a
Unix datagram socket holds as few as ten datagrams (`net.unix.max_dgram_qlen`) and a packet should be dated when it
came. Before each space its number is noted in memory that outlives the process: were libopus to fall over a stranger's
packet, the sfu would know whose."""

import asyncio
import contextlib
import ctypes
import gc
import mmap
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import structlog

from sfu.audio import contract, libopus
from sfu.audio.contract import (
    TARGET_BOUNDS_S,
    AddProgram,
    Assign,
    Beat,
    Failed,
    FromMixer,
    Levels,
    Ready,
    Release,
    RemoveProgram,
    RemoveVoice,
    SetVoice,
    Sync,
    Synced,
    ToMixer,
    ToMixerReader,
    Totals,
    Watched,
)
from sfu.audio.mixer import Mixer
from sfu.audio.opus import Meter, Opus
from sfu.audio.watch import Spent, make_histogram, observe, sum_totals

FRAME_S = 0.020

WARM_FRAMES = 10
"""Before a space's mix is worth following: its buffers have filled, its decoders are in step."""

MAX_BEHIND = 5
"""Frames made up for after the process was held up; beyond that they are skipped, never a growing delay."""

LEVELS_EVERY, WATCHED_EVERY = 5, 50

MAX_UNSENT = 64

RECEIVE_BUFFER_BYTES = 1 << 20

log = structlog.get_logger(__name__)


class Space:
    """A mixer at its tap."""

    def __init__(self, order: Assign, *, opus: Opus) -> None:
        self.name = order.space
        self.number = order.number
        self.frames = 0
        self.mixer = Mixer(order.settings, opus=opus)
        self.unsent = 0
        self._sfu = order.taps.sfu
        self._path = Path(order.taps.mixer)
        self._waiting: deque[bytes] = deque(maxlen=MAX_UNSENT)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._path.unlink(missing_ok=True)
        self._socket.bind(order.taps.mixer)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def drain(self, now_s: float) -> None:
        receive, take = self._socket.recv, self.mixer.on_datagram
        with contextlib.suppress(BlockingIOError):
            while True:
                take(receive(2048), now_s)

    def send(self, datagrams: list[bytes]) -> None:
        """What finds no room now goes with the next; there is no order of sending between spaces to keep."""
        if len(self._waiting) + len(datagrams) > MAX_UNSENT:
            self.unsent += len(self._waiting)
            self._waiting.clear()
        self._waiting.extend(datagrams)
        while self._waiting:
            try:
                self._socket.sendto(self._waiting[0], self._sfu)
            except BlockingIOError:
                return
            except OSError:  # no one there now: the sfu opens its tap anew, or has gone
                self.unsent += 1
            self._waiting.popleft()


class MixerProcess:
    """`run` until the control socket closes. `crumb` is shared memory, at least four bytes."""

    def __init__(
        self, control: socket.socket, crumb: mmap.mmap, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        np.seterr(all="ignore")  # what is not a number is looked for
        self._control = control
        self._crumb = ctypes.c_uint32.from_buffer(crumb)
        self._clock = clock
        self._meter = Meter(time.perf_counter)
        self._opus = Opus(libopus.load(), self._meter)
        self._spaces: dict[str, Space] = {}
        self._by_descriptor: dict[int, Space] = {}
        self._taps = select.epoll()
        self._frame = 0
        self._skipped = 0
        self._busy_s = 0.0
        self._unsent = 0
        self._gone = Totals()
        self._spent = Spent()
        self._targets = make_histogram(TARGET_BOUNDS_S)
        self._next_s = 0.0
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_connection(sock=self._control)
        self._say(Ready(self._opus.version))
        loop.add_reader(self._taps.fileno(), self._drain)
        self._next_s = self._clock()
        gc.collect()
        gc.freeze()
        try:
            async with asyncio.TaskGroup() as group:
                frames = group.create_task(self._keep_time())
                await self._obey(reader)
                frames.cancel()
        finally:
            loop.remove_reader(self._taps.fileno())
            for space in list(self._spaces.values()):
                self._drop(space)
            self._taps.close()
            self._writer.close()

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        """Until the sfu goes, in whichever way."""
        messages = ToMixerReader()
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                for message in messages.feed(chunk):
                    self._on_message(message)

    # Control

    def _on_message(self, message: ToMixer) -> None:
        if isinstance(message, Assign):
            self._assign(message)
            return
        if isinstance(message, Sync):
            self._say(Synced(message.number))
            return
        space = self._spaces.get(message.space)
        if space is None:
            return
        match message:
            case Release():
                self._drop(space)
            case SetVoice():
                space.mixer.add_voice(message.ssrc, is_open=message.is_open, red_payload_type=message.red_payload_type)
            case RemoveVoice():
                space.mixer.remove_voice(message.ssrc)
            case AddProgram():
                space.mixer.add_program(message.ssrc, without=message.without)
            case RemoveProgram():
                space.mixer.remove_program(message.ssrc)

    def _assign(self, order: Assign) -> None:
        if (known := self._spaces.get(order.space)) is not None:
            self._drop(known)
        try:
            space = Space(order, opus=self._opus)
        except OSError as error:
            self._say(Failed(order.space, f"no tap at {order.taps.mixer}: {error}"))
            return
        self._spaces[space.name] = space
        self._by_descriptor[space.fileno()] = space
        self._taps.register(space.fileno(), select.EPOLLIN)

    def _drop(self, space: Space) -> None:
        del self._spaces[space.name], self._by_descriptor[space.fileno()]
        self._taps.unregister(space.fileno())
        self._unsent += space.unsent
        self._gone = sum_totals((self._gone, space.mixer.totals()))
        space.close()

    def _say(self, message: FromMixer) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(contract.encode(message))

    # Media

    def _drain(self) -> None:
        for descriptor, _ in self._taps.poll(0):
            if (space := self._by_descriptor.get(descriptor)) is not None:
                space.drain(self._clock())

    async def _keep_time(self) -> None:
        """Frames fall on a fixed grid, however late the last was."""
        while True:
            now_s = self._clock()
            behind = int((now_s - self._next_s) / FRAME_S)
            if behind > MAX_BEHIND:
                self._skipped += behind
                self._next_s += behind * FRAME_S
            if now_s >= self._next_s:
                self._next_s += FRAME_S
                self._on_frame()
            await asyncio.sleep(max(0.0, self._next_s - self._clock()))

    def _on_frame(self) -> None:
        began_s = self._clock()
        warm = []
        for space in list(self._spaces.values()):
            self._drain()
            self._crumb.value = space.number
            try:
                self._mix(space)
            except Exception as error:  # a fault of ours costs this space its mix, no other
                log.exception("mix failed", space=space.name)
                self._drop(space)
                self._say(Failed(space.name, repr(error)))
                continue
            finally:
                self._crumb.value = 0
            space.frames += 1
            if space.frames == WARM_FRAMES:
                warm.append(space.name)
        self._frame += 1
        busy_s = self._clock() - began_s
        self._busy_s += busy_s
        self._spent.note("frame", busy_s)
        self._say(Beat(tuple(warm)))
        self._tell()

    def _mix(self, space: Space) -> None:
        """One frame of one space."""
        meter, began_s = self._meter, self._clock()
        decoded_s, encoded_s = meter.decode_s, meter.encode_s
        space.send(space.mixer.on_frame(began_s))
        decode_s, encode_s = meter.decode_s - decoded_s, meter.encode_s - encoded_s
        self._spent.note("decode", decode_s)
        self._spent.note("encode", encode_s)
        self._spent.note("mix", max(0.0, self._clock() - began_s - decode_s - encode_s))

    def _tell(self) -> None:
        if self._frame % LEVELS_EVERY == 0:
            for space in self._spaces.values():
                if levels := space.mixer.levels():
                    self._say(Levels(space.name, tuple(levels)))
        if self._frame % WATCHED_EVERY == 0:
            self._say(self._watched())

    def _watched(self) -> Watched:
        meter = self._meter
        spaces = {space.name: space.mixer.totals() for space in self._spaces.values()}
        for totals in spaces.values():
            if totals.voices_now:
                observe(self._targets, totals.target_s_now, TARGET_BOUNDS_S)
        return Watched(
            spaces=spaces,
            frames=self._frame,
            skipped_frames=self._skipped,
            unsent=self._unsent + sum(space.unsent for space in self._spaces.values()),
            decode_s=meter.decode_s,
            encode_s=meter.encode_s,
            mix_s=max(0.0, self._busy_s - meter.decode_s - meter.encode_s),
            gone=self._gone,
            spent=self._spent.histograms,
            targets=self._targets,
        )
