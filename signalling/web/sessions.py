"""WHIP (RFC 9725), WHEP (draft-ietf-wish-whep-04) and the stage session: offers and session URLs.

As the documents have it, with the leniencies that clients in the field need (`signalling.sessions`). One difference is
meant: WHEP answers 201 where nobody speaks yet, not 409, since an empty stage is the usual beginning of a space.
"""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling import sessions
from signalling.app import Signalling
from signalling.errors import CommandError
from signalling.ice_servers import ice_servers
from signalling.negotiation import Kind
from signalling.participants import Session
from signalling.permissions import Caller
from signalling.resources import CreateSpace, is_space_id
from signalling.sdpfrag import MAX_BYTES as MAX_FRAGMENT_BYTES
from signalling.spaces import Space
from signalling.web.answers import empty
from signalling.web.bodies import SDP, SDPFRAG, read_body
from signalling.web.endpoint import Answer, Call, Operation

_COLLECTIONS: Final[dict[Kind, str]] = {
    "whip": "/whip/{space}",
    "whep": "/whep/{space}",
    "stage": "/v1/spaces/{space}/sessions",
}
_MEANS: Final[dict[Kind, str]] = {
    "whip": "Speak: publish one Opus stream (WHIP).",
    "whep": "Hear: receive one slot for each audio section offered (WHEP).",
    "stage": "Speak and hear in one session.",
}
_OFFER_CODES: Final = (
    "bad_sdp",
    "too_large",
    "unsupported_media_type",
    "unacceptable_sdp",
    "missing_permission",
    "removed",
    "blocked",
    "not_on_stage",
    "ticket_needed",
    "unknown_space",
    "not_started",
    "duplicate_identity",
    "stage_full",
    "space_full",
    "too_many_sessions",
    "space_ended",
    "space_cancelled",
    "draining",
    "overloaded",
    "sfu_unavailable",
)
_LOOK_CODES: Final = ("missing_permission", "removed", "blocked", "unknown_space", "space_ended", "space_cancelled")
_SESSION_CODES: Final = (*_LOOK_CODES, "unknown_session")
_PATCH_CODES: Final = (
    *_SESSION_CODES,
    "bad_sdpfrag",
    "too_large",
    "unsupported_media_type",
    "stale_etag",
    "precondition_required",
    "sfu_unavailable",
)


async def _post(call: Call, kind: Kind) -> Response:
    space = await _space_to_join(call)
    caller = call.caller(space)
    body = await read_body(call.request, SDP, max_bytes=call.app.config.limits.sdp_bytes)
    opened = await sessions.open_session(call.app, space, call.token, caller=caller, kind=kind, body=body)
    headers = {
        "Location": f"{_COLLECTIONS[kind].format(space=space.id)}/{opened.session}",
        "ETag": opened.etag,
        "Cache-Control": "no-store",
    }
    response = Response(opened.answer, 201, headers, media_type=SDP)
    for server in ice_servers(call.app.config.rtc, session=opened.session, now_s=call.app.clock()):
        response.headers.append("Link", server.link)
    return response


async def _space_to_join(call: Call) -> Space:
    """The space of the path, made on the spot where the operator has it so and the token is for it."""
    name = call.path("space")
    grants = call.token.grants
    may_open = grants.room == name and (grants.room_create or (grants.room_join and grants.can_publish))
    if call.app.config.spaces.auto_create and may_open and is_space_id(name) and not call.app.has_space(name):
        host = call.token.identity if grants.room_create or grants.room_admin else ""
        host_name = call.token.name if host else ""
        await call.app.create_space_once(name, host, CreateSpace(title=name), host_name=host_name)
    return await call.space()


async def _look(call: Call) -> Response:
    _check_is_for(call, await call.space())
    return empty()


async def _head_whep(call: Call) -> Response:
    """WHEP's way to ask whether this is a WHEP endpoint."""
    _check_is_for(call, await call.space())
    return empty(200, {"Content-Type": SDP, "Content-Length": "0"})


