"""`GET /v1/operator/spaces/{space}`: one space as the data plane has it, for who operates the server."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from sfu.contract.messages import Inspect, Inspected, Refused
from signalling.app import Signalling
from signalling.errors import Bug
from signalling.live import refused
from signalling.web.answers import json_answer
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.operator import require_operator

MOST_SESSIONS: Final = 500


async def _inspect(call: Call) -> Response:
    require_operator(call, "operate_spaces")
    space = await call.app.space(call.path("space"))
    answer = await call.app.link.tell(Inspect(space.id, sessions=MOST_SESSIONS))
    if isinstance(answer, Refused):
        raise refused(answer)
    if not isinstance(answer, Inspected):
        raise Bug(f"an Inspect was answered with {type(answer).__name__}")
    return json_answer(answer, headers={"Cache-Control": "no-store"})


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path="/v1/operator/spaces/{space}",
            handler=_inspect,
            summary="Each session of a space with its packets, loss, jitter and round trip; those on stage first.",
            tag="operator",
            answers=[Answer(200, f"At most {MOST_SESSIONS} sessions.", Inspected)],
            codes=("missing_permission", "unknown_space", "space_ended", "sfu_unavailable"),
        )
    ]
