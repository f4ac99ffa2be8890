"""The ASGI application: every operation at its path, the WebSocket, and the page for the rest."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute

from signalling.app import Signalling
from signalling.web import development, events, health, sessions, spaces
from signalling.web.answers import json_answer
from signalling.web.endpoint import Answer, Call, Endpoint, Gate, Operation
from signalling.web.openapi import describe
from signalling.web.page import Page

SCHEMA_PATH = "/schema/openapi.json"


def build(app: Signalling) -> Router:
    """What the HTTP server serves."""
    operations = [
        *spaces.operations(app),
        *sessions.operations(app),
        *events.operations(app),
        *health.operations(app),
        *development.operations(app),
    ]
    operations.append(_schema_operation(operations))
    gate = Gate(app)
    routes: list[BaseRoute] = [
        Route(group[0].route or group[0].path, Endpoint(app, gate, group)) for group in _by_path(operations)
    ]
    routes.append(WebSocketRoute("/v1/spaces/{space}/ws", events.EventSocket(app, gate).serve))
    return Router(routes, redirect_slashes=False, default=Page())


def _by_path(operations: Sequence[Operation]) -> Sequence[Sequence[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(operation.path, []).append(operation)
    return list(groups.values())


def _schema_operation(operations: Sequence[Operation]) -> Operation:
    document = describe(operations, version=_version())

    async def serve(_: Call) -> Response:
        return json_answer(document, headers={"Cache-Control": "max-age=300"})

    return Operation(
        method="GET",
        path=SCHEMA_PATH,
        handler=serve,
        summary="This description.",
        tag="health",
        answers=[Answer(200, "OpenAPI 3.1.")],
        is_public=True,
    )


def _version() -> str:
    try:
        return version("palco")
    except PackageNotFoundError:
        return "0"