def _check_is_for(call: Call, space: Space) -> Caller:
    """The caller, if the token is for `space` in any way at all. Raises CommandError."""
    caller = call.caller(space)
    if not caller.standings:
        raise CommandError(
            "missing_permission", "this token is not for this space", missing_permission="roomJoin", action="session"
        )
    return caller


async def _delete(call: Call, kind: Kind) -> Response:
    space, session = await _session(call, kind)
    await sessions.close_session(call.app, space, session)
    return empty(200)


async def _patch(call: Call, kind: Kind) -> Response:
    space, session = await _session(call, kind)
    body = await read_body(call.request, SDPFRAG, max_bytes=MAX_FRAGMENT_BYTES)
    if_match = call.request.headers.get("if-match")
    restarted = await sessions.patch_session(call.app, space, session, if_match=if_match, body=body)
    if restarted is None:
        return empty()
    return Response(restarted.fragment, 200, {"ETag": restarted.etag, "Cache-Control": "no-store"}, media_type=SDPFRAG)


async def _get_session(call: Call, kind: Kind) -> Response:
    await _session(call, kind)
    return empty()


async def _session(call: Call, kind: Kind) -> tuple[Space, Session]:
    space = await call.space()
    caller = _check_is_for(call, space)
    return space, sessions.find_session(space, call.path("session"), caller, kind=kind)


def operations(_: Signalling) -> Sequence[Operation]:
    return [operation for kind in _COLLECTIONS for operation in _operations_of(kind)]


def _operations_of(kind: Kind) -> Sequence[Operation]:
    collection = _COLLECTIONS[kind]
    made = [_post_operation(kind), *_session_operations(kind, collection + "/{session}")]
    if kind != "stage":
        made.append(
            Operation(
                method="GET",
                path=collection,
                handler=_look,
                summary="There is nothing to read here; offers are POSTed.",
                tag="sessions",
                answers=[Answer(204, "An endpoint of this kind.")],
                codes=_LOOK_CODES,
            )
        )
    if kind == "whep":
        made.append(
            Operation(
                method="HEAD",
                path=collection,
                handler=_head_whep,
                summary="Whether this is a WHEP endpoint.",
                tag="sessions",
                answers=[Answer(200, "It is.")],
                codes=_LOOK_CODES,
            )
        )
    return made


def _post_operation(kind: Kind) -> Operation:
    return Operation(
        method="POST",
        path=_COLLECTIONS[kind],
        handler=lambda call: _post(call, kind),
        summary=_MEANS[kind],
        tag="sessions",
        body=str,
        body_media_type=SDP,
        is_body_required=True,
        answers=[Answer(201, "The SDP answer.", str, SDP, headers=("Location", "ETag", "Link"))],
        codes=_OFFER_CODES,
    )


def _session_operations(kind: Kind, path: str) -> Sequence[Operation]:
    return [
        Operation(
            method="GET",
            path=path,
            handler=lambda call: _get_session(call, kind),
            summary="Whether the session stands; there is nothing to read.",
            tag="sessions",
            answers=[Answer(204, "It stands.")],
            codes=_SESSION_CODES,
        ),
        Operation(
            method="PATCH",
            path=path,
            handler=lambda call: _patch(call, kind),
            summary="Trickle ICE candidates, or restart ICE.",
            tag="sessions",
            body=str,
            body_media_type=SDPFRAG,
            is_body_required=True,
            answers=[
                Answer(204, "Candidates noted."),
                Answer(200, "ICE restarted.", str, SDPFRAG, headers=("ETag",)),
            ],
            codes=_PATCH_CODES,
        ),
        Operation(
            method="DELETE",
            path=path,
            handler=lambda call: _delete(call, kind),
            summary="End the session.",
            tag="sessions",
            answers=[Answer(200, "It has ended.")],
            codes=(*_SESSION_CODES, "sfu_unavailable"),
        ),
    ]
