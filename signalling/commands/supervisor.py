"""Keeps child processes running: says when one dies, starts it again with back-off, ends all in good order. Edge."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

USAGE_EXIT_CODE = 2
"""A child that ends so has told what is wrong with its configuration; starting it again would not help."""

STEADY_S = 30.0
"""A child that ran so long had come up; the next wait is the shortest again."""

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]


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
    program: Program, *, environ: Mapping[str, str], stop: asyncio.Event, say: Callable[[str], None]
) -> None:
    """Runs `program` until `stop` is set, then ends it with SIGTERM. Raises GaveUpError."""
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    while not stop.is_set():
        started_s = loop.time()
        # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then ends all in order.
        child = await asyncio.create_subprocess_exec(*program.argv, env=dict(environ), start_new_session=True)
        exit_code = await _until_exit(child, stop)
        if stop.is_set():
            return
        if exit_code == USAGE_EXIT_CODE:
            raise GaveUpError(program.name, exit_code)
        wait_s = backoff.on_exit(ran_s=loop.time() - started_s)
        say(f"{program.name} (process {child.pid}) {describe_exit(exit_code)}; starting it again in {wait_s:g} s")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)


def describe_exit(exit_code: int) -> str:
    """What became of a process, from its return code as asyncio gives it."""
    if exit_code >= 0:
        return f"ended by itself with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"


async def _until_exit(child: asyncio.subprocess.Process, stop: asyncio.Event) -> int:
    """The exit code; once `stop` is set the child is asked to end, and given the time it takes (it may drain)."""
    ended = asyncio.ensure_future(child.wait())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with suppress(ProcessLookupError):
                child.terminate()
        return await ended
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        raise
    finally:
        stopping.cancel()
