"""One path of the API: its operations by method, and all that is the same for each of them.

Order of a request: rate, token, handler, and on the way back problems, CORS, counting. The operations also are the
source of the OpenAPI description (`signalling.web.openapi`), so that what is described is what runs.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import structlog
from msgspec import Struct
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from signalling.app import Signalling
from signalling.errors import CommandError, PeerError, Refusal
from signalling.permissions import Caller, require_key
from signalling.spaces import Space
from signalling.tokens import RawToken, Token, verify
from signalling.web.answers import PREFLIGHT, cors, empty, problem
from signalling.web.once import answer_once
from signalling.web.rates import Rates, address_key

log = structlog.get_logger("signalling.web")


class Call:
    """One request, with what a handler needs of it."""

    def __init__(self, request: Request, app: Signalling, bearer: Token | None) -> None:
        self.request = request
        self.app = app
        self._bearer = bearer

    @property
    def token(self) -> Token:
        """Of the caller; only operations that are not public may ask."""
        if self._bearer is None:
            raise CommandError("unauthenticated", "send Authorization: Bearer with a token for this space")
        return self._bearer

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    async def space(self) -> Space:
        """The live space of the path. Raises CommandError `missing_permission`, `unknown_space`, `space_ended`."""
        require_key(self.token, self.path("space"))
        return await self.app.space(self.path("space"))

    def caller(self, space: Space) -> Caller:
        return self.app.caller(self.token, space)


Handler = Callable[[Call], Awaitable[Response]]


class Answer(Struct, frozen=True):
    """What an operation answers when all is well; `schema` is a type, or None for no body or one that is not JSON."""

    status: int
    description: str
    schema: Any = None
    media_type: str | None = None
    headers: Sequence[str] = ()
    example: Any = None


class Parameter(Struct, frozen=True):
    """One in the query or a header; those of the path are found in it."""

    name: str
    place: Literal["query", "header"]
    description: str
    schema: Mapping[str, Any]


class Operation(Struct, frozen=True, kw_only=True):
    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    answers: Sequence[Answer]
    parameters: Sequence[Parameter] = ()
    codes: Sequence[str] = ()
    """Of refusals beyond those that every operation knows."""
    body: Any = None
    body_media_type: str = "application/json"
    is_body_required: bool = False
    example: Any = None
    is_public: bool = False
    is_creating: bool = False
    """Takes an idempotency key (`signalling.web.once`)."""
    route: str | None = None
    """The template as the router has it, where it differs from `path`."""


class Gate:
    """Rates and tokens: who is at the door."""

    def __init__(self, app: Signalling) -> None:
        limits = self._limits = app.config.limits
        self._app = app
        self._known = Rates(per_second=limits.requests_per_second, burst=limits.request_burst)
        self._strangers = Rates(per_second=limits.requests_per_second, burst=limits.request_burst)

    def admit(self, connection: HTTPConnection, raw: RawToken | None) -> Token:
        """The verified token. Raises PeerError `unauthenticated`, `bad_token`, `too_many_requests`."""
        now_s = self._app.clock()
        self._follow_limits()
        if raw is None:
            self.admit_stranger(connection)
            raise PeerError("unauthenticated", "send Authorization: Bearer with a token for this space")
        try:
            token = verify(raw, keys=self._app.config.keys, now_s=now_s)
        except PeerError:
            self.admit_stranger(connection)
            raise
        _check(self._known.wait_s(f"{token.key}/{token.identity}", now_s))
        self._app.bans.check(token.identity)
        return token

    def _follow_limits(self) -> None:
        """They may have been reloaded."""
        limits = self._app.config.limits
        if limits is not self._limits:
            self._limits = limits
            for rates in (self._known, self._strangers):
                rates.change(per_second=limits.requests_per_second, burst=limits.request_burst)

    def admit_stranger(self, connection: HTTPConnection) -> None:
        """Raises PeerError `too_many_requests`."""
        address = connection.client.host if connection.client else ""
        _check(self._strangers.wait_s(address_key(address), self._app.clock()))


def _check(wait_s: float) -> None:
    if wait_s > 0:
        raise PeerError("too_many_requests", "slow down, and try again later", retry_after_s=int(wait_s) + 1)


def bearer_of(connection: HTTPConnection) -> RawToken | None:
    """The token of the one Authorization header; None without one, or with another scheme."""
    headers = connection.headers.getlist("authorization")
    if len(headers) > 1:
        raise PeerError("bad_request", "send one Authorization header")
    scheme, _, raw = headers[0].partition(" ") if headers else ("", "", "")
    return RawToken(raw.strip()) if scheme.lower() == "bearer" and raw.strip() else None


class Endpoint:
    """An ASGI application for all operations of one path."""

    def __init__(self, app: Signalling, gate: Gate, operations: Sequence[Operation]) -> None:
        self._app = app
        self._gate = gate
        self._operations: Final[Mapping[str, Operation]] = {operation.method: operation for operation in operations}
        self._path = operations[0].path
        self._accept_post = next(
            (operation.body_media_type for operation in operations if operation.method == "POST" and operation.body),
            None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        started_s = self._app.clock()
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = problem(refusal)
        except Exception:
            log.exception("request_failed", route=self._path, method=request.method)
            response = problem(CommandError("internal", "this is a fault of the server and has been logged"))
        response.headers.update(cors(request.headers.get("origin"), self._app.config.cors.origins))
        metrics = self._app.metrics
        method = request.method if request.method in {*self._operations, "OPTIONS", "HEAD"} else "other"
        metrics.requests.labels(method, self._path, response.status_code).inc()
        await response(scope, receive, send)
        if response.media_type != "text/event-stream":
            metrics.request_seconds.labels(self._path).observe(max(0.0, self._app.clock() - started_s))

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            extra = {"Accept-Post": self._accept_post} if self._accept_post else {}
            return empty(200, {**PREFLIGHT, "Allow": self._allowed(), **extra})
        operation = self._operations.get(request.method)
        if operation is None and request.method == "HEAD":
            operation = self._operations.get("GET")
        if operation is None:
            allowed = self._allowed()
            raise PeerError("method_not_allowed", f"here you may use {allowed}", allow=allowed)
        if operation.is_public:
            return await operation.handler(Call(request, self._app, None))
        token = self._gate.admit(request, bearer_of(request))
        if not operation.is_creating:
            return await operation.handler(Call(request, self._app, token))
        return await answer_once(
            self._app, token, request, lambda again: operation.handler(Call(again, self._app, token))
        )

    def _allowed(self) -> str:
        methods = {*self._operations, "OPTIONS"}
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
