"""Real mixer processes at real sockets: they mix, they may die, and the sfu is told in time."""

import ast
import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sfu.audio import rtp
from sfu.audio.contract import Settings, Taps
from sfu.audio.supervisor import Supervisor
from tests.sfu.audio.studio import Speaker, encode, tone, voice

ROOT = Path(__file__).parents[3]

PATIENCE_S = 20.0
"""For a process to start on a busy machine."""


class Sfu:
    """The other end: speaks into a tap, hears what comes back, and notes what it is told, and when."""

    def __init__(self, directory: Path, processes: int) -> None:
        self.supervisor = Supervisor(processes=processes, directory=directory)
        self.supervisor.start(self)
        self.mixed: dict[str, dict[int | None, int]] = {}
        self.told: list[tuple[float, str, str]] = []
        self.levels: dict[int, float] = {}
        self.heard: dict[str, list[rtp.Packet]] = {}
        self._changed = asyncio.Event()
        self._stack = contextlib.ExitStack()

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        self.mixed[space] = programs
        self._note("mixed", space)

    def on_unmixed(self, space: str) -> None:
        self.mixed.pop(space, None)
        self._note("unmixed", space)

    def on_levels(self, space: str, levels: tuple[tuple[int, float], ...]) -> None:
        self.levels.update(levels)
        self._note("levels", space)

    def _note(self, what: str, space: str) -> None:
        self.told.append((time.monotonic(), what, space))
        self._changed.set()

    async def until(self, what: str, space: str, *, after: int = 0, times: int = 1) -> float:
        """When it was told so many times; `after` so many notes."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                fitting = [at_s for at_s, told, of in self.told[after:] if (told, of) == (what, space)]
                if len(fitting) >= times:
                    return fitting[times - 1]
                self._changed.clear()
                await self._changed.wait()

    def open(self, space: str, settings: Settings | None = None) -> Taps:
        taps = self.supervisor.open_space(space, settings or Settings())
        tap = self._stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
        tap.bind(taps.sfu)
        self.heard[space] = []

        def hear() -> None:
            with contextlib.suppress(BlockingIOError):
                while (packet := rtp.parse(tap.recv(2048))) is not None:
                    self.heard[space].append(packet)
                    self._note("heard", space)

        asyncio.get_running_loop().add_reader(tap.fileno(), hear)
        self._stack.callback(asyncio.get_running_loop().remove_reader, tap.fileno())
        return taps

    async def speak(self, taps: Taps, speaker: Speaker, seconds: float) -> None:
        began_s = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as tap:
            for at_s, datagram in speaker.send():
                if at_s > seconds:
                    break
                await asyncio.sleep(max(0.0, began_s + at_s - time.monotonic()))
                with contextlib.suppress(OSError):
                    tap.sendto(datagram, taps.mixer)

    async def close(self) -> None:
        await self.supervisor.stop()
        self._stack.close()


@pytest.fixture
async def sfu(tmp_path: Path) -> AsyncIterator[Sfu]:
    sfu = Sfu(tmp_path, processes=1)
    yield sfu
    await sfu.close()


@pytest.mark.live
class TestMixing:
    async def test_what_is_said_into_a_tap_comes_back_from_it(self, sfu: Sfu) -> None:
        taps = sfu.open("town")
        sfu.supervisor.set_voice("town", 7, is_open=True)
        await sfu.until("mixed", "town")
        speaker = Speaker(ssrc=7, payloads=encode(voice(0)))
        await sfu.speak(taps, speaker, seconds=2.0)
        passed = [packet for packet in sfu.heard["town"] if packet.payload in speaker.payloads]
        assert len(passed) > 40
        assert {packet.ssrc for packet in passed} == set(sfu.mixed["town"].values())

    async def test_levels_of_those_who_do_not_tell_are_told(self, sfu: Sfu) -> None:
        taps = sfu.open("town")
        sfu.supervisor.set_voice("town", 7, is_open=True)
        await sfu.until("mixed", "town")
        # A tone, not a voice: whatever moment the last level is of, it is as loud.
        await sfu.speak(taps, Speaker(ssrc=7, payloads=encode(tone(500, 2.0))), seconds=1.5)
        assert -50 < sfu.levels[7] < -5

    async def test_a_closed_gate_is_silence(self, sfu: Sfu) -> None:
        taps = sfu.open("town")
        sfu.supervisor.set_voice("town", 7, is_open=False)
        await sfu.until("mixed", "town")
        await sfu.speak(taps, Speaker(ssrc=7, payloads=encode(voice(0))), seconds=1.0)
        assert sfu.heard["town"] == []

    async def test_what_was_said_is_obeyed_when_that_is_told(self, sfu: Sfu) -> None:
        taps = sfu.open("town")
        sfu.supervisor.set_voice("town", 7, is_open=True)
        await sfu.until("mixed", "town")
        speaking = asyncio.create_task(sfu.speak(taps, Speaker(ssrc=7, payloads=encode(tone(500, 4.0))), seconds=2.0))
        await sfu.until("heard", "town", times=20)
        sfu.supervisor.set_voice("town", 7, is_open=False)
        obeyed = asyncio.Event()
        sfu.supervisor.when_obeyed("town", obeyed.set)
        await obeyed.wait()
        count = len(sfu.heard["town"])
        await speaking
        # What the socket held, the frame in which the voice fades, and three of silence that close the stream.
        assert len([packet for packet in sfu.heard["town"][count:] if len(packet.payload) > 3]) <= 8

    async def test_nothing_is_to_be_waited_for_where_no_process_has_the_space(self, sfu: Sfu) -> None:
        obeyed: list[bool] = []
        sfu.supervisor.when_obeyed("nowhere", lambda: obeyed.append(True))
        sfu.open("town")
        sfu.supervisor.when_obeyed("town", lambda: obeyed.append(True))
        assert obeyed == [True, True]

    async def test_a_space_without_a_place_for_its_socket_is_alone_in_failing(self, sfu: Sfu, tmp_path: Path) -> None:
        (tmp_path / "1.mixer" / "in the way").mkdir(parents=True)
        sfu.supervisor.open_space("unlucky", Settings())
        sfu.open("town")
        await sfu.until("mixed", "town")
        assert "unlucky" not in sfu.mixed

    async def test_when_the_sfu_goes_they_end(self, tmp_path: Path) -> None:
        sfu = Sfu(tmp_path, processes=2)
        sfu.open("town")
        await sfu.until("mixed", "town")
        pids = list(sfu.supervisor.pids.values())
        assert len(pids) >= 1
        await sfu.close()
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


@pytest.mark.live
class TestDeath:
    async def test_a_dead_mixer_is_told_within_100_ms_and_the_space_is_mixed_again(self, sfu: Sfu) -> None:
        sfu.open("town")
        await sfu.until("mixed", "town")
        before, programs = len(sfu.told), sfu.mixed["town"]
        killed_s = time.monotonic()
        os.kill(sfu.supervisor.pids[0], signal.SIGKILL)
        assert await sfu.until("unmixed", "town", after=before) - killed_s < 0.1 + await late()
        await sfu.until("mixed", "town", after=before)
        assert set(sfu.mixed["town"].values()).isdisjoint(programs.values())

    async def test_so_is_one_that_hangs_and_it_comes_back_by_itself(self, sfu: Sfu) -> None:
        sfu.open("town")
        await sfu.until("mixed", "town")
        before = len(sfu.told)
        stopped_s = time.monotonic()
        os.kill(sfu.supervisor.pids[0], signal.SIGSTOP)
        assert await sfu.until("unmixed", "town", after=before) - stopped_s < 0.1 + await late()
        os.kill(sfu.supervisor.pids[0], signal.SIGCONT)
        await sfu.until("mixed", "town", after=before)


async def late() -> float:
    """How far behind this machine's timers are now: on one with twenty things to do, a promise in milliseconds is its
    scheduler's to keep, not ours."""
    worst_s = 0.0
    for _ in range(20):
        began_s = time.monotonic()
        await asyncio.sleep(0.005)
        worst_s = max(worst_s, time.monotonic() - began_s - 0.005)
    return 3 * worst_s


def test_the_sfu_does_not_load_numpy_or_libopus_to_supervise() -> None:
    """Decoding, and all that it takes, stays in the mixer's processes."""
    seen: set[str] = set()
    waiting = ["sfu.audio.supervisor"]
    while waiting:
        module = waiting.pop()
        path = ROOT / f"{module.replace('.', '/')}.py"
        if module in seen or not path.exists():
            seen.add(module)
            continue
        seen.add(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    assert {"sfu.audio.fleet", "sfu.audio.contract"} < seen
    assert not {"numpy", "ctypes", "av", "sfu.audio.opus", "sfu.audio.mixer"} & seen
