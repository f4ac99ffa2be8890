"""Processes of peers and their gateways: started on given CPUs, awaited until they answer, ended by their id."""

import asyncio
import os
import resource
import socket
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Iterable, Mapping
from pathlib import Path

READY_S = 20.0
POLL_S = 0.05
STOP_S = 5.0
TAIL_LINES = 15


class SetupError(Exception):
    """A peer could not be installed or started; the sentence says why."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def other_cpus(cpu: int) -> list[int]:
    """Where gateways run: everywhere but on the CPU of the server, if there is another."""
    return sorted(os.sched_getaffinity(0) - {cpu}) or [cpu]


class Child:
    """A running process that listens on a TCP port of the loopback interface."""

    def __init__(self, name: str, process: Process, port: int, log: Path) -> None:
        self._name, self._process, self._port, self._log = name, process, port, log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        """Returns when the port accepts. Raises SetupError with the end of its log where the process ends before."""
        deadline_s = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < deadline_s:
            if self._process.returncode is not None:
                raise SetupError(f"{self._name} ended with code {self._process.returncode}:\n{self.tail()}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(POLL_S)
                continue
            writer.close()
            return
        raise SetupError(f"{self._name} does not listen on port {self._port} after {READY_S:.0f} s:\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    async def stop(self) -> None:
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def start(
    name: str,
    command: Iterable[str | Path],
    *,
    port: int,
    cpus: Iterable[int],
    workdir: Path,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Runs `command` on `cpus` in `workdir`, which exists, its output in `<name>.log` there.

    It ends with this process at the latest.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # inherited: a listener is at least one open file
    log = workdir / f"{name}.log"
    pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", ",".join(map(str, cpus))]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *pinned,
            *map(str, command),
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            cwd=workdir,
            env={**os.environ, **(environment or {})},
        )
    return Child(name, process, port, log)


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs one of our modules."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def module_path() -> Mapping[str, str]:
    """What a child needs in its environment to find our modules from another working directory."""
    return {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


async def run(
    command: Iterable[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Runs an installation step, its output shown as it comes. Raises SetupError with its command where it fails."""
    words = [str(word) for word in command]
    process = await asyncio.create_subprocess_exec(
        *words, stdin=DEVNULL, cwd=cwd, env={**os.environ, **(environment or {})}
    )
    if await process.wait() != 0:
        raise SetupError(f"`{' '.join(words)}` failed with code {process.returncode}")
