"""A test's TCP connection in place of a UDP port: the same datagrams, each in a frame (RFC 4571). Edge (sockets)."""

import asyncio
from collections.abc import Callable
from typing import cast

from tests.harness.path import Path


class TcpPath(Path, asyncio.Protocol):
    """Whatever address a datagram is sent to, it goes to where the connection leads."""

    stream: asyncio.Transport

    def __init__(self, on_datagram: Callable[[Path, bytes], None]) -> None:
        super().__init__(on_datagram)
        self._part = b""
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.stream = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._part += data
        while len(self._part) >= 2 and len(self._part) >= (end := 2 + int.from_bytes(self._part[:2])):
            frame, self._part = self._part[2:end], self._part[end:]
            self.datagram_received(frame, self.stream.get_extra_info("peername"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        super().connection_lost(exc)

    async def close(self) -> None:
        self.stream.close()
        await self._lost

    def send(self, datagram: bytes, to: tuple[str, int]) -> None:
        self.sent_bytes += len(datagram)
        self.stream.write(len(datagram).to_bytes(2) + datagram)

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self.stream.get_extra_info("sockname")
        return host, port


async def open_tcp_path(
    host: str, port: int, on_datagram: Callable[[Path, bytes], None] = lambda _path, _datagram: None
) -> TcpPath:
    loop = asyncio.get_running_loop()
    _, path = await loop.create_connection(lambda: TcpPath(on_datagram), host, port)
    return path
