"""Whether this process lives, and whether to send people to it."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling.app import Signalling
from signalling.resources import Readiness
from signalling.web.answers import json_answer
from signalling.web.endpoint import Answer, Call, Operation

SILENT_AFTER_S: Final = 5.0
"""The sfu tells its load once a second."""


async def _livez(_: Call) -> Response:
    return Response("alive\n", media_type="text/plain")


async def _readyz(call: Call) -> Response:
    reasons = []
    if not call.app.link.is_up:
        reasons.append("sfu_unavailable")
    elif call.app.load is not None and not call.app.load.accepts:
        reasons.append(call.app.load.reason or "overloaded")
    elif call.app.load is not None and call.app.clock() - call.app.load_at_s > SILENT_AFTER_S:
        reasons.append("sfu_silent")
    if reasons:
        return json_answer(Readiness("not_ready", reasons), status=503, headers={"Retry-After": "2"})
    return json_answer(Readiness("ready"))


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path="/livez",
            handler=_livez,
            summary="Answers while the process does.",
            tag="health",
            answers=[Answer(200, "Alive.", str, "text/plain")],
            is_public=True,
        ),
        Operation(
            method="GET",
            path="/readyz",
            handler=_readyz,
            summary="Whether new sessions would be taken.",
            tag="health",
            answers=[Answer(200, "Ready.", Readiness), Answer(503, "Not now, and why.", Readiness)],
            is_public=True,
        ),
    ]
