"""Event streams over both transports: first a snapshot, then what happens, and an end when there is a reason."""

import asyncio
import contextlib
import json
import socket as stdlib_socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from sfu.contract.config import Cors
from sfu.contract.messages import Speaking
from signalling.tokens import PalcoGrants
from signalling.web.events import MAX_STREAMS_PER_IDENTITY, ONLY_TELLS, TOKEN_EXPIRED
from tests.signalling import offers
from tests.signalling.running import Server, host_token, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

WITHIN_S = 30.0


@asynccontextmanager
async def socket(server: Server, hall: str, bearer: str, **more: Any) -> AsyncIterator[ClientConnection]:
    """As a browser would open it: the token among the subprotocols."""
    protocols = [Subprotocol("palco.v1"), Subprotocol(f"palco.token.{bearer}")]
    after = more.pop("after", None)
    url = f"{server.url.replace('http', 'ws')}/v1/spaces/{hall}/ws" + (f"?after={after}" if after else "")
    async with connect(url, subprotocols=protocols, proxy=None, **more) as opened:
        yield opened


async def read(opened: ClientConnection, *wanted: str) -> dict[str, Any]:
    """The next event, or the next of the `wanted` types."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            event: dict[str, Any] = json.loads(await opened.recv())
            if not wanted or event["type"] in wanted:
                return event


async def close_code(opened: ClientConnection) -> int | None:
    """Reads on until the server closes."""
    async with asyncio.timeout(WITHIN_S):
        try:
            while True:
                await opened.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


@asynccontextmanager
async def sse(
    server: Server, hall: str, bearer: str, last_event_id: str = ""
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    headers = {"Authorization": f"Bearer {bearer}"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    async with server.http.stream("GET", f"/v1/spaces/{hall}/events", headers=headers, timeout=WITHIN_S) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events_in(response.aiter_lines())


async def events_in(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def joined(server: Server, hall: str, identity: str = "bob") -> str:
    response = await server.join("whip", offers.WHIP, token(identity, hall, can_publish=True), hall)
    assert response.status_code == 201
    return str(response.headers["location"].rpartition("/")[2])


async def test_a_socket_is_first_shown_the_space_and_then_what_happens(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        assert opened.subprotocol == "palco.v1"
        snapshot = await read(opened)
        await joined(server, hall)
        event = await read(opened, "participant.joined")

    assert snapshot["type"] == "snapshot"
    assert snapshot["space"] == hall
    assert {"identity": "lea", "role": "listener", "is_muted": False}.items() <= snapshot["data"]["you"].items()
    assert snapshot["data"]["space"]["id"] == hall
    assert event["data"]["identity"] == "bob"
    assert event["seq"] > snapshot["seq"]


async def test_server_sent_events_say_the_same(server: Server, hall: str) -> None:
    async with sse(server, hall, token("lea", hall)) as events:
        first = await anext(events)
        await joined(server, hall)
        second = await anext(events)

    assert [first["type"], second["type"]] == ["snapshot", "participant.joined"]


async def test_counts_follow_a_join_that_is_not_announced(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await server.join("whep", offers.WHEP, token("max", hall), hall)
        event = await read(opened, "counts", "participant.joined")

    assert event["type"] == "counts"
    assert {"speakers": 0, "listeners": 1}.items() <= event["data"].items()


async def test_who_is_loud_is_told(server: Server, hall: str) -> None:
    await joined(server, hall)
    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened, "snapshot")
        server.sfu.report(Speaking(hall, [("bob", -23)]))
        event = await read(opened, "speakers.changed")

    assert event["data"] == {"speakers": [{"identity": "bob", "level_dbov": -23}]}
    assert (await server.roster(hall))["bob"]["is_speaking"]


async def test_what_concerns_one_is_told_to_that_one(server: Server, hall: str) -> None:
    await joined(server, hall)
    async with socket(server, hall, token("bob", hall)) as bob, socket(server, hall, token("lea", hall)) as lea:
        for opened in (bob, lea):
            await read(opened, "snapshot")
        await server.act("mute", "bob", host_token(hall), hall)
        mine = await read(bob, "you.changed")
        theirs = await read(lea, "you.changed", "participant.changed")

    assert {"identity": "bob", "role": "speaker", "is_muted": True}.items() <= mine["data"].items()
    assert (theirs["type"], theirs["data"]["is_muted"]) == ("participant.changed", True)


async def test_the_removed_are_told_and_their_stream_ends(server: Server, hall: str) -> None:
    await joined(server, hall)
    async with socket(server, hall, token("bob", hall)) as opened:
        await read(opened, "snapshot")
        await server.act("remove", "bob", host_token(hall), hall)
        assert (await read(opened, "you.removed"))["data"] == {"reason": "removed"}
        assert await close_code(opened) == 1001


async def test_the_end_of_the_space_ends_its_streams(server: Server, hall: str) -> None:
    async with sse(server, hall, token("lea", hall)) as events, socket(server, hall, token("max", hall)) as opened:
        await anext(events)
        await read(opened, "snapshot")
        await server.call("POST", f"/v1/spaces/{hall}/end", host_token(hall))

        assert [event["type"] async for event in events][-1] == "space.ended"
        assert (await read(opened, "space.ended"))["data"]["state"] == "ended"
        assert await close_code(opened) == 1001


async def test_reactions_are_gathered(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened, "snapshot")
        for _ in range(3):
            await server.call("POST", f"/v1/spaces/{hall}/reactions", token("lea", hall), json={"emoji": "👏"})
        first, second = await read(opened, "reactions"), await read(opened, "reactions")

    assert first["data"]["counts"]["👏"] + second["data"]["counts"]["👏"] == 3


# A stream that broke off


async def say(server: Server, hall: str, text: str) -> None:
    bearer = token("scribe", hall, palco=PalcoGrants(captions=True))
    response = await server.call("POST", f"/v1/spaces/{hall}/captions", bearer, json={"text": text})
    assert response.status_code == 202, response.text


async def until_said(server: Server, hall: str, text: str) -> None:
    async with socket(server, hall, token("max", hall)) as opened:
        captions = (await read(opened, "snapshot"))["data"]["captions"]
        while text not in [line["text"] for line in captions]:
            captions = [(await read(opened, "caption"))["data"]]


async def test_a_stream_goes_on_where_it_broke_off_over_either_transport(server: Server, hall: str) -> None:
    async with sse(server, hall, token("lea", hall)) as events:
        snapshot = await anext(events)
        await say(server, hall, "one")
        last = await anext(events)
    cursor = f"{snapshot['data']['epoch']}-{last['seq']}"
    await say(server, hall, "two")
    await say(server, hall, "three")
    await until_said(server, hall, "three")

    async with sse(server, hall, token("lea", hall), cursor) as events:
        resumed = [await anext(events) for _ in range(3)]
    async with socket(server, hall, token("lea", hall), after=cursor) as opened:
        again = [await read(opened) for _ in range(3)]

    assert resumed[1:] == again[1:]
    assert [event["type"] for event in resumed] == ["resumed", "caption", "caption"]
    assert [event["data"].get("text") for event in resumed] == [None, "two", "three"]
    assert resumed[0]["data"]["events"] == 2


async def test_what_was_told_to_one_alone_is_repeated_to_that_one_alone(server: Server, hall: str) -> None:
    await server.join("whep", offers.WHEP, token("bob", hall), hall)
    async with socket(server, hall, token("bob", hall)) as opened:
        snapshot = await read(opened)
    cursor = f"{snapshot['data']['epoch']}-{snapshot['seq']}"
    response = await server.act("invite", "bob", host_token(hall), hall)
    assert response.status_code == 200, response.text
    await say(server, hall, "afterwards")

    seen: dict[str, list[dict[str, Any]]] = {}
    for identity, wanted in (("bob", {"caption", "you.invited"}), ("lea", {"caption"})):
        async with socket(server, hall, token(identity, hall), after=cursor) as opened:
            seen[identity] = []
            while not {event["type"] for event in seen[identity]} >= wanted:
                seen[identity].append(await read(opened))
    assert "you.invited" in [event["type"] for event in seen["bob"]]
    assert [event["type"] for event in seen["lea"] if event["type"].startswith("you.")] == []


async def test_after_a_restart_of_the_server_a_new_epoch_begins_with_a_snapshot() -> None:
    async with running() as server:
        await server.make_space()
        async with socket(server, "hall", token("lea")) as opened:
            first = await read(opened)
        cursor = f"{first['data']['epoch']}-{first['seq']}"
        await server.restart()
        async with socket(server, "hall", token("lea"), after=cursor) as opened:
            second = await read(opened)
    assert second["type"] == "snapshot"
    assert second["data"]["epoch"] != first["data"]["epoch"]


async def test_a_cursor_that_is_none_is_refused(server: Server, hall: str) -> None:
    response = await server.call("GET", f"/v1/spaces/{hall}/events?after=yesterday", token("lea", hall))
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


async def test_a_resumed_stream_is_no_way_in_for_the_removed(server: Server, hall: str) -> None:
    await joined(server, hall)
    async with socket(server, hall, token("bob", hall)) as opened:
        snapshot = await read(opened)
        await server.act("remove", "bob", host_token(hall), hall)
        await close_code(opened)
    cursor = f"{snapshot['data']['epoch']}-{snapshot['seq']}"
    assert await refusal(server, hall, token("bob", hall), after=cursor) == (403, "removed")


# Those who do not read


async def test_who_does_not_read_holds_up_nobody_and_is_cut_off_from_the_crowd(server: Server, hall: str) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    stalled = stdlib_socket.socket()
    stalled.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVBUF, 2048)
    stalled.connect((host, int(port)))
    request = f"GET /v1/spaces/{hall}/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token('max', hall)}\r\n"
    stalled.sendall(f"{request}\r\n".encode())
    bearer = token("ada", hall, room_admin=True, can_publish=True)
    missed = server.metrics.registry.get_sample_value("palco_signalling_events_dropped_total") or 0.0
    try:
        async with socket(server, hall, token("lea", hall)) as opened:
            await read(opened, "snapshot")
            order = []
            for number in range(5):
                url = f"https://palco.example/{number}/" + "x" * 2000
                response = await server.call("POST", f"/v1/spaces/{hall}/links", bearer, json={"url": url})
                order.append(response.json()["id"])
            # Ten kilobytes each: ten of them fill its buffers, and twenty more are too many to be repeated.
            for _ in range(45):
                order.append(order.pop(0))
                await server.call("PATCH", f"/v1/spaces/{hall}/links", bearer, json={"order": order})
                while [link["id"] for link in (await read(opened, "links.changed"))["data"]["links"]] != order:
                    pass
        # Everything beyond the kernel's and our bound has been left out for the one that does not read.
        async with asyncio.timeout(WITHIN_S):
            stalled.setblocking(False)
            received = bytearray()
            while b'"snapshot"' not in received[2000:]:
                with contextlib.suppress(BlockingIOError):
                    received += stalled.recv(1 << 16)
                await asyncio.sleep(0.01)
    finally:
        stalled.close()
    assert (server.metrics.registry.get_sample_value("palco_signalling_events_dropped_total") or 0.0) > missed


# Who may, and what a client may not


async def refusal(server: Server, hall: str, bearer: str, **more: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(server, hall, bearer, **more):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"{}")["code"]


async def test_a_socket_without_a_good_token_is_refused_before_it_opens(server: Server, hall: str) -> None:
    assert await refusal(server, hall, "not.a.token") == (401, "bad_token")
    assert await refusal(server, hall, token("lea", "elsewhere")) == (403, "missing_permission")
    assert await refusal(server, "nowhere", token("lea", "nowhere")) == (404, "unknown_space")


async def test_a_stream_without_a_token_is_refused(server: Server, hall: str) -> None:
    response = await server.call("GET", f"/v1/spaces/{hall}/events")
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_a_token_in_the_url_is_not_looked_at(server: Server, hall: str) -> None:
    response = await server.call("GET", f"/v1/spaces/{hall}/events?token={token('lea', hall)}")
    assert response.status_code == 401


async def test_a_page_of_another_origin_may_not_open_a_socket() -> None:
    async with running(cors=Cors(origins=["https://palco.example"])) as server:
        await server.make_space()
        bearer = token("lea")
        assert await refusal(server, "hall", bearer, origin=Origin("https://evil.example")) == (403, "wrong_origin")
        for origin in (Origin("https://palco.example"), Origin(server.url), None):
            async with socket(server, "hall", bearer, origin=origin) as opened:
                assert (await read(opened))["type"] == "snapshot"


async def test_a_client_that_talks_is_shown_the_door(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await opened.send('{"type": "mute", "identity": "bob"}')
        assert await close_code(opened) == ONLY_TELLS


async def test_a_message_above_the_limit_ends_the_connection(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await opened.send("x" * 5000)
        assert await close_code(opened) == 1009


async def test_compression_is_not_spoken(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall), compression="deflate") as opened:
        assert opened.protocol.extensions == []


async def test_a_stream_ends_with_its_token(server: Server, hall: str) -> None:
    """A token may be used some seconds beyond its end, since clocks differ; a stream is not held open for that."""
    async with socket(server, hall, token("lea", hall, age_s=7201)) as opened:
        assert await close_code(opened) == TOKEN_EXPIRED


async def test_one_identity_has_so_many_streams(server: Server, hall: str) -> None:
    opened = [socket(server, hall, token("lea", hall)) for _ in range(MAX_STREAMS_PER_IDENTITY)]
    connections = [await one.__aenter__() for one in opened]
    for connection in connections:
        await read(connection)

    assert await refusal(server, hall, token("lea", hall)) == (409, "too_many_subscriptions")
    for one in opened:
        await one.__aexit__(None, None, None)


async def test_open_streams_are_counted_and_those_that_end_are_not(server: Server, hall: str) -> None:
    registry = server.metrics.registry

    def open_streams() -> float:
        return registry.get_sample_value("palco_signalling_event_subscribers", {"transport": "websocket"}) or 0.0

    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened)
        assert open_streams() >= 1
    async with asyncio.timeout(WITHIN_S):
        while open_streams():
            await server.roster(hall)
