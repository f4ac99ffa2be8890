"""Spaces, and what people do to each other in them."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from signalling.app import Signalling
from signalling.emoji import is_emoji
from signalling.errors import PeerError
from signalling.moderation import Moderation, moderation
from signalling.permissions import caller_at_large, caller_in, require, require_key
from signalling.resources import (
    CreateSpace,
    EditSpace,
    MutedIdentities,
    ParticipantList,
    ParticipantResource,
    Promote,
    React,
    SpaceList,
    SpaceResource,
)
from signalling.web.answers import empty, json_answer
from signalling.web.bodies import read_json
from signalling.web.endpoint import Answer, Call, Operation

_IN_SPACE: Final = ("missing_permission", "removed", "blocked", "unknown_space", "space_ended")
_BODY: Final = ("bad_request", "too_large", "unsupported_media_type")
_ACT: Final = (*_IN_SPACE, "outranked", "unknown_participant", "sfu_unavailable")

_SPACES: Final = "/v1/spaces"
_SPACE: Final = "/v1/spaces/{space}"
_PARTICIPANTS: Final = "/v1/spaces/{space}/participants"


async def _create(call: Call) -> Response:
    require(caller_at_large(call.token), "create_space")
    wanted = await read_json(call.request, CreateSpace, max_bytes=call.app.config.limits.body_bytes)
    wanted = msgspec.structs.replace(wanted, title=_checked_title(wanted.title))
    space = wanted.id or secrets.token_hex(6)
    created = await call.app.create_space(space, call.token.identity, wanted)
    return json_answer(created, status=201, headers={"Location": f"{_SPACES}/{created.id}"})


def _checked_title(title: str) -> str:
    trimmed = title.strip()
    if not trimmed or not trimmed.isprintable():
        raise PeerError("bad_request", "the title needs 1 to 70 printable characters")
    return trimmed


async def _list(call: Call) -> Response:
    require(caller_at_large(call.token), "list_spaces")
    return json_answer(SpaceList(call.app.spaces()))


async def _read(call: Call) -> Response:
    """Also of a space that has ended, and for who was removed: it says no more than its name on a list."""
    require_key(call.token, call.path("space"))
    found = await call.app.find_space(call.path("space"))
    require(caller_in(call.token, found.id, host=found.host, live_role=None), "read_space")
    return json_answer(found)


async def _edit(call: Call) -> Response:
    space = await call.space()
    acts = moderation(call.app, space, call.token)
    wanted = await read_json(call.request, EditSpace, max_bytes=call.app.config.limits.body_bytes)
    await acts.rename(_checked_title(wanted.title))
    return json_answer(space.resource())


async def _end(call: Call) -> Response:
    acts = await _acts(call)
    await acts.end()
    return empty()


async def _participants(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_participants")
    return json_answer(ParticipantList(space.participants()))


async def _mute_all(call: Call) -> Response:
    acts = await _acts(call)
    return json_answer(MutedIdentities(await acts.mute_all()))


async def _hand(call: Call, *, is_raised: bool) -> Response:
    acts = await _acts(call)
    await acts.raise_hand(is_raised=is_raised)
    return empty()


async def _react(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "react")
    wanted = await read_json(call.request, React, max_bytes=call.app.config.limits.body_bytes)
    if not is_emoji(wanted.emoji):
        raise PeerError("bad_request", "a reaction is one emoji")
    call.app.carry_out_unasked(space, space.on_reaction(wanted.emoji, call.app.clock()))
    return empty(202)


async def _acts(call: Call) -> Moderation:
    return moderation(call.app, await call.space(), call.token)


Act = Callable[[Call, Moderation, str], Awaitable[None]]


async def _promote(call: Call, acts: Moderation, identity: str) -> None:
    wanted = await read_json(call.request, Promote, max_bytes=call.app.config.limits.body_bytes)
    await acts.promote(identity, wanted.role)


_ACTS: Final[dict[str, tuple[str, Act, Sequence[str]]]] = {
    "mute": ("Close the gate: heard by nobody from now on.", lambda _, acts, who: acts.mute(who, is_muted=True), ()),
    "unmute": ("Open the gate again.", lambda _, acts, who: acts.mute(who, is_muted=False), ()),
    "promote": ("Bring on stage.", _promote, ("stage_full", *_BODY)),
    "demote": ("Move back to the audience.", lambda _, acts, who: acts.demote(who), ()),
    "invite": ("Invite to speak; the invited may accept.", lambda _, acts, who: acts.invite(who), ()),
    "accept": (
        "Accept an invitation, for oneself.",
        lambda _, acts, who: acts.accept_invitation(who),
        ("not_invited", "stage_full"),
    ),
    "remove": (
        "Remove; only a token issued afterwards lets them back in.",
        lambda _, acts, who: acts.remove(who, is_block=False),
        (),
    ),
    "block": ("Remove for good.", lambda _, acts, who: acts.remove(who, is_block=True), ()),
}
_LEAVES_NOBODY: Final = frozenset({"remove", "block"})


async def _act(call: Call, name: str, act: Act) -> Response:
    identity = call.path("identity")
    space = await call.space()
    await act(call, moderation(call.app, space, call.token), identity)
    if name in _LEAVES_NOBODY:
        return empty()
    return json_answer(space.participant(identity))


def operations(_: Signalling) -> Sequence[Operation]:
    return [*_space_operations(), *(_act_operation(name) for name in _ACTS), *_audience_operations()]


def _space_operations() -> Sequence[Operation]:
    one = [Answer(200, "The space.", SpaceResource)]
    return [
        Operation(
            method="POST",
            path=_SPACES,
            handler=_create,
            summary="Create a space, live at once; the caller is its host. Needs `roomCreate`.",
            tag="spaces",
            body=CreateSpace,
            is_body_required=True,
            example={"title": "Town hall", "id": "town-hall", "audience": "forward"},
            answers=[Answer(201, "The space.", SpaceResource, headers=("Location",))],
            codes=("missing_permission", "space_exists", "overloaded", *_BODY),
        ),
        Operation(
            method="GET",
            path=_SPACES,
            handler=_list,
            summary="All live spaces. Needs `roomList`.",
            tag="spaces",
            answers=[Answer(200, "The spaces.", SpaceList)],
            codes=("missing_permission",),
        ),
        Operation(
            method="GET",
            path=_SPACE,
            handler=_read,
            summary="One space, live or ended.",
            tag="spaces",
            answers=one,
            codes=("missing_permission", "unknown_space"),
        ),
        Operation(
            method="PATCH",
            path=_SPACE,
            handler=_edit,
            summary="Change the title.",
            tag="spaces",
            body=EditSpace,
            is_body_required=True,
            example={"title": "Town hall, part two"},
            answers=one,
            codes=(*_IN_SPACE, *_BODY),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/end",
            handler=_end,
            summary="End the space for everyone.",
            tag="spaces",
            answers=[Answer(204, "It has ended.")],
            codes=(*_IN_SPACE, "sfu_unavailable"),
        ),
    ]


def _act_operation(name: str) -> Operation:
    summary, act, codes = _ACTS[name]
    return Operation(
        method="POST",
        path=f"{_PARTICIPANTS}/{{identity}}/{name}",
        route=f"{_PARTICIPANTS}/{{identity:path}}/{name}",
        handler=lambda call: _act(call, name, act),
        summary=summary,
        tag="moderation",
        body=Promote if name == "promote" else None,
        answers=[
            Answer(204, "Done, and in force at the packet.")
            if name in _LEAVES_NOBODY
            else Answer(200, "The participant, after it.", ParticipantResource)
        ],
        codes=(*_ACT, *codes),
    )


def _audience_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_PARTICIPANTS,
            handler=_participants,
            summary="Who is here, but for hidden listeners.",
            tag="participants",
            answers=[Answer(200, "The participants.", ParticipantList)],
            codes=_IN_SPACE,
        ),
        Operation(
            method="POST",
            path=_SPACE + "/mute-all",
            handler=_mute_all,
            summary="Mute everyone on stage below the caller's role.",
            tag="moderation",
            answers=[Answer(200, "Whom it muted.", MutedIdentities)],
            codes=(*_IN_SPACE, "sfu_unavailable"),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/hand",
            handler=lambda call: _hand(call, is_raised=True),
            summary="Ask to speak.",
            tag="participants",
            answers=[Answer(204, "The hand is up.")],
            codes=(*_IN_SPACE, "unknown_participant"),
        ),
        Operation(
            method="DELETE",
            path=_SPACE + "/hand",
            handler=lambda call: _hand(call, is_raised=False),
            summary="Ask no more.",
            tag="participants",
            answers=[Answer(204, "The hand is down.")],
            codes=(*_IN_SPACE, "unknown_participant"),
        ),
        Operation(
            method="POST",
            path=_SPACE + "/reactions",
            handler=_react,
            summary="React with one emoji; reactions are counted and told once a second.",
            tag="participants",
            body=React,
            is_body_required=True,
            example={"emoji": "👏"},
            answers=[Answer(202, "Counted.")],
            codes=(*_IN_SPACE, *_BODY),
        ),
    ]
