"""One UDP port of a test, with all that came to it. Edge (sockets)."""

import asyncio
from collections.abc import Callable
from typing import cast


class Path(asyncio.DatagramProtocol):
    """One local UDP port of a peer, with all that came to it."""

    transport: asyncio.DatagramTransport

    def __init__(self, on_datagram: Callable[["Path", bytes], None]) -> None:
        self._on_datagram = on_datagram
        self._lost = asyncio.get_running_loop().create_future()
        self.received: list[bytes] = []
        self.sent_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.append(data)
        self._on_datagram(self, data)

    def error_received(self, exc: Exception) -> None:
        """A server that is down refuses by ICMP; the awaited event tells, not this."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set_result(None)

    async def close(self) -> None:
        self.transport.close()
        await self._lost

    def send(self, datagram: bytes, to: tuple[str, int]) -> None:
        self.sent_bytes += len(datagram)
        self.transport.sendto(datagram, to)

    @property
    def received_bytes(self) -> int:
        return sum(len(datagram) for datagram in self.received)

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self.transport.get_extra_info("sockname")
        return host, port


async def open_path(host: str, on_datagram: Callable[[Path, bytes], None] = lambda _path, _datagram: None) -> Path:
    loop = asyncio.get_running_loop()
    _, path = await loop.create_datagram_endpoint(lambda: Path(on_datagram), local_addr=(host, 0))
    return path
