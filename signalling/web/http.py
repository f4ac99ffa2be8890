"""uvicorn's protocols, with bounds on what comes before a request is complete (threats T29, T31).

Its parser keeps whatever header it is sent, for as long as it is sent. Here a header has a size, a count and a time.
Both protocols also hand their transport to the application (`TRANSPORT`), since event streams write the same bytes to
thousands of connections (`signalling.web.wires`).
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

MAX_HEADER_BYTES: Final = 16_384
MAX_HEADERS: Final = 100
HEADER_WITHIN_S: Final = 10.0

TRANSPORT: Final = "palco.transport"
"""Among the extensions of the ASGI scope: the connection's asyncio transport."""

_PROBLEM: Final = (
    b'{"type":"urn:palco:problem:too_many_headers","title":"The header is too large","status":431,'
    b'"detail":"send a shorter header","code":"too_many_headers"}'
)
_TOO_MANY: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose header is too large, or not complete in time."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_bytes = 0
        self._is_in_header = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_WITHIN_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_in_header:
            if self._deadline is None:
                self._deadline = self.loop.call_later(HEADER_WITHIN_S, self.transport.close)
            self._header_bytes += len(data)
        super().data_received(data)
        # What came in one piece with the header may be body; a piece is at most 256 KiB, so this stays a bound.
        if self._is_in_header and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        self._is_in_header = True
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refuse()

    def on_headers_complete(self) -> None:
        self._is_in_header = False
        self._header_bytes = 0
        self._disarm()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_header = True
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        if not self.transport.is_closing():
            super().on_body(body)

    def handle_websocket_upgrade(self) -> None:
        self._disarm()
        super().handle_websocket_upgrade()

    def _disarm(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(_TOO_MANY)
            self.transport.close()


class TellingSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, whose application may write frames by itself."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # else it was no handshake, and there is no scope
            self.scope["extensions"][TRANSPORT] = {"transport": self.transport}
