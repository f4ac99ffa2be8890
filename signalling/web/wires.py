"""Connections that event streams write to, past ASGI: one write of shared bytes for each. Edge (transports).

ASGI's `send` makes a coroutine, a message and a copy for each reader and event; ten thousand readers cannot afford it.
What the kernel may hold for a connection is bounded here, what the process may hold in `signalling.feeds`.
"""

import asyncio
import socket
from typing import Final

from starlette.types import Scope

from signalling.errors import Bug
from signalling.frames import HEARTBEAT, chunk, pack_chunk, pack_websocket
from signalling.web.http import TRANSPORT

SEND_BUFFER_BYTES: Final = 32 * 1024
"""The kernel doubles it for its own bookkeeping, so that a reader who stalls holds 64 KiB there. It is the window of
what is on its way: a second of the most that is told, over any network."""


class _Wire:
    """A transport with the bounds of an event stream."""

    def __init__(self, scope: Scope) -> None:
        try:
            self._transport: asyncio.Transport = scope["extensions"][TRANSPORT]["transport"]
        except KeyError:
            raise Bug("event streams need signalling's own HTTP server") from None
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def backlog_bytes(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def abort(self) -> None:
        self._transport.abort()


class EventStreamWire(_Wire):
    """Of a response whose header has been sent, in chunks."""

    packing = staticmethod(pack_chunk)
    heartbeat = chunk(HEARTBEAT)


class SocketWire(_Wire):
    """Of a WebSocket that has been accepted; uvicorn pings it."""

    packing = staticmethod(pack_websocket)
    heartbeat = b""
