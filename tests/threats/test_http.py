"""T27 and T28: session URLs, and other people's web pages."""

import asyncio
import re
from collections.abc import Callable

import pytest
import websockets

from tests.harness import ice
from tests.harness.processes import Palco
from tests.harness.room import MODERATOR, SPEAKER, Room
from tests.harness.wire import meet

pytestmark = pytest.mark.live


async def test_t27_resource_url_is_of_use_to_its_owner_alone(room: Room) -> None:
    """SRS#3595, mediamtx#4257: whoever knew the URL could end the session, or did not even need to know it."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    local = ice.make_credentials()
    for token, allowed in ((None, {401}), (bob.token, {403, 404}), (room.token("eve", **SPEAKER), {403, 404})):
        for method in ("DELETE", "PATCH", "GET", "HEAD"):
            body = f"a=ice-ufrag:{local.ufrag}\r\na=ice-pwd:{local.pwd}\r\nm=audio 9 X 0\r\na=mid:0\r\n"
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
            extra = {"content": body, "headers": headers} if method == "PATCH" else {}
            response = await room.call(method, ana.location, token, **extra)
            assert response.status_code in allowed, (method, response.status_code)
    await bob.peer.hears(ana.peer.say())
    assert (await room.call("DELETE", ana.location, room.token("cohost", **MODERATOR))).status_code in {200, 403, 404}


async def test_t27_resource_url_has_128_bits_nobody_can_guess_and_no_token(room: Room) -> None:
    guests = [await room.speaker(f"speaker-{index}") for index in range(3)]
    names = [guest.location.rpartition("/")[2] for guest in guests]
    assert len(set(names)) == len(names)
    for guest, name in zip(guests, names, strict=True):
        assert len(re.sub(r"[^A-Za-z0-9_-]", "", name)) * 6 >= 128
        assert guest.token not in guest.location


async def test_t27_resource_url_changes_only_with_the_etag_that_is_true_now(room: Room) -> None:
    ana = await room.speaker("ana")
    assert re.fullmatch(r'"[^"]+"', ana.etag), "RFC 9725 wants a strong entity tag"
    stale, present = ana.etag, ana.peer.local
    await room.restart_ice(ana)
    await ana.peer.check(nominates=True)
    new = ice.make_credentials()
    refused = await room.patch(ana, ufrag=new.ufrag, pwd=new.pwd, etag=stale)
    assert refused.status_code == 412
    missing = await room.patch(ana, ufrag=new.ufrag, pwd=new.pwd, etag=None)
    assert missing.status_code == 428
    candidate = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
    local = ana.peer.local
    trickled = await room.patch(ana, ufrag=local.ufrag, pwd=local.pwd, etag=ana.etag, more=candidate)
    assert trickled.status_code == 204
    assert "ETag" not in trickled.headers
    assert present != local


async def test_t27_resource_url_options_tells_strangers_nothing(room: Room) -> None:
    """The same answer for a session that stands and for one that never was."""
    ana = await room.speaker("ana")
    never = ana.location.rpartition("/")[0] + "/" + "x" * 32
    answers = [await room.call("OPTIONS", path) for path in (ana.location, never)]
    assert {answer.status_code for answer in answers} <= {200, 204}
    first, second = ({k: v for k, v in answer.headers.items() if k != "date"} for answer in answers)
    assert first == second
    assert answers[0].content == answers[1].content == b""
    assert "Link" not in answers[0].headers


async def test_t28_cross_site_no_cookie_is_set_and_none_is_read(room: Room) -> None:
    ana = await room.speaker("ana")
    path = f"/v1/spaces/{room.space}/participants"
    for answer in (
        await room.call("GET", path, room.host, headers={"Origin": "https://evil.example"}),
        await room.call("OPTIONS", path, headers={"Origin": "https://evil.example"}),
        await room.call("GET", "/"),
    ):
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers
    cookies = {"Cookie": f"token={room.host}; Authorization=Bearer {room.host}"}
    assert (await room.call("POST", f"{path}/ana/mute", None, headers=cookies)).status_code == 401
    assert not (await room.participants())["ana"]["is_muted"]
    assert ana.location


async def test_t28_cross_site_what_a_browser_must_see_is_exposed(room: Room) -> None:
    preflight = await room.call("OPTIONS", room.endpoint("whip"), headers={"Origin": "https://a.example"})
    assert {"POST", "PATCH", "DELETE"} <= set(re.split(r",\s*", preflight.headers["Access-Control-Allow-Methods"]))
    allowed = preflight.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "if-match"))
    response = await room.call("GET", room.endpoint("whep"), room.host, headers={"Origin": "https://a.example"})
    exposed = response.headers["Access-Control-Expose-Headers"].lower()
    assert all(name in exposed for name in ("location", "etag", "link", "retry-after"))


async def test_t28_cross_site_websocket_of_a_foreign_page_is_refused(make_palco: Callable[..., Palco]) -> None:
    palco = make_palco(cors={"origins": ["https://ours.example"]})
    async with Room(palco) as room:
        url = f"ws://127.0.0.1:{palco.port}/v1/spaces/{room.space}/ws"
        protocols = ["palco.v1", f"palco.token.{room.host}"]
        for origin in ("https://evil.example", "null", "https://ours.example.evil.example", "http://ours.example"):
            with pytest.raises(websockets.InvalidStatus) as refusal:
                await websockets.connect(url, subprotocols=protocols, origin=origin)  # type: ignore[arg-type]
            assert refusal.value.response.status_code == 403
        async with websockets.connect(url, subprotocols=protocols, origin="https://ours.example") as socket:  # type: ignore[arg-type]
            assert socket.subprotocol == "palco.v1"
            async with asyncio.timeout(5):
                assert '"snapshot"' in str(await socket.recv())
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(url, subprotocols=["palco.v1"])  # type: ignore[list-item]
        assert refusal.value.response.status_code == 401
