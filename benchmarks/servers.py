"""The servers that are measured side by side, Palco itself among them, each joined by the same load program.

Whatever does not speak WHIP and WHEP has a gateway in front that does; a gateway is a process of its own, so that its
cost is not the server's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict


class Session(TypedDict):
    """A session as `palco-load` reads it (`benchmarks/load/src/job.rs`)."""

    role: str
    url: str
    token: str
    sections: int


@dataclass(frozen=True)
class Space:
    """Where speakers and listeners of one space join."""

    whip_url: str
    whep_url: str
    speaker_token: Callable[[int], str]
    """By the speaker's number."""
    listener_token: Callable[[int], str]
    sections: int
    """Receiving audio sections that a listener offers."""

    def speaker(self, number: int) -> Session:
        return Session(role="speak", url=self.whip_url, token=self.speaker_token(number), sections=1)

    def listener(self, number: int) -> Session:
        return Session(role="listen", url=self.whep_url, token=self.listener_token(number), sections=self.sections)


class Running(Protocol):
    """A server that was started for one scenario."""

    @property
    def pids(self) -> list[int]:
        """The server's own processes (children are found), not those of a gateway."""

    async def open_space(self, name: str) -> Space: ...

    async def stop(self) -> None: ...


class Server(Protocol):
    name: str
    how_to_install: str

    def version(self) -> str | None:
        """None where it is not installed."""

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> Running:
        """Starts it pinned to `cpu`, on 127.0.0.1 only, ready to be joined."""
