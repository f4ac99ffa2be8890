"""Every operation that there is, by every token that is not good for it: none accepted, and nothing changed.

The operations are read from the server, so a new one is tried here without anybody's asking.
"""

import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest
import pytest_asyncio

from sfu.contract.config import Limits
from signalling.web.endpoint import Operation
from tests.signalling import offers
from tests.signalling.running import KEY, SECRET, Server, host_token, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

SOMETHING = {
    "space": "hall",
    "identity": "bob",
    "session": "s" * 32,
    "ticket": "0" * 24,
    "link": "0" * 12,
    "report": "0" * 24,
    "delivery": "1",
}
BODIES = {"application/json": b"{}", "application/sdp": offers.WHIP.encode()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running(limits=Limits(requests_per_second=50_000, request_burst=100_000)) as server:
        await server.make_space("hall", ticket={"transferable": True}, speak="everyone")
        await server.make_space("attic")
        await server.join("whip", offers.WHIP, host_token())
        await server.call("POST", "/v1/spaces/hall/tickets", host_token(), json={"identity": "bob"})
        assert (await server.join("stage", offers.stage_offer("sendrecv"), token("bob"))).status_code == 201
        yield server


def closed(server: Server) -> list[Operation]:
    """What takes a token."""
    return [operation for operation in server.operations if not operation.is_public]


def claims(**changes: Any) -> dict[str, Any]:
    now_s = int(time.time())
    grants = {"room": "hall", "roomJoin": True, "roomCreate": True, "roomList": True, "roomAdmin": True}
    everything = {"iss": KEY, "sub": "ada", "name": "Ada", "iat": now_s, "nbf": now_s, "exp": now_s + 600}
    everything |= {"video": {**grants, "canPublish": True}, "palco": {"operator": True, "captions": True}}
    return {name: value for name, value in {**everything, **changes}.items() if value is not None}


def forged() -> Iterator[tuple[str, str | None]]:
    """Each says all that would open every door, and is wrong in one way."""
    now_s = int(time.time())
    head, body, signature = jwt.encode(claims(), SECRET, "HS256").split(".")
    yield "no token", None
    yield "not a token", "palco"
    yield "unsigned", jwt.encode(claims(), "", algorithm="none")
    yield "signature left out", f"{head}.{body}."
    yield "signature of another", f"{head}.{body}.{jwt.encode({'a': 1}, SECRET, 'HS256').split('.')[2]}"
    yield "one bit flipped", f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "another secret", jwt.encode(claims(), "x" * 40, "HS256")
    yield "HS512", jwt.encode(claims(), SECRET, "HS512")
    yield "unknown issuer", jwt.encode(claims(iss="nobody"), SECRET, "HS256")
    yield "expired", jwt.encode(claims(exp=now_s - 60), SECRET, "HS256")
    yield "no expiry", jwt.encode(claims(exp=None), SECRET, "HS256")
    yield "not yet valid", jwt.encode(claims(nbf=now_s + 600), SECRET, "HS256")
    yield "no subject", jwt.encode(claims(sub=None), SECRET, "HS256")
    yield "another audience", jwt.encode(claims(aud="elsewhere"), SECRET, "HS256")
    yield "claim of the wrong type", jwt.encode(claims(palco={"operator": "yes"}), SECRET, "HS256")


def strangers() -> Iterator[tuple[str, str]]:
    """Genuine, and for something else."""
    yield "of another space", token("mallory", "attic", room_admin=True, can_publish=True)
    yield "of another space, by the host's name", token("ada", "attic", room_admin=True, can_publish=True)
    yield "of no space", token("mallory", "", room_admin=True, can_publish=True)
    yield "without roomJoin", token("mallory", "hall", room_join=False)


async def attempt(server: Server, operation: Operation, bearer: str | None) -> int:
    path = re.sub(r"{(\w+)}", lambda match: SOMETHING[match[1]], operation.path)
    more: dict[str, Any] = {}
    if operation.body is not None:
        media_type = operation.body_media_type
        more = {"content": BODIES.get(media_type, b"a=ice-ufrag:abcd"), "headers": {"Content-Type": media_type}}
    return (await server.call(operation.method, path, bearer, **more)).status_code


async def seen(server: Server) -> object:
    """What acts could change; the counts of the requests' own sessions among it."""
    spaces = [(await server.call("GET", f"/v1/spaces/{name}", host_token(name))).json() for name in ("hall", "attic")]
    tickets = (await server.call("GET", "/v1/spaces/hall/tickets", host_token())).json()
    return spaces, await server.roster(), tickets, dict(server.sfu.sessions), {**server.sfu.muted}


async def test_no_forged_token_opens_any_door(server: Server) -> None:
    before = await seen(server)
    answers = {
        (name, operation.method, operation.path): await attempt(server, operation, bearer)
        for operation in closed(server)
        for name, bearer in forged()
    }
    assert len(answers) >= 500, len(answers)
    assert {case: status for case, status in answers.items() if status != 401} == {}
    assert await seen(server) == before


async def test_no_strangers_token_opens_a_door_of_this_space(server: Server) -> None:
    before = await seen(server)
    answers = {
        (name, operation.method, operation.path): await attempt(server, operation, bearer)
        for operation in closed(server)
        for name, bearer in strangers()
    }
    assert len(answers) >= 150, len(answers)
    assert {case: status for case, status in answers.items() if not 400 <= status < 500} == {}
    assert await seen(server) == before


MODERATION = re.compile(
    r"/v1/spaces/{space}(/(start|cancel|end|mute-all|hands|blocks|tickets|tickets/{ticket}/revoke)|"
    r"/participants/{identity}/(?!accept$|decline$).*)?"
)


@pytest.mark.parametrize("grants", [{}, {"can_publish": True}], ids=["listener", "speaker"])
async def test_a_listener_or_speaker_does_nothing_that_takes_a_moderator(
    server: Server, grants: dict[str, Any]
) -> None:
    bearer = token("bob", "hall", **grants)
    before = await seen(server)
    tried = [
        operation
        for operation in closed(server)
        if MODERATION.fullmatch(operation.path) and (operation.path, operation.method) != ("/v1/spaces/{space}", "GET")
    ]
    answers = {(operation.method, operation.path): await attempt(server, operation, bearer) for operation in tried}
    assert len(answers) >= 18, sorted(answers)
    assert {case: status for case, status in answers.items() if status not in {400, 403, 404}} == {}
    assert await seen(server) == before
