"""One space in detail, for who operates the server and for nobody else."""

import secrets
import time

import jwt
import pytest

from tests.harness.processes import Palco
from tests.harness.room import Room, eventually, meet_all

pytestmark = pytest.mark.live


def operator(palco: Palco) -> str:
    now_s = time.time()
    claims: dict[str, object] = {
        "iss": palco.key,
        "sub": "ops",
        "exp": now_s + 600,
        "jti": secrets.token_hex(8),
        "palco": {"operator": True},
    }
    return jwt.encode(claims, palco.secret, algorithm="HS256")


async def test_the_operator_sees_each_session_s_packets_and_nobody_else_does(palco: Palco, room: Room) -> None:
    ana = await room.speaker("ana")
    listeners = [await room.listener(f"listener-{index}") for index in range(2)]
    await meet_all([ana], listeners)
    for listener in listeners:
        await listener.peer.hears(await ana.peer.talk(10))
    path = f"/v1/operator/spaces/{room.space}"
    refused = await room.call("GET", path, room.host)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_permission")
    assert (await room.call("GET", path)).status_code == 401

    async def shows_all() -> bool:
        answer = await room.call("GET", path, operator(palco))
        assert answer.status_code == 200, answer.text
        document = answer.json()
        first, *others = document["sessions"]
        assert (document["total"], first["identity"], first["is_on_stage"]) == (3, "ana", True)
        sent = [row["packets_out"] for row in others]
        return bool(first["packets_in"] >= 20 and min(sent) >= 20)

    await eventually(shows_all, what="the figures of all three")
    unknown = await room.call("GET", "/v1/operator/spaces/nowhere-at-all", operator(palco))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_space")
