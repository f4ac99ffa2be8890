"""What the logs say of a hostile hour and of one person's visit: enough to follow, never a secret, never a flood."""

import json
import secrets
import socket
import time
from collections.abc import Callable

import jwt
import pytest

from sfu.contract.log_limit import BURST_LINES, LINES_PER_S
from tests.harness.processes import Palco
from tests.harness.room import Room, meanwhile
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live

SDP = {"Content-Type": "application/sdp"}
FLOOD = BURST_LINES + 100
TURN_SECRET = "the-relay-s-shared-secret"
RTC = {"turn_servers": [{"host": "turn.example.org", "secret": TURN_SECRET}]}


def logs(palco: Palco) -> str:
    return palco.sfu.log.read_text(errors="replace") + palco.signalling.log.read_text(errors="replace")


async def be_hostile(room: Room) -> list[str]:
    """Everything that a stranger, and somebody with a token, may try; returns what must not turn up in a log."""
    forged = jwt.encode({"iss": room.palco.key, "sub": "eve", "exp": 9e9}, secrets.token_hex(32), algorithm="HS256")
    sent = [forged, f"garbage-{secrets.token_hex(8)}", room.host]
    for token in sent[:2]:
        for path in (f"/whep/{room.space}", f"/v1/spaces/{room.space}", f"/v1/spaces/{room.space}/events"):
            await room.call(
                "POST", path, token, content=b"\xff\xfe not sdp", headers={"Content-Type": "application/sdp"}
            )
    await room.call("GET", '/%0a{"event":"forged"}', room.host)
    await room.call("GET", f"/v1/spaces/{room.space}?access_token={sent[1]}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for size in range(1, 300):
            stranger.sendto(secrets.token_bytes(size), ("127.0.0.1", room.palco.udp_ports[0]))
    eve = room.token("eve")
    for _ in range(FLOOD):
        await room.call("POST", f"/whip/{room.space}", eve, content="v=0", headers=SDP)
    return [*sent, eve]


async def test_a_hostile_run_leaves_no_secret_and_no_flood(make_palco: Callable[..., Palco]) -> None:
    palco = make_palco(rtc=RTC)
    async with Room(palco) as room:
        began_s = time.monotonic()
        secret = await be_hostile(room)
        bob = await room.guest("bob", room.token("bob"), Manner(sections=["recvonly"]))
        answer = await room.offer(bob, "whep")
        credential = answer.headers["Link"].partition('credential="')[2].partition('"')[0]
        password = bob.answer.partition("a=ice-pwd:")[2].partition("\r")[0]
        session = bob.location.rpartition("/")[2]
        secret += [bob.token, palco.secret, TURN_SECRET, credential, password, session]
        text = logs(palco)
        assert [word for word in secret if word in text] == []
        assert all(len(token.rpartition(".")[2]) < 10 or token.rpartition(".")[2] not in text for token in secret)
        refusals = [line for line in palco.signalling.happenings() if line["event"] == "join_refused"]
        assert len(refusals) <= BURST_LINES + 1 + LINES_PER_S * (time.monotonic() - began_s)
        assert "forged" not in {line["event"] for line in palco.signalling.happenings()}
        assert not any("Traceback" in line for line in text.splitlines())


async def test_one_visit_can_be_followed_by_identity_and_session(make_palco: Callable[..., Palco]) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        ana, bob = await room.speaker("ana"), await room.listener("bob")
        await meet(ana.peer, bob.peer)
        session = ana.location.rpartition("/")[2][:8]
        await room.must("mute", "ana")
        await room.leave(ana)
        await meanwhile(palco.stop)
    lines = [json.loads(line) for line in logs(palco).splitlines() if '"ana"' in line]
    told = [(line["process"], line["event"]) for line in sorted(lines, key=lambda line: str(line["timestamp"]))]
    assert told[0] == ("signalling", "joined")
    assert ("sfu", "joined") in told
    assert ("signalling", "act") in told
    assert {("sfu", "left"), ("signalling", "left")} <= set(told)
    assert {line["session"] for line in lines if "session" in line} == {session}
    (act,) = [line for line in lines if line["event"] == "act"]
    assert (act["action"], act["by"], act["upon"]) == ("mute", room.host_identity, "ana")
