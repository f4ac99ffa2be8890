"""The servers that Palco is measured next to, each joined by the same load through the same two HTTP requests.

A peer that does not speak WHIP and WHEP itself gets a gateway: a process of its own, so that what translation costs is
counted to nobody. Each peer runs in the configuration that is fastest for the job; its module says which and why.
`python -m benchmarks.peers` lists them, `python -m benchmarks.peers install` fetches and builds what can be had.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks.peers.process import Child
from benchmarks.servers import Server, Space

CACHE: Final = Path.home() / ".cache" / "palco-bench"
"""Where peers are built; outside the tree, so that no clone has to do it again."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started peer. `pids` are the server proper, the whole of it: what its CPU and memory are read from."""

    pids: list[int]
    base_url: str
    sections: int
    token: str = "benchmark"
    children: list[Child] = field(repr=False)

    async def open_space(self, name: str) -> Space:
        """Peers make their rooms when the first speaker comes."""
        return Space(
            whip_url=f"{self.base_url}/whip/{name}",
            whep_url=f"{self.base_url}/whep/{name}",
            speaker_token=lambda _: self.token,
            listener_token=lambda _: self.token,
            sections=self.sections,
        )

    async def stop(self) -> None:
        """Ends its processes, the gateway first, so that it does not report a server that went away."""
        for child in reversed(self.children):
            await child.stop()


class Peer(Server, Protocol):
    """A server to measure that can be installed from here."""

    async def install(self) -> None:
        """Fetches and builds what is missing of it. Raises `benchmarks.peers.process.SetupError` where it cannot."""

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
