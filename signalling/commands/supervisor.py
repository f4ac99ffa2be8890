"""Keeps a child process running, says when it died, and ends it with ourselves. Edge (processes).

A child that dies is started again after a wait that grows, so that a machine which cannot run it is not kept busy with
trying; each time it is said, with what became of it. A supervisor that is killed takes its children with it: the kernel
sees to that.
"""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

USAGE_EXIT_CODE = 2
"""A child that ends so has told what is wrong with its configuration; starting it again would not help."""

STEADY_S = 30.0
"""A child that ran so long had come up; the next wait is the shortest again."""

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]


@dataclass(frozen=True)
class Orders:
    """What a child's supervisor was told: `stop` asks the child to end in its own time, `now` a second time."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    """Set for each SIGHUP; cleared by who passes it on."""


class Backoff:
    """How long to wait before the next start: doubling, and short again after a steady run. Pure."""

    def __init__(self) -> None:
        self._wait_s = FIRST_WAIT_S

    def on_exit(self, *, ran_s: float) -> float:
        if ran_s >= STEADY_S:
            self._wait_s = FIRST_WAIT_S
        wait_s = self._wait_s
        self._wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        return wait_s


class GaveUpError(Exception):
    """A child ended in a way that a restart does not mend."""

    def __init__(self, name: str, exit_code: int) -> None:
        super().__init__(f"{name} ended with exit code {exit_code}")
        self.exit_code = exit_code


async def keep_running(
    program: Program, *, environ: Mapping[str, str], orders: Orders, say: Callable[[str], None]
) -> None:
    """Runs `program` until it is to stop, then ends it with SIGTERM. Raises GaveUpError."""
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    while not orders.stop.is_set():
        started_s = loop.time()
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then ends all in order.
        child = await asyncio.create_subprocess_exec(
            *program.argv, env=dict(environ), start_new_session=True, preexec_fn=_die_with(os.getpid())
        )
        exit_code = await _until_exit(child, orders)
        if orders.stop.is_set():
            return
        if exit_code == USAGE_EXIT_CODE:
            raise GaveUpError(program.name, exit_code)
        wait_s = backoff.on_exit(ran_s=loop.time() - started_s)
        say(f"{program.name} (process {child.pid}) {describe_exit(exit_code)}; starting it again in {wait_s:g} s")
        with suppress(TimeoutError):
            await asyncio.wait_for(orders.stop.wait(), wait_s)


def describe_exit(exit_code: int) -> str:
    """What became of a process, from its return code as asyncio gives it."""
    if exit_code >= 0:
        return f"ended by itself with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


def _die_with(supervisor: int) -> Callable[[], None]:
    """For the child, before it becomes the program: SIGKILL when the thread that forked it dies (prctl(2)).

    SIGTERM would begin a drain, and nobody would be left to end that.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: after the fork nothing but system calls is safe

    def ask_the_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != supervisor:
            os.kill(os.getpid(), signal.SIGKILL)  # it died before we had asked

    return ask_the_kernel


async def _until_exit(child: asyncio.subprocess.Process, orders: Orders) -> int:
    """The exit code; orders are passed on as signals, and the child is given the time it takes (it may drain)."""
    passing_on = [
        asyncio.create_task(_pass_on(child, orders.stop, signal.SIGTERM)),
        asyncio.create_task(_pass_on(child, orders.now, signal.SIGTERM)),
        asyncio.create_task(_pass_on_each(child, orders.reload, signal.SIGHUP)),
    ]
    try:
        return await child.wait()
    except asyncio.CancelledError:
        _signal(child, signal.SIGKILL)
        await child.wait()
        raise
    finally:
        for task in passing_on:
            task.cancel()


async def _pass_on(child: asyncio.subprocess.Process, order: asyncio.Event, number: signal.Signals) -> None:
    await order.wait()
    _signal(child, number)


async def _pass_on_each(child: asyncio.subprocess.Process, order: asyncio.Event, number: signal.Signals) -> None:
    while True:
        await order.wait()
        order.clear()
        _signal(child, number)


def _signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        child.send_signal(number)
