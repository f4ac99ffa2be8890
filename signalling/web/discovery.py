"""Reminders of what is to come. Finding it is GET /v1/spaces (`signalling.web.spaces`)."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.permissions import caller_in, require, require_key
from signalling.reminders import opt_in
from signalling.resources import SpaceResource
from signalling.web.answers import empty, json_answer
from signalling.web.endpoint import Answer, Call, Operation

_REMINDER: Final = "/v1/spaces/{space}/reminder"
_CODES: Final = ("missing_permission", "unknown_space")


class ReminderResource(Struct, frozen=True):
    is_set: bool


async def _space(call: Call) -> SpaceResource:
    """For who may know of it."""
    require_key(call.token, call.path("space"))
    found = await call.app.find_space(call.path("space"), call.token.identity)
    require(caller_in(call.token, found.id, host=found.host, live_role=None), "remind")
    return found


async def _read(call: Call) -> Response:
    space = await _space(call)
    return json_answer(ReminderResource(await call.app.store.reminders.is_set(space.id, call.token.identity)))


async def _set(call: Call) -> Response:
    await opt_in(call.app, await _space(call), call.token.identity)
    return empty()


async def _withdraw(call: Call) -> Response:
    space = await _space(call)
    await call.app.store.reminders.remove(space.id, call.token.identity)
    return empty()


def operations(_: Signalling) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_REMINDER,
            handler=_read,
            summary="Whether the caller wants to be reminded.",
            tag="discovery",
            answers=[Answer(200, "The wish.", ReminderResource)],
            codes=_CODES,
        ),
        Operation(
            method="PUT",
            path=_REMINDER,
            handler=_set,
            summary="Be reminded when a scheduled space starts; told to the application by webhook.",
            tag="discovery",
            answers=[Answer(204, "The caller will be.")],
            codes=(*_CODES, "not_scheduled", "reminders_unavailable", "too_many_reminders"),
        ),
        Operation(
            method="DELETE",
            path=_REMINDER,
            handler=_withdraw,
            summary="Do not be reminded.",
            tag="discovery",
            answers=[Answer(204, "The caller will not be.")],
            codes=_CODES,
        ),
    ]
