"""HTTP/1.1 requests over a few connections that stay open, at hardly any cost to whoever measures. Edge (sockets).

A client library keeps a pool whose upkeep grows with what waits; under an open loop that would be measured instead.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

CONNECTIONS: Final = 64


class Asked(Struct, frozen=True):
    """What came back."""

    status: int
    body: bytes


class Line:
    """One connection; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Asked:
        """Raises ConnectionError, asyncio.IncompleteReadError."""
        if self._reader is None or self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        content = b"" if body is None else msgspec.json.encode(body)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}", f"Content-Length: {len(content)}"]
        if content:
            lines.append("Content-Type: application/json")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        header = await self._reader.readuntil(b"\r\n\r\n")
        length = _length_of(header)
        answer = await self._reader.readexactly(length) if length else b""
        if b"connection: close" in header.lower():
            self.close()
        return Asked(int(header[9:12]), answer)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _length_of(header: bytes) -> int:
    for line in header.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


class Lines:
    """So many connections, taken in turns."""

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._lines = [Line(host, int(port)) for _ in range(connections)]
        self._free: asyncio.LifoQueue[Line] = asyncio.LifoQueue()
        for line in self._lines:
            self._free.put_nowait(line)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: object = None) -> Asked:
        """As `Line.ask`, when one is free."""
        line = await self._free.get()
        try:
            return await line.ask(method, path, headers, body)
        except BaseException:
            line.close()
            raise
        finally:
            self._free.put_nowait(line)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Lines"]:
        try:
            yield self
        finally:
            for line in self._lines:
                line.close()
