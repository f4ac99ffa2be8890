"""The commands as a person types them: `palco up` in one terminal, the others beside it."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import numpy as np
import pytest

from signalling.client.sound import SAMPLE_RATE_HZ
from signalling.client.sources import read_frames
from tests.harness.processes import poll, take_port

pytestmark = pytest.mark.live

WITHIN_S = 60


class Terminal:
    """Runs `palco` with the environment of one user on one machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = take_port()
        self._started: list[asyncio.subprocess.Process] = []
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PALCO")},
            "XDG_RUNTIME_DIR": str(directory),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._ports = {
            "PALCO_PORT": str(self.port),
            "PALCO_RTC__UDP_PORTS": str(take_port()),
            "PALCO_METRICS__SFU_PORT": str(take_port()),
            "PALCO_METRICS__SIGNALLING_PORT": str(take_port()),
        }

    async def start(self, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
        """The command under way; what it says to people comes by `stderr`."""
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "signalling", *arguments),
            cwd=self.directory,
            env={**self._environ, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._started.append(command)
        return command

    async def close(self) -> None:
        """Ends what a failed test has left running, servers last."""
        for command in reversed(self._started):
            if command.returncode is None:
                await end(command)

    async def type(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command that ends by itself."""
        command = await self.start(*arguments, **environ)
        async with asyncio.timeout(WITHIN_S):
            out, error = await command.communicate()
        return command.returncode or 0, out.decode(), error.decode()

    async def up(self) -> asyncio.subprocess.Process:
        return await self.start("up", **self._ports)


async def read_until(command: asyncio.subprocess.Process, pattern: str) -> str:
    """What the command has said up to the line that matches."""
    assert command.stderr is not None
    said = ""
    async with asyncio.timeout(WITHIN_S):
        while not re.search(pattern, said):
            line = await command.stderr.readline()
            assert line, f"it ended without {pattern!r}:\n{said}"
            said += line.decode()
    return said


async def end(command: asyncio.subprocess.Process) -> str:
    """The rest of what it says after SIGINT, as Ctrl-C sends it."""
    command.send_signal(signal.SIGINT)
    async with asyncio.timeout(WITHIN_S):
        _, error = await command.communicate()
    return error.decode()


def children_of(process: asyncio.subprocess.Process) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.fixture
async def terminal(tmp_path: Path) -> AsyncIterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    await terminal.close()


@pytest.fixture
async def server(terminal: Terminal) -> asyncio.subprocess.Process:
    """A development server that has said what to do next."""
    command = await terminal.up()
    await read_until(command, "Ctrl-C here stops it")
    return command


def loudest_hz(path: Path) -> float:
    """Of the middle second of a recording."""
    samples = np.concatenate(list(read_frames(str(path))))
    middle = len(samples) // 2
    second = samples[middle - SAMPLE_RATE_HZ // 2 : middle + SAMPLE_RATE_HZ // 2]
    return float(np.argmax(np.abs(np.fft.rfft(second * np.hanning(len(second))))))


async def test_what_one_publishes_the_other_records(server: object, terminal: Terminal) -> None:
    speaker = await terminal.start("publish", "--tone", "440")
    await read_until(speaker, "On stage")
    exit_code, _, said = await terminal.type("listen", "-o", "heard.wav", "--duration", "3")
    assert exit_code == 0, said
    assert re.search(r"00:03 +\d+ packets .* lost \d+ \([0-2]\.\d%\)", said)
    assert "00:0" in await end(speaker)
    assert loudest_hz(terminal.directory / "heard.wav") == 440


async def test_two_speakers_are_recorded_apart(server: object, terminal: Terminal) -> None:
    speakers = [await terminal.start("publish", "--tone", tone) for tone in ("440", "1000")]
    for speaker in speakers:
        await read_until(speaker, "On stage")
    exit_code, _, said = await terminal.type("listen", "-o", "heard.ogg", "--slots", "2", "--duration", "3")
    assert exit_code == 0, said
    heard = {loudest_hz(terminal.directory / f"heard-{number}.ogg") for number in (1, 2)}
    assert heard == {440, 1000}
    for speaker in speakers:
        await end(speaker)


async def test_a_token_made_here_opens_the_server_here(server: object, terminal: Terminal) -> None:
    exit_code, token, _ = await terminal.type("token", "--room-list", "--identity", "anna")
    assert exit_code == 0
    async with httpx2.AsyncClient(trust_env=False) as http:
        url = f"http://127.0.0.1:{terminal.port}/v1/spaces"
        answer = await http.get(url, headers={"Authorization": f"Bearer {token.strip()}"})
    assert [space["id"] for space in answer.json()["spaces"]] == ["demo"]


async def test_the_doctor_finds_a_running_server_well(server: object, terminal: Terminal) -> None:
    exit_code, said, _ = await terminal.type("doctor")
    assert exit_code == 0, said
    assert f"ok  Palco: runs at http://127.0.0.1:{terminal.port}" in said
    assert "in use by Palco" in said


async def test_a_second_server_on_the_same_port_says_what_to_do(server: object, terminal: Terminal) -> None:
    exit_code, _, said = await terminal.type("up", PALCO_PORT=str(terminal.port))
    assert exit_code == 1
    assert f"TCP port {terminal.port} at 127.0.0.1 cannot be had: in use by another program" in said


async def test_a_process_that_dies_is_told_of_and_started_again(
    server: asyncio.subprocess.Process, terminal: Terminal
) -> None:
    for child in children_of(server):
        os.kill(child, signal.SIGKILL)
    said = await read_until(server, r"(?s)(sfu|signalling) \(process .*(sfu|signalling) \(process ")
    assert said.count("was killed by SIGKILL; starting it again in 0.5 s") == 2
    await read_until(server, "sfu_connected")
    assert "palco: stopped." in await end(server)


async def test_nothing_is_left_when_it_is_killed(server: asyncio.subprocess.Process) -> None:
    """kill -9 of the supervisor: the kernel ends its children."""
    children = children_of(server)
    server.kill()
    await server.wait()
    await asyncio.to_thread(
        lambda: poll(lambda: not any(map(is_alive, children)), what="the children's end", within_s=WITHIN_S)
    )


async def test_a_reload_reaches_both_processes(server: asyncio.subprocess.Process) -> None:
    server.send_signal(signal.SIGHUP)
    said = await read_until(server, r"(?s)reloaded.*reloaded")
    assert "reload_refused" not in said


async def test_nothing_is_left_after_ctrl_c(terminal: Terminal) -> None:
    server = await terminal.up()
    await read_until(server, "Ctrl-C here stops it")
    children = children_of(server)
    assert len(children) == 2
    await end(server)
    assert server.returncode == 0
    assert not any(is_alive(child) for child in children)
    assert list(terminal.directory.glob("**/*.json")) == []


async def test_a_space_that_is_not_there_is_a_sentence(server: object, terminal: Terminal) -> None:
    exit_code, _, said = await terminal.type("listen", "--space", "elsewhere", "--duration", "1")
    assert exit_code == 1
    assert "unknown_space" in said
    assert "Traceback" not in said
