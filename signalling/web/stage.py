"""Who is in a space, and what people do to each other and to themselves there."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct
from starlette.responses import Response

from signalling.app import Signalling
from signalling.errors import CommandError
from signalling.moderation import Moderation, moderation
from signalling.permissions import require
from signalling.resources import (
    Block,
    Blocks,
    Hands,
    Invite,
    MutedIdentities,
    ParticipantList,
    ParticipantResource,
    Promote,
    WithReason,
    timestamp,
)
from signalling.spaces import Space
from signalling.web.answers import empty, json_answer
from signalling.web.bodies import read_json
from signalling.web.endpoint import Answer, Call, Operation

IN_SPACE: Final = ("missing_permission", "removed", "blocked", "unknown_space", "space_ended", "space_cancelled")
"""What every act in a space may be refused with."""

_BODY: Final = ("bad_request", "too_large", "unsupported_media_type")
_HERE: Final = ("unknown_participant", "participant_left")
_ACT: Final = (*IN_SPACE, *_HERE, "outranked", "sfu_unavailable")
_OWN: Final = (*IN_SPACE, *_HERE, "sfu_unavailable")
_SEAT: Final = ("stage_full", "cohosts_full")

Because = TypeVar("Because", bound=WithReason)

_SPACE: Final = "/v1/spaces/{space}"
_PARTICIPANTS: Final = "/v1/spaces/{space}/participants"


async def acts_of(call: Call) -> tuple[Space, Moderation]:
    """The space of the path, and what the caller may do in it. Raises CommandError."""
    space = await call.space()
    return space, moderation(call.app, space, call.token)


async def acts_with_reason(call: Call, kind: type[Because]) -> tuple[Space, Moderation, Because]:
    """As `acts_of`, for acts whose body may say why; the body comes third."""
    body = await read_json(call.request, kind, max_bytes=call.app.config.limits.body_bytes)
    space = await call.space()
    return space, moderation(call.app, space, call.token, reason=body.reason), body


async def _participants(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_participants")
    return json_answer(ParticipantList(space.participants()))


async def _mute_all(call: Call) -> Response:
    _, acts, _ = await acts_with_reason(call, WithReason)
    return json_answer(MutedIdentities(await acts.mute_all()))


async def _hands(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_hands")
    return json_answer(Hands(space.hands()))


async def _blocks(call: Call) -> Response:
    space = await call.space()
    require(call.caller(space), "read_blocks")
    return json_answer(Blocks([Block(identity, timestamp(since_s)) for identity, since_s in space.blocked()]))


async def _hand(call: Call, *, is_raised: bool) -> Response:
    _, acts = await acts_of(call)
    await acts.raise_hand(is_raised=is_raised)
    return empty()


async def _self_mute(call: Call, *, is_muted: bool) -> Response:
    space, acts = await acts_of(call)
    await acts.mute_oneself(is_muted=is_muted)
    return json_answer(space.participant(call.token.identity))


async def _step(call: Call, *, is_up: bool) -> Response:
    space, acts = await acts_of(call)
    await (acts.step_up() if is_up else acts.step_down())
    return json_answer(space.participant(call.token.identity))


class _Act(Struct, frozen=True, kw_only=True):
    """One act upon a participant."""

    summary: str
    do: Callable[[Any, Moderation, str], Awaitable[None]]
    """Given the body, the caller's acts, and upon whom."""
    codes: Sequence[str] = ()
    body: type[WithReason] = WithReason
    leaves_nobody: bool = False


_ACTS: Final[dict[str, _Act]] = {
    "mute": _Act(
        summary="Close the gate: heard by nobody from now on.", do=lambda _, acts, who: acts.mute(who, is_muted=True)
    ),
    "unmute": _Act(
        summary="Allow to be heard again; who muted themselves stays so.",
        do=lambda _, acts, who: acts.mute(who, is_muted=False),
    ),
    "promote": _Act(
        summary="Bring on stage; silent until they switch on their microphone.",
        do=lambda body, acts, who: acts.promote(who, body.role),
        codes=_SEAT,
        body=Promote,
    ),
    "demote": _Act(
        summary="Move back to the audience.", do=lambda _, acts, who: acts.demote(who), codes=("host_stays",)
    ),
    "invite": _Act(
        summary="Invite to speak, or to be cohost; the invited accept or decline.",
        do=lambda body, acts, who: acts.invite(who, body.role),
        codes=("already_on_stage", "cohosts_full"),
        body=Invite,
    ),
    "accept": _Act(
        summary="Accept an invitation, for oneself.",
        do=lambda _, acts, who: acts.answer_invitation(who, is_accepted=True),
        codes=("not_invited", *_SEAT),
    ),
    "decline": _Act(
        summary="Decline an invitation, for oneself.",
        do=lambda _, acts, who: acts.answer_invitation(who, is_accepted=False),
        codes=("not_invited",),
    ),
    "accept-hand": _Act(
        summary="Bring on stage who has raised a hand.",
        do=lambda _, acts, who: acts.answer_hand(who, is_accepted=True),
        codes=("no_hand", "hand_answered", *_SEAT),
    ),
    "decline-hand": _Act(
        summary="Lower somebody's hand; they are told.",
        do=lambda _, acts, who: acts.answer_hand(who, is_accepted=False),
        codes=("no_hand", "hand_answered"),
    ),
    "remove": _Act(
        summary="Remove; only a token issued afterwards lets them back in.",
        do=lambda _, acts, who: acts.remove(who, is_block=False),
        codes=("host_stays",),
        leaves_nobody=True,
    ),
    "block": _Act(
        summary="Remove for good, from all spaces of the host.",
        do=lambda _, acts, who: acts.remove(who, is_block=True),
        codes=("host_stays",),
        leaves_nobody=True,
    ),
    "unblock": _Act(
        summary="Lift a block; a token issued afterwards lets them in.",
        do=lambda _, acts, who: acts.unblock(who),
        codes=("not_blocked",),
        leaves_nobody=True,
    ),
}


