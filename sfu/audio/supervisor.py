"""Runs mixer processes for the sfu: starts, feeds, watches and restarts them as `Fleet` decides. Edge.

    supervisor = Supervisor(processes=2, directory=run_directory)
    supervisor.start(relay)                                    # no process yet: they come with the spaces
    taps = supervisor.open_space("town-hall", Settings())      # open the data plane's tap with these
    supervisor.set_voice("town-hall", ssrc, is_open=True)      # for each track; before its gate opens, after it closes
    ...
    await supervisor.stop()

What the sfu must know comes to its `Listener`, on the event loop.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from sfu.audio.child import Child
from sfu.audio.contract import (
    FromMixer,
    FromMixerReader,
    Levels,
    Ready,
    Settings,
    Sync,
    Synced,
    Taps,
    ToMixer,
    Watched,
    encode,
)
from sfu.audio.fleet import Fleet
from sfu.audio.orders import Effect, End, Kill, Mixed, Spawn, Tell, Unmixed
from sfu.audio.watch import Account
from sfu.contract.wire import WireError

STOP_S = 2.0
"""A process that is told to end has as long before it is killed."""

LATE_S = 0.010
"""A timer that rings so late was held up, and so perhaps were beats that have come: they are read before any judgement.
"""

log = structlog.get_logger(__name__)


class Listener(Protocol):
    """What the sfu does about its mixers."""

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        """The space's programs arrive at its tap, by whom they leave out; may be said again with more of them."""

    def on_unmixed(self, space: str) -> None:
        """They arrive no more: forward instead."""

    def on_levels(self, space: str, levels: tuple[tuple[int, float], ...]) -> None:
        """(SSRC, dBov) of tracks whose packets do not tell."""


class Supervisor:
    """`directory` is for the taps' sockets: ours alone, with a short path (a socket's has at most 107 bytes)."""

    def __init__(self, *, processes: int, directory: Path, arguments: tuple[str, ...] = ()) -> None:
        self.account = Account()
        """For metrics."""
        self._fleet = Fleet(processes)
        self._directory = directory
        self._listener: Listener | None = None
        self._arguments = arguments
        self._children: dict[int, Child] = {}
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._dismissed: set[int] = set()
        self._awaiting: dict[int, dict[int, Callable[[], None]]] = {}
        """By process and number of the `Sync`."""
        self._last_sync = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        self._opened = 0

    def start(self, listener: Listener) -> None:
        self._listener = listener

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

    def census(self) -> dict[int, tuple[str, int]]:
        """Of each process, running or not: its state, and how many spaces it has."""
        return self._fleet.census()

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
        self._do(self._fleet.close_space(space, time.monotonic()))

    def set_voice(self, space: str, ssrc: int, *, is_open: bool, red_payload_type: int | None = None) -> None:
        self._do(self._fleet.set_voice(space, ssrc, is_open=is_open, red_payload_type=red_payload_type))

    def remove_voice(self, space: str, ssrc: int) -> None:
        self._do(self._fleet.remove_voice(space, ssrc))

    def add_audience(self, space: str, *, without: int | None) -> None:
        """One more program, for the speaker `without` whom it is; `on_mixed` tells its SSRC."""
        self._do(self._fleet.add_audience(space, without))

    def remove_audience(self, space: str, *, without: int | None) -> None:
        self._do(self._fleet.remove_audience(space, without))

    def when_obeyed(self, space: str, proceed: Callable[[], None]) -> None:
        """Calls `proceed` once nothing is sent any more that contradicts what was said of the space: its process is
        past it, or has lost the space."""
        process = self._fleet.process_of(space)
        if process is None or process not in self._children or not self._fleet.is_well(process):
            proceed()
            return
        self._last_sync += 1
        self._awaiting.setdefault(process, {})[self._last_sync] = proceed
        self._tell(process, Sync(self._last_sync))

    # Effects

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Spawn(number):
                    self._lives[number] = asyncio.create_task(self._live(number))
                case End(number):
                    self._dismiss(number)
                case Kill(number):
                    if (child := self._children.get(number)) is not None:
                        log.warning("mixer hangs", mixer=number, space=self._fleet.name_of(child.number))
                        child.kill()
                case Tell(number, message):
                    self._tell(number, message)
                case Mixed() | Unmixed():
                    self._report(effect)
        for number in [number for number in self._awaiting if not self._fleet.is_well(number)]:
            for proceed in self._awaiting.pop(number).values():
                proceed()
        self._set_timer()

    def _report(self, effect: Mixed | Unmixed) -> None:
        if isinstance(effect, Unmixed):
            self.account.fallbacks[effect.reason] += 1
        if self._listener is None:
            return
        try:
            if isinstance(effect, Unmixed):
                self._listener.on_unmixed(effect.space)
            else:
                self._listener.on_mixed(effect.space, effect.programs)
        except Exception:  # one space's trouble must not become another's
            log.exception("bug", space=effect.space)

    def _dismiss(self, number: int) -> None:
        """It ends when its socket closes."""
        self._dismissed.add(number)
        if (child := self._children.get(number)) is not None:
            child.writer.close()

    def _tell(self, number: int, message: ToMixer) -> None:
        if (child := self._children.get(number)) is not None and not child.writer.is_closing():
            child.writer.write(encode(message))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wakes_at_s = self._fleet.wakes_at_s
        if wakes_at_s is not None and not self._is_stopping:
            self._ring_at(max(wakes_at_s, time.monotonic()))

    def _ring_at(self, due_s: float) -> None:
        delay_s = max(0.0, due_s - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_wake, due_s)

    def _on_wake(self, due_s: float) -> None:
        self._timer = None
        now_s = time.monotonic()
        if now_s > due_s + LATE_S:
            self._ring_at(now_s + LATE_S / 2)
        else:
            self._do(self._fleet.on_wake(now_s))

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
        self.account.on_gone(number)
        if not self._is_stopping:
            if number not in self._dismissed:
                self.account.restarts[number] += 1
            self._dismissed.discard(number)
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
            child.writer.close()
        if not self._is_stopping:
            # Its socket is closed: it is gone, or as good as.
            child.kill()
        code = await child.process.wait()
        noted = child.number
        if number in self._dismissed:
            log.info("mixer dismissed", mixer=number)
        elif not self._is_stopping:
            log.warning("mixer ended", mixer=number, code=code, space=self._fleet.name_of(noted))
        return noted

    def _on_message(self, number: int, message: FromMixer) -> None:
        match message:
            case Levels(space, levels):
                if self._listener is not None:
                    self._listener.on_levels(space, levels)
            case Synced(sync):
                if (proceed := self._awaiting.get(number, {}).pop(sync, None)) is not None:
                    proceed()
            case Watched():
                self.account.on_watched(number, message)
            case Ready(libopus):
                log.info("mixer ready", mixer=number, libopus=libopus)
        self._do(self._fleet.on_message(number, message, time.monotonic()))
