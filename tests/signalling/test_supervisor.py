"""Children are kept running, never silently; all end with their supervisor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.commands.supervisor import GaveUpError, Program, keep_running

pytestmark = pytest.mark.live

TELLS_ITS_PID = """
import os, signal, sys
with open(sys.argv[1], "w") as pipe:
    pipe.write(f"{os.getpid()}\\n")
signal.pause()
"""
IS_STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{TELLS_ITS_PID}"


class Family:
    """A supervisor to be, what it says, and its children, who tell their pids through a named pipe."""

    def __init__(self, pipe: Path, pids: asyncio.StreamReader) -> None:
        self._pipe = pipe
        self._pids = pids
        self.stop = asyncio.Event()
        self.said: list[str] = []

    def supervise(self, script: str) -> "asyncio.Task[None]":
        program = Program("child", [sys.executable, "-c", script, str(self._pipe)])
        return asyncio.create_task(keep_running(program, environ=os.environ, stop=self.stop, say=self.said.append))

    async def next_pid(self) -> int:
        return int(await self._pids.readline())


@pytest.fixture
async def family(tmp_path: Path) -> AsyncIterator[Family]:
    pipe = tmp_path / "pids"
    os.mkfifo(pipe)
    pids = asyncio.StreamReader()
    # Opened for writing too, so that it does not end while no child has it open.
    file = os.fdopen(os.open(pipe, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(pids), file)
    yield Family(pipe, pids)
    transport.close()


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_child_that_dies_is_told_of_and_started_again(family: Family) -> None:
    running = family.supervise(TELLS_ITS_PID)
    first = await family.next_pid()
    os.kill(first, signal.SIGKILL)
    second = await family.next_pid()
    family.stop.set()
    await running
    assert family.said == [f"child (process {first}) was killed by SIGKILL; starting it again in 0.5 s"]
    assert not is_alive(second)


async def test_a_child_whose_configuration_is_wrong_is_not_started_again(family: Family) -> None:
    with pytest.raises(GaveUpError, match="child ended with exit code 2"):
        await family.supervise("raise SystemExit(2)")
    assert family.said == []


async def test_a_child_that_will_not_end_goes_when_its_supervisor_is_cancelled(family: Family) -> None:
    running = family.supervise(IS_STUBBORN)
    pid = await family.next_pid()
    family.stop.set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)
