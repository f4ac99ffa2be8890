"""`/v1/operator/webhooks`: what was sent, what waits, what was given up, and sending it once more."""

from collections.abc import Sequence
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.cursors import DEFAULT_LIMIT, CursorText, Limit, Number, build_cursor, parse_cursor
from signalling.errors import CommandError
from signalling.resources import Timestamp, timestamp
from signalling.store.webhooks import DeliveryRecord, DeliveryState
from signalling.web.answers import json_answer
from signalling.web.bodies import read_query
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.operator import require_operator
from signalling.web.queries import query_parameters

_WEBHOOKS: Final = "/v1/operator/webhooks"


class DeliveryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    state: Literal["pending", "delivered", "dead", "all"] = "all"
    cursor: CursorText = ""
    limit: Limit = DEFAULT_LIMIT


class DeliveryResource(Struct, frozen=True, kw_only=True):
    """One event on its way to one URL."""

    id: str
    event: str
    """The event's id, the same for every URL and attempt."""
    type: str
    space: str
    url: str
    """Without its query, which may hold a secret."""
    state: DeliveryState
    attempts: int
    created_at: Timestamp
    finished_at: Timestamp | None
    next_attempt_at: Timestamp | None
    error: str
    """Why the last attempt failed; empty where none did."""
    body: dict[str, Any]


class DeliveryPage(Struct, frozen=True):
    """Newest first."""

    deliveries: list[DeliveryResource]
    next: str | None


async def _list(call: Call) -> Response:
    require_operator(call, "read_webhooks")
    query = read_query(call.request, DeliveryQuery)
    state = None if query.state == "all" else query.state
    before = parse_cursor(query.cursor, Number)
    records = await call.app.store.webhooks.page(state, before=before, limit=query.limit)
    following = build_cursor(records[-1].number) if len(records) == query.limit else None
    return json_answer(DeliveryPage([_resource(record) for record in records], following))


async def _redeliver(call: Call) -> Response:
    require_operator(call, "redeliver_webhook")
    number = call.path("delivery")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise CommandError("unknown_delivery", "a delivery's id is a number")
    return json_answer(_resource(await call.app.reach.webhooks.redeliver(int(number))), status=202)


def _resource(record: DeliveryRecord) -> DeliveryResource:
    return DeliveryResource(
        id=str(record.number),
        event=record.event,
        type=record.type,
        space=record.space,
        url=urlsplit(record.url)._replace(query="").geturl(),
        state=record.state,
        attempts=record.attempts,
        created_at=timestamp(record.created_at_s),
        finished_at=None if record.finished_at_s is None else timestamp(record.finished_at_s),
        next_attempt_at=timestamp(record.due_at_s) if record.state == "pending" else None,
        error=record.error,
        body=msgspec.json.decode(record.body),
    )


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_WEBHOOKS,
            handler=_list,
            summary="Webhooks by state; `dead` are those that were given up.",
            tag="operator",
            parameters=query_parameters(DeliveryQuery),
            answers=[Answer(200, "The deliveries, newest first.", DeliveryPage)],
            codes=("missing_permission", "bad_request", "bad_cursor"),
        ),
        Operation(
            method="POST",
            path=_WEBHOOKS + "/{delivery}/redeliver",
            handler=_redeliver,
            summary="Send a webhook that arrived or was given up once more, after what waits in its space.",
            tag="operator",
            answers=[Answer(202, "It is on its way.", DeliveryResource)],
            codes=("missing_permission", "unknown_delivery", "delivery_pending", "webhook_url_gone"),
        ),
    ]
