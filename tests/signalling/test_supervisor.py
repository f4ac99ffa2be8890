"""Children are kept running, never silently; all end with their supervisor."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.commands.supervisor import GaveUpError, Orders, Program, keep_running

pytestmark = pytest.mark.live

WITHIN_S = 30.0

TELLS_ITS_PID = """
import os, signal, sys
with open(sys.argv[1], "w") as pipe:
    pipe.write(f"{os.getpid()}\\n")
signal.pause()
"""
TELLS_ITS_SIGNALS = """
import os, signal, sys
pipe = open(sys.argv[1], "w", buffering=1)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
pipe.write(f"{os.getpid()}\\n")
heard = []
while heard.count(signal.SIGTERM) < 2:
    heard.append(signal.sigwait({signal.SIGTERM, signal.SIGHUP}))
    pipe.write(f"{int(heard[-1])}\\n")
"""
IS_A_SUPERVISOR = """
import asyncio, os, sys
from signalling.commands.supervisor import Orders, Program, keep_running
child = Program("child", [sys.executable, "-c", sys.argv[2], sys.argv[1]])
asyncio.run(keep_running(child, environ=os.environ, orders=Orders(), say=print))
"""
IS_STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{TELLS_ITS_PID}"


class Family:
    """A supervisor to be, what it says, and its children, who tell their pids through a named pipe."""

    def __init__(self, pipe: Path, pids: asyncio.StreamReader) -> None:
        self.pipe = str(pipe)
        self._pids = pids
        self.orders = Orders()
        self.said: list[str] = []

    def supervise(self, script: str) -> "asyncio.Task[None]":
        program = Program("child", [sys.executable, "-c", script, self.pipe])
        return asyncio.create_task(keep_running(program, environ=os.environ, orders=self.orders, say=self.said.append))

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
    family.orders.stop.set()
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
    family.orders.stop.set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)


async def test_orders_become_signals_the_second_to_stop_as_well(family: Family) -> None:
    running = family.supervise(TELLS_ITS_SIGNALS)
    await family.next_pid()
    heard = []
    for order in (family.orders.reload, family.orders.reload, family.orders.stop, family.orders.now):
        order.set()
        heard.append(await family.next_pid())
    await running
    assert heard == [signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM]


async def test_children_die_with_a_supervisor_that_is_killed(family: Family) -> None:
    """kill -9 leaves it no moment to say goodbye; the child would not even hear SIGTERM."""
    argv = [sys.executable, "-c", IS_A_SUPERVISOR, family.pipe, IS_STUBBORN]
    supervisor = await asyncio.create_subprocess_exec(*argv, cwd=Path(__file__).parents[2])
    child = await family.next_pid()
    watched = os.pidfd_open(child)
    supervisor.kill()
    await supervisor.wait()
    died = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, died.set)
    try:
        async with asyncio.timeout(WITHIN_S):
            await died.wait()
    finally:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)