async def _act(call: Call, act: _Act) -> Response:
    identity = call.path("identity")
    space, acts, body = await acts_with_reason(call, act.body)
    await act.do(body, acts, identity)
    if act.leaves_nobody:
        return empty()
    try:
        return json_answer(space.participant(identity))
    except CommandError:  # who is away can be demoted; others may have left a moment ago
        return empty()


def operations(_: Signalling) -> Sequence[Operation]:
    return [*(_act_operation(name, act) for name, act in _ACTS.items()), *_moderators_operations(), *_own_operations()]


def _act_operation(name: str, act: _Act) -> Operation:
    return Operation(
        method="POST",
        path=f"{_PARTICIPANTS}/{{identity}}/{name}",
        route=f"{_PARTICIPANTS}/{{identity:path}}/{name}",
        handler=lambda call: _act(call, act),
        summary=act.summary,
        tag="moderation",
        body=act.body,
        answers=[
            *([] if act.leaves_nobody else [Answer(200, "The participant, after it.", ParticipantResource)]),
            Answer(204, "Done, and in force at the packet; they are not here."),
        ],
        codes=(*_ACT, *_BODY, *act.codes),
    )


def _moderators_operations() -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=_PARTICIPANTS,
            handler=_participants,
            summary="Who is here, but for hidden listeners.",
            tag="participants",
            answers=[Answer(200, "The participants.", ParticipantList)],
            codes=IN_SPACE,
        ),
        Operation(
            method="POST",
            path=_SPACE + "/mute-all",
            handler=_mute_all,
            summary="Mute everyone on stage below the caller's role.",
            tag="moderation",
            body=WithReason,
            answers=[Answer(200, "Whom it muted.", MutedIdentities)],
            codes=(*IN_SPACE, "sfu_unavailable"),
        ),
        Operation(
            method="GET",
            path=_SPACE + "/hands",
            handler=_hands,
            summary="Who asks to speak, the first first.",
            tag="moderation",
            answers=[Answer(200, "The queue.", Hands)],
            codes=IN_SPACE,
        ),
        Operation(
            method="GET",
            path=_SPACE + "/blocks",
            handler=_blocks,
            summary="Whom the host keeps out.",
            tag="moderation",
            answers=[Answer(200, "The blocked.", Blocks)],
            codes=IN_SPACE,
        ),
    ]


def _own_operations() -> Sequence[Operation]:
    one = [Answer(200, "The caller, after it.", ParticipantResource)]

    def operation(method: str, path: str, handler: Callable[[Call], Awaitable[Response]], summary: str) -> Operation:
        answers = [Answer(204, "Done.")] if path == "/hand" else one
        return Operation(
            method=method,
            path=_SPACE + path,
            handler=handler,
            summary=summary,
            tag="participants",
            answers=answers,
            codes=(*_OWN, *codes[method, path]),
        )

    codes: dict[tuple[str, str], Sequence[str]] = {
        ("POST", "/hand"): ("already_on_stage",),
        ("DELETE", "/hand"): (),
        ("POST", "/self-mute"): (),
        ("DELETE", "/self-mute"): ("muted_by_host",),
        ("POST", "/stage"): ("already_on_stage", "not_on_stage", "speak_not_allowed", "stage_full"),
        ("DELETE", "/stage"): ("not_a_speaker", "host_stays"),
    }
    return [
        operation("POST", "/hand", lambda call: _hand(call, is_raised=True), "Ask to speak."),
        operation("DELETE", "/hand", lambda call: _hand(call, is_raised=False), "Ask no more."),
        operation(
            "POST", "/self-mute", lambda call: _self_mute(call, is_muted=True), "Switch one's own microphone off."
        ),
        operation(
            "DELETE", "/self-mute", lambda call: _self_mute(call, is_muted=False), "Switch one's own microphone on."
        ),
        operation(
            "POST", "/stage", lambda call: _step(call, is_up=True), "Come on stage by oneself, where `speak` allows it."
        ),
        operation("DELETE", "/stage", lambda call: _step(call, is_up=False), "Go back to the audience by oneself."),
    ]
