"""Runs mixer processes for the sfu: starts, feeds, watches and restarts them as `Fleet` decides. Edge.

    supervisor = Supervisor(processes=2, directory=run_directory, listener=relay)
    supervisor.start()
    taps = supervisor.open_space("town-hall", Settings())      # open the data plane's tap with these
    supervisor.set_voice("town-hall", ssrc, is_open=True)      # for each track; before its gate opens, after it closes
    ...
    await supervisor.stop()

What the sfu must know comes to its `Listener`, on the event loop.
"""

import asyncio
import contextlib
import mmap
import os
import socket
import sys
import time
from pathlib import Path
from typing import Protocol

import structlog

from sfu.audio.contract import FromMixer, FromMixerReader, Levels, Ready, Settings, Taps, ToMixer, Watched, encode
from sfu.audio.fleet import Effect, Fleet, Kill, Mixed, Spawn, Tell, Unmixed
from sfu.contract.wire import WireError

CRUMB_BYTES = 4

STOP_S = 2.0
"""A process that is told to end has as long before it is killed."""

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """What the sfu does about its mixers."""

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        """The space's programs arrive at its tap, by whom they leave out; may be said again with more of them."""

    def on_unmixed(self, space: str) -> None:
        """They arrive no more: forward instead."""

    def on_levels(self, space: str, levels: tuple[tuple[int, float], ...]) -> None:
        """(SSRC, dBov) of tracks whose packets do not tell."""


class Child:
    """One mixer process, our end of its socket, and the memory in which it notes what it works on."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        crumb: mmap.mmap,
        *,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer
        self._crumb = crumb

    @classmethod
    async def spawn(cls, *arguments: str) -> "Child":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        crumb = os.memfd_create("palco-mixer")
        try:
            os.ftruncate(crumb, CRUMB_BYTES)
            memory = mmap.mmap(crumb, CRUMB_BYTES)
            descriptors = ("--control", str(theirs.fileno()), "--crumb", str(crumb))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sfu.audio", *descriptors, *arguments),
                pass_fds=(theirs.fileno(), crumb),
                stdin=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(crumb)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, memory, reader=reader, writer=writer)

    @property
    def number(self) -> int:
        """Of the space that it works on, or worked on when it died; 0 for none."""
        return int.from_bytes(self._crumb[:CRUMB_BYTES], sys.byteorder)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class Supervisor:
    """`directory` is for the taps' sockets: ours alone, with a short path (a socket's has at most 107 bytes).

    `watched` has each process's last word about itself, for metrics.
    """

    def __init__(self, *, processes: int, directory: Path, listener: Listener, arguments: tuple[str, ...] = ()) -> None:
        self.watched: dict[int, Watched] = {}
        self._fleet = Fleet(processes)
        self._directory = directory
        self._listener = listener
        self._arguments = arguments
        self._children: dict[int, Child] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self._opened = 0

    def start(self) -> None:
        self._do(self._fleet.on_wake(time.monotonic()))

    async def stop(self) -> None:
        """Ends all processes; their spaces are not said to be unmixed."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        for child in self._children.values():
            child.writer.close()
        if self._lives:
            await asyncio.wait(list(self._lives.values()), timeout=STOP_S)
        for child in self._children.values():
            child.kill()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    @property
    def pids(self) -> dict[int, int]:
        return {number: child.process.pid for number, child in self._children.items()}

    # Commands

    def open_space(self, space: str, settings: Settings) -> Taps:
        """The paths at which the data plane's tap is to receive (`sfu`) and to which it is to send (`mixer`)."""
        self._opened += 1
        taps = Taps(
            mixer=str(self._directory / f"{self._opened}.mixer"), sfu=str(self._directory / f"{self._opened}.sfu")
        )
        self._do(self._fleet.open_space(space, taps=taps, settings=settings, now_s=time.monotonic()))
        return taps

    def close_space(self, space: str) -> None:
        self._do(self._fleet.close_space(space))

    def set_voice(self, space: str, ssrc: int, *, is_open: bool, red_payload_type: int | None = None) -> None:
        self._do(self._fleet.set_voice(space, ssrc, is_open=is_open, red_payload_type=red_payload_type))

    def remove_voice(self, space: str, ssrc: int) -> None:
        self._do(self._fleet.remove_voice(space, ssrc))

    def add_audience(self, space: str, *, without: int) -> None:
        """One more program, for the speaker `without` whom it is; `on_mixed` tells its SSRC."""
        self._do(self._fleet.add_audience(space, without))

    def remove_audience(self, space: str, *, without: int) -> None:
        self._do(self._fleet.remove_audience(space, without))

    # Effects

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Spawn(number):
                    self._lives[number] = asyncio.create_task(self._live(number))
                case Kill(number):
                    if (child := self._children.get(number)) is not None:
                        log.warning("mixer hangs", mixer=number, space=self._fleet.name_of(child.number))
                        child.kill()
                case Tell(number, message):
                    self._tell(number, message)
                case Mixed(space, programs):
                    self._listener.on_mixed(space, programs)
                case Unmixed(space):
                    self._listener.on_unmixed(space)
        self._set_timer()

    def _tell(self, number: int, message: ToMixer) -> None:
        if (child := self._children.get(number)) is not None and not child.writer.is_closing():
            child.writer.write(encode(message))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakes_at_s = self._fleet.wakes_at_s
        if wakes_at_s is not None and not self._is_stopping:
            delay_s = max(0.0, wakes_at_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_wake)

    def _on_wake(self) -> None:
        self._timer = None
        self._do(self._fleet.on_wake(time.monotonic()))

    # A process, from start to end

    async def _live(self, number: int) -> None:
        noted = 0
        try:
            child = await Child.spawn(*self._arguments)
        except OSError as error:
            log.exception("mixer does not start", mixer=number, error=str(error))
        else:
            noted = await self._watch(number, child)
        self._lives.pop(number, None)
        if not self._is_stopping:
            self._do(self._fleet.on_exited(number, noted, time.monotonic()))

    async def _watch(self, number: int, child: Child) -> int:
        self._children[number] = child
        messages = FromMixerReader()
        try:
            while chunk := await child.reader.read(1 << 16):
                for message in messages.feed(chunk):
                    self._on_message(number, message)
        except (OSError, WireError) as error:
            log.warning("mixer speaks in tongues", mixer=number, error=str(error))
            child.kill()
        finally:
            del self._children[number]
            self.watched.pop(number, None)
            child.writer.close()
        if not self._is_stopping:
            # Its socket is closed: it is gone, or as good as.
            child.kill()
        code = await child.process.wait()
        noted = child.number
        if not self._is_stopping:
            log.warning("mixer ended", mixer=number, code=code, space=self._fleet.name_of(noted))
        return noted

    def _on_message(self, number: int, message: FromMixer) -> None:
        match message:
            case Levels(space, levels):
                self._listener.on_levels(space, levels)
            case Watched():
                self.watched[number] = message
            case Ready(libopus):
                log.info("mixer ready", mixer=number, libopus=libopus)
        self._do(self._fleet.on_message(number, message, time.monotonic()))
