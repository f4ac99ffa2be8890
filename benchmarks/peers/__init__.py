"""The servers that Palco is measured next to, each joined by the same load through the same two HTTP requests.

A peer that does not speak WHIP and WHEP itself gets a gateway: a process of its own, so that what translation costs is
counted to nobody. Each peer runs in the configuration that is fastest for the job; its module says which and why.
`python -m benchmarks.peers` lists them, `python -m benchmarks.peers install` fetches and builds what can be had.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.peers.process import Child

ROOM = "bench"
"""The room of `Running.whip_url` and `whep_url`; another name as last path segment is another room."""

CACHE = Path.home() / ".cache" / "palco-bench"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started peer. `pids` are the server proper, the whole of it: what its CPU and memory are read from."""

    pids: list[int]
    base_url: str
    sections: int
    token: str = "benchmark"
    children: list[Child] = field(repr=False)

    @property
    def whip_url(self) -> str:
        return f"{self.base_url}/whip/{ROOM}"

    @property
    def whep_url(self) -> str:
        return f"{self.base_url}/whep/{ROOM}"

    async def stop(self) -> None:
        """Ends its processes, the gateway first, so that it does not report a server that went away."""
        for child in reversed(self.children):
            await child.stop()


class Peer(Protocol):
    """A server to measure: how to tell whether it is here, how to get it, how to start it."""

    @property
    def name(self) -> str: ...

    @property
    def how_to_install(self) -> str:
        """One sentence, for whoever misses it in the tables."""

    def version(self) -> str | None:
        """None where it is not installed."""

    async def install(self) -> None:
        """Fetches and builds it. Raises `benchmarks.peers.process.SetupError` where that cannot be done."""

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        """Runs the server on `cpu` alone, its logs in `workdir` (which exists), ready for `speakers` in each room."""


async def started(children: list[Child], running: Running) -> Running:
    """`running` once every child answers; ends them all where one does not."""
    try:
        for child in children:
            await child.ready()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            await running.stop()
        raise
    return running
