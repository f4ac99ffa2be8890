"""The control connection's socket: signalling connects, says Hello, commands, and hears reports. Edge.

One connection is primary. A newer one that has said a good Hello takes its place: the older is a signalling process on
its way out, or one whose end has not been noticed. Without any connection media goes on as it is.
"""

import asyncio
import hmac
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, cast

import structlog

from sfu.contract.config import Control as Settings
from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Answer,
    Command,
    Done,
    FromSfu,
    Goodbye,
    Hello,
    Load,
    Refused,
    Reply,
    Report,
    Request,
)
from sfu.contract.wire import (
    MAX_FROM_SFU_BYTES,
    MAX_REQUEST_BYTES,
    Malformed,
    RequestReader,
    WireError,
    encode_from_sfu,
)
from sfu.errors import StartError

HELLO_WITHIN_S: Final = 5.0
HELLO_BYTES: Final = 4096
"""The longest frame heard from someone who has not said who he is."""

MAX_UNREAD_BYTES: Final = MAX_FROM_SFU_BYTES + (8 << 20)
"""A signalling that leaves this unread has stopped; it will ask for a snapshot when it is back."""

LOAD_EVERY_S: Final = 1.0

log = structlog.get_logger("sfu.control")


class Obedient(Protocol):
    """What commands go to: the relay."""

    def obey(self, command: Command, reply: Callable[[Answer], None]) -> None: ...

    def load(self) -> Load: ...


class Control:
    """Reports may be announced before anyone listens; they are for whoever is connected then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = settings.secret.encode() if settings.tcp else b""
        self._primary: _Connection | None = None
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._own_inode: int | None = None

    def announce(self, report: Report) -> None:
        if self._primary is not None:
            self._primary.send(report)

    async def listen(self, relay: Obedient) -> None:
        """Raises StartError when the address cannot be had."""
        loop = asyncio.get_running_loop()

        def connect() -> _Connection:
            return _Connection(self, relay, secret=self._secret)

        if self._settings.tcp is not None:
            self._server = await loop.create_server(connect, sock=_bind_tcp(*self._settings.tcp))
        else:
            path = Path(self._settings.socket)
            listening = _bind_unix(path)
            self._own_inode = path.stat().st_ino  # noqa: ASYNC240 - a stat of our own socket
            self._server = await loop.create_unix_server(connect, sock=listening)
        self._tick(relay)

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        if self._primary is not None:
            self._primary.close()
            self._primary = None  # our own end is no loss of theirs
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self._unlink()

    def _unlink(self) -> None:
        """Takes away our own socket file, not that of an sfu started since."""
        path = Path(self._settings.socket)
        if self._own_inode is not None and path.exists() and path.stat().st_ino == self._own_inode:
            path.unlink()

    def _tick(self, relay: Obedient) -> None:
        self.announce(relay.load())
        self._ticking = asyncio.get_running_loop().call_later(LOAD_EVERY_S, self._tick, relay)

    def on_hello(self, connection: "_Connection") -> None:
        """The connection has shown who it is."""
        if self._primary is not None:
            log.info("signalling taken over")
            self._primary.close()
        self._primary = connection
        log.info("signalling connected")

    def on_lost(self, connection: "_Connection") -> None:
        if self._primary is connection:
            self._primary = None
            if connection.has_said_goodbye:
                log.info("signalling left; media goes on")
            else:
                log.warning("signalling lost; media goes on")


class _Connection(asyncio.Protocol):
    def __init__(self, control: Control, relay: Obedient, *, secret: bytes) -> None:
        self._control = control
        self._relay = relay
        self._secret = secret
        self._reader = RequestReader(max_frame_bytes=HELLO_BYTES)
        self._transport: asyncio.Transport | None = None
        self._is_known = False
        self.has_said_goodbye = False
        """Whether the other side has announced the end of the connection."""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases
        self._transport = stream
        self._deadline = asyncio.get_running_loop().call_later(HELLO_WITHIN_S, stream.abort)

    def connection_lost(self, _: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._transport = None
        self._control.on_lost(self)

    def data_received(self, chunk: bytes) -> None:
        try:
            for request in self._reader.feed(chunk):
                self._on_request(request)
        except WireError as error:
            log.warning("control connection dropped", reason=str(error))
            self.close()

    def send(self, message: FromSfu) -> None:
        """Nothing, once the connection is on its way out."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(encode_from_sfu(message))
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.warning("control connection dropped", reason="it leaves too much unread")
            transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _on_request(self, request: Request | Malformed) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not self._is_known:
            self._on_first(request)
        elif isinstance(request, Malformed):
            self._answer(request.id, Refused(code="bad_command", detail=request.detail))
        elif isinstance(request.command, Goodbye):
            self.has_said_goodbye = True
            self._answer(request.id, Done())
        else:
            number = request.id
            self._relay.obey(request.command, lambda answer: self._answer(number, answer))

    def _on_first(self, request: Request | Malformed) -> None:
        """Only a Hello of our version, and on TCP with the secret, opens the door."""
        if isinstance(request, Malformed) or not isinstance(request.command, Hello):
            raise WireError("the first request was no Hello")
        hello = request.command
        if self._secret and not hmac.compare_digest(hello.secret.encode(), self._secret):
            self._turn_away(request.id, "bad_secret", "control.secret differs between signalling and sfu")
        elif hello.version != PROTOCOL_VERSION:
            detail = f"signalling speaks version {hello.version}, this sfu {PROTOCOL_VERSION}; install the same release"
            self._turn_away(request.id, "version", detail)
        else:
            self._is_known = True
            if self._deadline is not None:
                self._deadline.cancel()
            self._reader.widen(max_frame_bytes=MAX_REQUEST_BYTES)
            self._control.on_hello(self)
            number = request.id
            self._relay.obey(hello, lambda answer: self._answer(number, answer))

    def _turn_away(self, number: int, code: str, detail: str) -> None:
        log.warning("control connection refused", code=code)
        self._answer(number, Refused(code=code, detail=detail))
        self.close()

    def _answer(self, number: int, answer: Answer) -> None:
        self.send(Reply(id=number, answer=answer))


def _bind_tcp(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise StartError(
            f"control.address {host}:{port} cannot be had ({error.strerror}); choose another or end what has it"
        ) from error


def _bind_unix(path: Path) -> socket.socket:
    """Only this user may connect from the first moment on: the socket is made aside, closed to others, then moved.

    What a dead sfu left behind is replaced; a living one is not.
    """
    if path.exists() or path.is_symlink():
        _check_is_stale(path)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        aside.unlink(missing_ok=True)
        listening.bind(str(aside))
        aside.chmod(0o600)
        listening.listen()
        aside.rename(path)
    except OSError as error:
        listening.close()
        raise StartError(
            f"control.socket {path} cannot be made ({error.strerror}); its directory must exist and be writable"
        ) from error
    return listening


def _check_is_stale(path: Path) -> None:
    if not path.is_socket():
        raise StartError(f"control.socket {path} is a file of another kind; remove it or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise StartError(f"control.socket {path} cannot be tried ({error.strerror})") from error
    raise StartError(f"another sfu is listening at control.socket {path}; end it or choose another path")
