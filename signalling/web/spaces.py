"""Spaces: made, found, changed, begun and ended."""

import secrets
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling.app import Signalling
from signalling.discovery import FindSpaces, FoundSpaces, find_spaces
from signalling.permissions import caller_at_large, caller_in, require, require_key
from signalling.resources import CreateSpace, EditSpace, SpaceResource, WithReason
from signalling.web.answers import empty, json_answer
from signalling.web.bodies import read_json, read_query
from signalling.web.endpoint import Answer, Call, Operation
from signalling.web.queries import query_parameters
from signalling.web.stage import IN_SPACE, acts_of, acts_with_reason

_BODY: Final = ("bad_request", "too_large", "unsupported_media_type")
_WISHES: Final = (
    "title_too_long",
    "bad_title",
    "description_too_long",
    "unknown_topic",
    "too_many_topics",
    "bad_language",
    "bad_time",
    "starts_in_the_past",
    "starts_too_late",
)

_ONE: Final = [Answer(200, "The space.", SpaceResource)]

_SPACES: Final = "/v1/spaces"
_SPACE: Final = "/v1/spaces/{space}"


async def _create(call: Call) -> Response:
    require(caller_at_large(call.token), "create_space")
    wanted = await read_json(call.request, CreateSpace, max_bytes=call.app.config.limits.body_bytes)
    space = wanted.id or secrets.token_hex(6)
    created = await call.app.create_space(space, call.token.identity, wanted, host_name=call.token.name)
    return json_answer(created, status=201, headers={"Location": f"{_SPACES}/{created.id}"})


async def _list(call: Call) -> Response:
    require(caller_at_large(call.token), "list_spaces")
    return json_answer(await find_spaces(call.app, call.token, read_query(call.request, FindSpaces)))


async def _read(call: Call) -> Response:
    """Also of a space that is over, and for who was removed: it says no more than its name on a list."""
    require_key(call.token, call.path("space"))
    found = await call.app.find_space(call.path("space"), call.token.identity)
    require(caller_in(call.token, found.id, host=found.host, live_role=None), "read_space")
    return json_answer(found)


async def _edit(call: Call) -> Response:
    space, acts = await acts_of(call)
    await acts.edit(await read_json(call.request, EditSpace, max_bytes=call.app.config.limits.body_bytes))
    return json_answer(space.resource())


async def _start(call: Call) -> Response:
    space, acts = await acts_of(call)
    await acts.start()
    return json_answer(space.resource())


async def _cancel(call: Call) -> Response:
    space, acts = await acts_of(call)
    await acts.cancel()
    return json_answer(space.resource())


async def _end(call: Call) -> Response:
    _, acts, _ = await acts_with_reason(call, WithReason)
    await acts.end()
    return empty()


def operations(_: Signalling) -> Sequence[Operation]:
    return [*_finding_operations(), *_changing_operations()]


def _finding_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="POST",
            path=_SPACES,
            handler=_create,
            summary="Create a space, live at once or at `starts_at`; the caller is its host. Needs `roomCreate`.",
            tag="spaces",
            body=CreateSpace,
            is_body_required=True,
            is_creating=True,
            example={"title": "Town hall", "id": "town-hall", "topics": ["local", "politics"], "speak": "followed"},
            answers=[Answer(201, "The space.", SpaceResource, headers=("Location",))],
            codes=("missing_permission", "space_exists", "overloaded", "too_many_scheduled", *_WISHES, *_BODY),
        ),
        Operation(
            method="GET",
            path=_SPACES,
            handler=_list,
            summary="Find live and upcoming spaces. Needs `roomList`.",
            tag="spaces",
            parameters=query_parameters(FindSpaces),
            answers=[Answer(200, "A page of spaces: live ones, the newest first, then the next to come.", FoundSpaces)],
            codes=("missing_permission", "bad_request", "bad_cursor"),
        ),
        Operation(
            method="GET",
            path=_SPACE,
            handler=_read,
            summary="One space, whatever its state; none whose host has blocked the caller.",
            tag="spaces",
            answers=_ONE,
            codes=("missing_permission", "unknown_space"),
        ),
    ]


def _changing_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="PATCH",
            path=_SPACE,
            handler=_edit,
            summary="Change what is sent; the rest stays. The start only while it is scheduled.",
            tag="spaces",
            body=EditSpace,
            is_body_required=True,
            example={"title": "Town hall, part two", "speak": "everyone"},
            answers=_ONE,
            codes=(*IN_SPACE, "already_live", "sfu_unavailable", *_WISHES, *_BODY),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/start",
            handler=_start,
            summary="Begin a scheduled space now.",
            tag="spaces",
            answers=_ONE,
            codes=(*IN_SPACE, "already_live", "overloaded", "sfu_unavailable"),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/cancel",
            handler=_cancel,
            summary="Call a scheduled space off.",
            tag="spaces",
            answers=_ONE,
            codes=(*IN_SPACE, "already_live"),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/end",
            handler=_end,
            summary="End the space for everyone.",
            tag="spaces",
            body=WithReason,
            answers=[Answer(204, "It has ended.")],
            codes=(*IN_SPACE, "sfu_unavailable"),
        ),
    ]
