"""Event streams: server-sent events and WebSocket, the same envelopes over both.

A browser cannot set headers on a WebSocket, so the token may come as a subprotocol (`palco.token.<jwt>`) beside
`palco.v1`, never in the URL, where logs would keep it. A stream ends when its token expires. One that broke off goes on
after a cursor (`signalling.ring`), which is no secret: Last-Event-ID, or `after` in the URL.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from signalling.app import Signalling
from signalling.errors import CommandError, PeerError, Refusal
from signalling.events import SnapshotEvent
from signalling.feeds import Feed, Watcher, Wire
from signalling.permissions import Caller, require, require_key
from signalling.ring import Cursor, parse_cursor
from signalling.spaces import Space
from signalling.tokens import RawToken, Token
from signalling.web.answers import empty, problem
from signalling.web.endpoint import Answer, Call, Gate, Operation, Parameter, bearer_of
from signalling.web.wires import EventStreamWire, SocketWire

PROTOCOL: Final = "palco.v1"
TOKEN_PROTOCOL: Final = "palco.token."  # noqa: S105 - where the token is, not what

CLOSE_WITHIN_S: Final = 20.0
"""For the last words to a reader whose buffers may be full."""

MAX_STREAMS_PER_IDENTITY: Final = 16

EVENT_STREAM: Final = "text/event-stream"

TOKEN_EXPIRED: Final = 4401
ONLY_TELLS: Final = 1008
GOING_AWAY: Final = 1001

CODES: Final = (
    "bad_request",
    "missing_permission",
    "removed",
    "blocked",
    "unknown_space",
    "space_ended",
    "too_many_subscriptions",
)


class Seat(Struct, frozen=True):
    """A place among the watchers of a space, held before the stream begins."""

    app: Signalling
    space: Space
    feed: Feed
    token: Token
    caller: Caller
    after: Cursor | None

    @contextlib.contextmanager
    def watch(self, wire: Wire, *, transport: str) -> Iterator[Watcher]:
        """The stream over `wire`, from now until the block ends; over by itself with its token. Raises Refusal."""
        self.app.caller(self.token, self.space)  # may have been removed while the stream was being opened
        gauge = self.app.metrics.watchers.labels(transport)
        gauge.inc()
        watcher = self.feed.watch(self.token.identity, wire, self._snapshot, after=self.after)
        left_s = max(0.0, self.token.expires_at_s - self.app.clock())
        expiry = asyncio.get_running_loop().call_later(left_s, watcher.end)
        try:
            yield watcher
        finally:
            expiry.cancel()
            gauge.dec()
            self.feed.unwatch(watcher)

    @property
    def is_expired(self) -> bool:
        return self.token.expires_at_s <= self.app.clock()

    def _snapshot(self) -> SnapshotEvent:
        return self.app.snapshot(self.space, self.token.identity, self.caller.role, blocks=self.token.palco.blocks)


def _take_seat(app: Signalling, space: Space, token: Token, connection: HTTPConnection) -> Seat:
    """Raises Refusal."""
    caller = app.caller(token, space)
    require(caller, "watch_events")
    feed = app.feed(space)
    if feed.watchers_of(token.identity) >= MAX_STREAMS_PER_IDENTITY:
        raise CommandError(
            "too_many_subscriptions",
            f"{token.identity!r} has {MAX_STREAMS_PER_IDENTITY} event streams of this space; close one first",
            limit=MAX_STREAMS_PER_IDENTITY,
        )
    cursor = connection.query_params.get("after") or connection.headers.get("last-event-id")
    return Seat(app, space, feed, token, caller, parse_cursor(cursor) if cursor else None)


# Server-sent events


async def _sse(call: Call) -> Response:
    seat = _take_seat(call.app, await call.space(), call.token, call.request)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if call.request.method == "HEAD":
        return empty(200, {"Content-Type": EVENT_STREAM})
    return _EventStream(seat, headers)


class _EventStream(Response):
    """Sends the header, and leaves the body to the feed."""

    def __init__(self, seat: Seat, headers: dict[str, str]) -> None:
        self.status_code = 200
        self.media_type = EVENT_STREAM
        self.background = None
        self.body = b""
        self.init_headers(headers)
        del self.headers["content-length"]
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
        with contextlib.suppress(Refusal), self._seat.watch(EventStreamWire(scope), transport="sse") as watcher:
            leaving = asyncio.create_task(_until_left(receive, watcher))
            try:
                await watcher.over
            finally:
                leaving.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_left(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path="/v1/spaces/{space}/events",
            handler=_sse,
            summary="Events of the space as server-sent events; also at `ws` as a WebSocket.",
            tag="events",
            parameters=[
                Parameter(
                    "after",
                    "query",
                    "The `id` of the last event that was read: the stream goes on after it.",
                    {"type": "string", "pattern": "^[0-9a-z]{1,16}-(0|[1-9][0-9]{0,15})$"},
                ),
                Parameter(
                    "Last-Event-ID",
                    "header",
                    "As `after`, as browsers send it.",
                    {"type": "string", "pattern": "^[0-9a-z]{1,16}-(0|[1-9][0-9]{0,15})$"},
                ),
            ],
            answers=[
                Answer(
                    200,
                    "Envelopes, the first of type `snapshot` or `resumed`; /schema/asyncapi.json has them all.",
                    str,
                    EVENT_STREAM,
                )
            ],
            codes=CODES,
        )
    ]


# WebSocket


class EventSocket:
    """The WebSocket endpoint of a space."""

    def __init__(self, app: Signalling, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def serve(self, socket: WebSocket) -> None:
        """One connection from its request to its end."""
        try:
            self._check_origin(socket)
            token = self._gate.admit(socket, _token_of(socket))
            name = str(socket.path_params["space"])
            require_key(token, name)
            seat = _take_seat(self._app, await self._app.space(name), token, socket)
        except Refusal as refusal:
            await socket.send_denial_response(problem(refusal))
            return
        await socket.accept(subprotocol=PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
        await _talk(socket, seat)

    def _check_origin(self, socket: WebSocket) -> None:
        """Browsers send Origin, and it cannot be forged there; who sends none is no browser (threat T28)."""
        origin = socket.headers.get("origin")
        allowed = self._app.config.cors.origins
        if origin is None or "*" in allowed or origin in allowed:
            return
        host = socket.headers.get("host", "")
        if origin in {f"http://{host}", f"https://{host}"}:
            return
        raise CommandError("wrong_origin", "pages of this origin may not open a WebSocket here (cors.origins)")


async def _talk(socket: WebSocket, seat: Seat) -> None:
    listening: asyncio.Task[bool] | None = None
    with contextlib.suppress(Refusal), seat.watch(SocketWire(socket.scope), transport="websocket") as watcher:
        listening = asyncio.create_task(_listen(socket, watcher))
        try:
            await watcher.over
        finally:
            listening.cancel()
    with contextlib.suppress(TimeoutError, RuntimeError):  # gone, or as good as gone: the connection ends with the task
        async with asyncio.timeout(CLOSE_WITHIN_S):
            if listening is None or not listening.done() or listening.cancelled():
                await socket.close(TOKEN_EXPIRED if seat.is_expired else GOING_AWAY)
            elif listening.result():
                await socket.close(ONLY_TELLS, "this socket only tells; use the HTTP API to act")


async def _listen(socket: WebSocket, watcher: Watcher) -> bool:
    """Ends the stream at the first thing that the client says; whether it said more than goodbye."""
    message = await socket.receive()
    watcher.end()
    return bool(message["type"] == "websocket.receive")


def _token_of(socket: WebSocket) -> RawToken | None:
    offered = [name for name in socket.scope["subprotocols"] if name.startswith(TOKEN_PROTOCOL)]
    if len(offered) > 1:
        raise PeerError("bad_request", "offer one token")
    return RawToken(offered[0].removeprefix(TOKEN_PROTOCOL)) if offered else bearer_of(socket)
