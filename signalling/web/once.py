"""Calls that carry an idempotency key: done once, answered again (`signalling.idempotency`). Edge (HTTP)."""

from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from signalling.app import Signalling
from signalling.errors import CommandError, PeerError
from signalling.idempotency import HEADER, REPLAYED, KeptAnswer, check_same, fingerprint, parse_key
from signalling.tokens import Token
from signalling.web.bodies import read_bounded

log = structlog.get_logger("signalling.web")

Make = Callable[[Request], Awaitable[Response]]


async def answer_once(app: Signalling, token: Token, request: Request, make: Make) -> Response:
    """What `make` answers, or what it answered to the same key before. Raises Refusal."""
    values = request.headers.getlist(HEADER)
    if len(values) > 1:
        raise PeerError("bad_request", f"send one {HEADER}")
    key = parse_key(values[0] if values else None)
    if key is None:
        return await make(request)
    body = await read_bounded(request, app.config.limits.body_bytes)
    wanted = fingerprint(request.method, request.url.path, body)
    repository = app.store.idempotency
    limit = app.config.limits.idempotency_keys_per_identity
    kept = await repository.begin(token.identity, key, fingerprint=wanted, now_s=app.clock(), max_keys=limit)
    if kept is not None:
        check_same(kept, wanted)
        return _again(kept)
    try:
        response = await make(Request(request.scope, _receive_again(body)))
    except BaseException:
        await repository.release(token.identity, key)
        raise
    if not 200 <= response.status_code < 300:
        await repository.release(token.identity, key)
        return response
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    answered = bytes(response.body).decode()
    try:
        await repository.finish(token.identity, key, status=response.status_code, headers=headers, body=answered)
    except CommandError as refusal:
        # It is done and must be said so; a repetition finds the key in flight until it counts as abandoned.
        log.warning("answer_not_kept", code=refusal.code)
    return response


def _again(kept: KeptAnswer) -> Response:
    return Response(kept.body.encode(), kept.status, {**kept.headers, REPLAYED: "true"})


def _receive_again(body: bytes) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
