"""Event streams: server-sent events and WebSocket, the same envelopes over both.

A browser cannot set headers on a WebSocket, so the token may come as a subprotocol (`palco.token.<jwt>`) beside
`palco.v1`, never in the URL, where logs would keep it. A stream ends when its token expires.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from signalling.app import Signalling
from signalling.errors import CommandError, PeerError, Refusal
from signalling.feeds import Frame, Watcher
from signalling.permissions import require, require_key
from signalling.spaces import Space
from signalling.tokens import RawToken, Token
from signalling.web.answers import empty, problem
from signalling.web.endpoint import Answer, Call, Gate, Operation, bearer_of

PROTOCOL: Final = "palco.v1"
TOKEN_PROTOCOL: Final = "palco.token."  # noqa: S105 - where the token is, not what

HEARTBEAT_S: Final = 15.0
SEND_WITHIN_S: Final = 20.0
"""A reader whose buffers have been full for this long is gone, or might as well be."""

MAX_STREAMS_PER_IDENTITY: Final = 16

EVENT_STREAM: Final = "text/event-stream"

TOKEN_EXPIRED: Final = 4401
ONLY_TELLS: Final = 1008
GOING_AWAY: Final = 1001


@contextlib.contextmanager
def watching(app: Signalling, space: Space, token: Token, *, transport: str) -> Iterator[Watcher]:
    """A stream of `space` for the holder of `token`. Raises CommandError."""
    caller = app.caller(token, space)
    require(caller, "watch_events")
    feed = app.feed(space)
    if feed.watchers_of(token.identity) >= MAX_STREAMS_PER_IDENTITY:
        raise CommandError(
            "too_many_subscriptions",
            f"{token.identity!r} has {MAX_STREAMS_PER_IDENTITY} event streams of this space; close one first",
            limit=MAX_STREAMS_PER_IDENTITY,
        )
    watcher = feed.watch(token.identity, lambda: space.snapshot_for(token.identity, caller.role), app.clock)
    gauge = app.metrics.watchers.labels(transport)
    gauge.inc()
    try:
        yield watcher
    finally:
        gauge.dec()
        feed.unwatch(watcher)


async def _frames(app: Signalling, token: Token, watcher: Watcher) -> AsyncIterator[list[Frame]]:
    """Batches to send, an empty one when there has been nothing for a while; ends with the stream or the token."""
    while True:
        left_s = token.expires_at_s - app.clock()
        if left_s <= 0:
            return
        try:
            async with asyncio.timeout(min(HEARTBEAT_S, left_s)):
                frames = await watcher.frames()
        except TimeoutError:
            frames = []
        if frames is None:
            return
        yield frames


# Server-sent events


async def _sse(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "watch_events")
    if call.request.method == "HEAD":
        return empty(200, {"Content-Type": EVENT_STREAM})
    stack = contextlib.ExitStack()
    watcher = stack.enter_context(watching(call.app, space, call.token, transport="sse"))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    body = _sse_body(call.app, call.token, watcher)
    return _EventStream(body, stack, headers)


async def _sse_body(app: Signalling, token: Token, watcher: Watcher) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async for frames in _frames(app, token, watcher):
        yield b"".join(frame.sse for frame in frames) or b": still here\n\n"


class _EventStream(StreamingResponse):
    """Leaves the feed when it ends, however it ends, or when it never begins."""

    def __init__(self, body: AsyncIterator[bytes], stack: contextlib.ExitStack, headers: dict[str, str]) -> None:
        super().__init__(body, headers=headers, media_type=EVENT_STREAM)
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(SEND_WITHIN_S):
                await send(message)

        with self._stack, contextlib.suppress(TimeoutError):
            await super().__call__(scope, receive, send_in_time)


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path="/v1/spaces/{space}/events",
            handler=_sse,
            summary="Events of the space as server-sent events; also at `ws` as a WebSocket.",
            tag="events",
            answers=[Answer(200, "Envelopes, the first of type `snapshot`.", str, EVENT_STREAM)],
            codes=(
                "missing_permission",
                "removed",
                "blocked",
                "unknown_space",
                "space_ended",
                "too_many_subscriptions",
            ),
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
            space = await self._app.space(name)
            with watching(self._app, space, token, transport="websocket") as watcher:
                await socket.accept(subprotocol=PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
                await self._talk(socket, token, watcher)
        except Refusal as refusal:
            await socket.send_denial_response(problem(refusal))

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

    async def _talk(self, socket: WebSocket, token: Token, watcher: Watcher) -> None:
        listening = asyncio.create_task(_listen(socket, watcher))
        try:
            async for frames in _frames(self._app, token, watcher):
                for frame in frames:
                    async with asyncio.timeout(SEND_WITHIN_S):
                        await socket.send({"type": "websocket.send", "text": frame.json.decode()})
            if not listening.done():
                is_expired = token.expires_at_s <= self._app.clock()
                await socket.close(TOKEN_EXPIRED if is_expired else GOING_AWAY)
            elif listening.result():
                await socket.close(ONLY_TELLS, "this socket only tells; use the HTTP API to act")
        except (TimeoutError, WebSocketDisconnect):
            pass  # gone, or as good as gone; the connection is dropped with the task
        finally:
            listening.cancel()


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
