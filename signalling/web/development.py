"""`/dev/tokens`: a token for whoever asks. In development mode only, which is bound to loopback."""

import secrets
from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from signalling.app import Signalling
from signalling.errors import PeerError
from signalling.resources import DevToken, DevTokenRequest
from signalling.tokens import Grants, mint
from signalling.web.answers import json_answer
from signalling.web.bodies import read_json
from signalling.web.endpoint import Answer, Call, Operation

LIFETIME_S: Final = 6 * 3600.0


async def _mint(call: Call) -> Response:
    wanted = await read_json(call.request, DevTokenRequest, max_bytes=call.app.config.limits.body_bytes)
    identity = wanted.identity or f"{wanted.role}-{secrets.token_hex(3)}"
    name = wanted.name or identity
    if not identity.isprintable() or not name.isprintable():
        raise PeerError("bad_request", "identity and name must be printable")
    is_host = wanted.role == "host"
    grants = Grants(
        room=wanted.space,
        room_join=True,
        room_create=is_host,
        room_list=True,
        room_admin=is_host,
        can_publish=wanted.role != "listener",
        can_subscribe=True,
    )
    key, secret = next(iter(call.app.config.keys.items()))
    token = mint(
        key=key,
        secret=secret,
        identity=identity,
        name=name,
        grants=grants,
        now_s=call.app.clock(),
        lifetime_s=LIFETIME_S,
    )
    return json_answer(DevToken(token, identity, wanted.space), headers={"Cache-Control": "no-store"})


def operations(app: Signalling) -> Sequence[Operation]:
    if not app.config.development:
        return []
    return [
        Operation(
            method="POST",
            path="/dev/tokens",
            handler=_mint,
            summary="A token for trying things out; exists in development mode only.",
            tag="development",
            body=DevTokenRequest,
            is_body_required=True,
            example={"space": "town-hall", "role": "speaker", "name": "Ada"},
            answers=[Answer(200, "The token.", DevToken)],
            codes=("bad_request", "too_large", "unsupported_media_type"),
            is_public=True,
        )
    ]
