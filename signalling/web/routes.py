"""The ASGI application: every operation at its path, the WebSocket, and the page for the rest."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute

from signalling.app import Signalling
from signalling.web import (
    audience,
    development,
    discovery,
    events,
    health,
    inspection,
    operator,
    people,
    safety,
    sessions,
    spaces,
    stage,
    tickets,
    webhooks,
)
from signalling.web.answers import json_answer
from signalling.web.asyncapi import PATH as EVENTS_SCHEMA_PATH
from signalling.web.asyncapi import describe_events
from signalling.web.endpoint import Answer, Call, Endpoint, Gate, Operation
from signalling.web.openapi import describe
from signalling.web.page import Page

SCHEMA_PATH = "/schema/openapi.json"


def build(app: Signalling) -> Router:
    """What the HTTP server serves."""
    operations = operations_of(app)
    gate = Gate(app)
    routes: list[BaseRoute] = [
        Route(group[0].route or group[0].path, Endpoint(app, gate, group)) for group in _by_path(operations)
    ]
    routes.append(WebSocketRoute("/v1/spaces/{space}/ws", events.EventSocket(app, gate).serve))
    return Router(routes, redirect_slashes=False, default=Page(embedders=app.config.page.embedders))


def operations_of(app: Signalling) -> list[Operation]:
    """Everything that can be called, the descriptions of it included."""
    operations = [
        *spaces.operations(app),
        *stage.operations(app),
        *tickets.operations(app),
        *sessions.operations(app),
        *events.operations(app),
        *audience.operations(app),
        *discovery.operations(app),
        *safety.operations(app),
        *operator.operations(app),
        *inspection.operations(app),
        *people.operations(app),
        *webhooks.operations(app),
        *health.operations(app),
        *development.operations(app),
    ]
    operations.append(_events_schema_operation())
    operations.append(_schema_operation(operations))
    return operations


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
        answers=[Answer(200, "OpenAPI 3.1.", dict)],
        is_public=True,
    )


def _events_schema_operation() -> Operation:
    document = describe_events(version=_version())

    async def serve(_: Call) -> Response:
        return json_answer(document, headers={"Cache-Control": "max-age=300"})

    return Operation(
        method="GET",
        path=EVENTS_SCHEMA_PATH,
        handler=serve,
        summary="The description of the event streams.",
        tag="health",
        answers=[Answer(200, "AsyncAPI 3.0.", dict)],
        is_public=True,
    )


def _version() -> str:
    try:
        return version("palco")
    except PackageNotFoundError:
        return "0"
