"""Discovery and reminders over HTTP: who finds what, page by page, and who is reminded of it, once."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sfu.contract.config import Limits, Spaces, Webhook
from signalling.resources import timestamp
from signalling.store import Store
from signalling.tokens import PalcoGrants
from tests.harness.receiver import Receiver
from tests.signalling import offers
from tests.signalling.running import KEY, Server, host_token, running, token

pytestmark = pytest.mark.live

MINUTE_S = 60.0
TOPICS = Spaces().topics


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def server(store_url: str, receiver: Receiver) -> AsyncIterator[Server]:
    limits = Limits(requests_per_second=5000, request_burst=10_000)
    webhook = Webhook(api_key=KEY, urls=[receiver.url])
    async with running(store=Store(store_url), limits=limits, webhook=webhook) as server:
        yield server


def browser(identity: str = "eve", **palco: Any) -> str:
    return token(identity, room_list=True, palco=PalcoGrants(**palco))


async def found(server: Server, query: str = "", bearer: str | None = None) -> list[str]:
    response = await server.call("GET", f"/v1/spaces?{query}", bearer or browser())
    assert response.status_code == 200, response.text
    return [space["id"] for space in response.json()["spaces"]]


async def scheduled(server: Server, space: str, in_s: float, *, host: str = "ada", **wishes: Any) -> None:
    body = {"id": space, "title": "Town hall", "starts_at": timestamp(now_s(server) + in_s), **wishes}
    bearer = token(host, space, room_create=True, room_admin=True, age_s=-server.ahead_s)
    response = await server.call("POST", "/v1/spaces", bearer, json=body)
    assert response.status_code == 201, response.text


def now_s(server: Server) -> float:
    return time.time() + server.ahead_s


async def test_live_ones_come_first_and_then_the_next(server: Server) -> None:
    await scheduled(server, "later", 90 * MINUTE_S)
    await scheduled(server, "soon", 60 * MINUTE_S)
    await server.make_space("first")
    await server.make_space("second")

    assert await found(server) == ["second", "first", "soon", "later"]
    assert await found(server, "state=live") == ["second", "first"]
    assert await found(server, "state=upcoming") == ["soon", "later"]


async def test_a_card_shows_who_is_on_stage(server: Server) -> None:
    await server.make_space("hall")
    await server.join("whip", offers.WHIP, token("bob", can_publish=True))
    await server.join("whip", offers.WHIP, token("ghost", can_publish=True, hidden=True))
    [card] = (await server.call("GET", "/v1/spaces", browser())).json()["spaces"]

    assert card["on_stage"] == [{"identity": "bob", "name": "Bob", "is_speaking": False}]
    assert card["counts"]["speakers"] == 2


async def test_filters_and_words(server: Server) -> None:
    await server.make_space("one", title="Jazz at night", topics=[TOPICS[0]], language="pt-BR")
    await server.make_space("two", title="Nightly news", topics=[TOPICS[1]], language="en")

    assert await found(server, f"topic={TOPICS[0]}") == ["one"]
    assert await found(server, "language=pt") == ["one"]
    assert await found(server, "q=night") == ["two", "one"]
    assert await found(server, "q=night+jazz") == ["one"]
    assert await found(server, "q=%27%22%25") == []
    assert await found(server, "host=ada&q=news") == ["two"]
    assert await found(server, "host=bob") == []


async def test_whom_one_follows_speaks_there(server: Server) -> None:
    await server.make_space("one")
    await server.make_space("two")
    await scheduled(server, "next", 60 * MINUTE_S, host="bob")
    await server.join("whip", offers.WHIP, token("bob", "two", can_publish=True), "two")

    assert await found(server, "followed=true", browser(follows=["bob"])) == ["two", "next"]
    assert await found(server, "followed=true", browser()) == []


async def test_what_the_blocked_cannot_find(server: Server) -> None:
    await server.make_space("hall")
    await scheduled(server, "next", 60 * MINUTE_S)
    await server.join("whep", offers.WHEP, token("mallory"))
    assert (await server.act("block", "mallory", host_token())).status_code == 204

    assert await found(server, "", browser("mallory")) == []
    assert await found(server, "q=town", browser("mallory")) == []
    assert await found(server) == ["hall", "next"]
    response = await server.call("PUT", "/v1/spaces/next/reminder", browser("mallory"))
    assert response.json()["code"] == "unknown_space"


async def test_pages_hold_still_while_spaces_are_added(server: Server) -> None:
    for number in range(3):
        await server.make_space(f"live-{number}")
        await scheduled(server, f"next-{number}", (60 + number) * MINUTE_S)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await server.call("GET", f"/v1/spaces?limit=2&cursor={cursor}", browser())).json()
        seen += [space["id"] for space in page["spaces"]]
        cursor = page["next"]
        if len(seen) == 2:
            await server.make_space("live-new")
    assert seen == ["live-2", "live-1", "live-0", "next-0", "next-1", "next-2"]


@pytest.mark.parametrize("query", ["cursor=abc", "limit=0", "state=dead", "followed=maybe", "x=1", "topic=%00"])
async def test_a_query_that_is_none_is_refused(server: Server, query: str) -> None:
    response = await server.call("GET", f"/v1/spaces?{query}", browser())
    assert response.status_code == 400


# Reminders


async def reminders(receiver: Receiver, count: int) -> list[dict[str, Any]]:
    """The data of the first `count` reminders."""

    def so_far() -> list[dict[str, Any]]:
        return [one.event["data"] for one in receiver.received if one.event["type"] == "reminder.due"]

    await receiver.until(lambda: len(so_far()) >= count)
    return so_far()


async def move(server: Server, seconds: float) -> None:
    """The server's clock, while it is away."""
    await server.stop()
    server.ahead_s += seconds
    await server.start()


async def test_the_host_is_called_half_an_hour_before_and_listeners_at_the_start_each_once(
    server: Server, receiver: Receiver
) -> None:
    await scheduled(server, "next", 60 * MINUTE_S)
    for identity in ("eve", "bob", "eve", "tim"):
        assert (await server.call("PUT", "/v1/spaces/next/reminder", browser(identity))).status_code == 204
    assert (await server.call("DELETE", "/v1/spaces/next/reminder", browser("tim"))).status_code == 204
    assert (await server.call("GET", "/v1/spaces/next/reminder", browser("eve"))).json() == {"is_set": True}
    await move(server, 31 * MINUTE_S)
    [host] = await reminders(receiver, 1)
    await move(server, 1 * MINUTE_S)
    await move(server, 30 * MINUTE_S)
    [_, listeners] = await reminders(receiver, 2)
    await move(server, 1 * MINUTE_S)
    await server.call("POST", "/v1/spaces/next/end", host_of("next", server))
    await receiver.until(lambda: any(one.event["type"] == "space.ended" for one in receiver.received))

    assert (host["occasion"], host["identities"], host["title"]) == ("host_before", ["ada"], "Town hall")
    assert (listeners["occasion"], listeners["identities"]) == ("started", ["bob", "eve"])
    assert len(await reminders(receiver, 2)) == 2


def host_of(space: str, server: Server) -> str:
    return token("ada", space, room_create=True, room_admin=True, age_s=-server.ahead_s)


async def test_an_early_start_is_a_start(server: Server, receiver: Receiver) -> None:
    await scheduled(server, "next", 60 * MINUTE_S)
    await server.call("PUT", "/v1/spaces/next/reminder", browser("eve"))
    assert (await server.call("POST", "/v1/spaces/next/start", host_of("next", server))).status_code == 200

    assert [one["identities"] for one in await reminders(receiver, 1)] == [["eve"]]


async def test_nobody_is_reminded_of_what_was_called_off(server: Server, receiver: Receiver) -> None:
    await scheduled(server, "next", 60 * MINUTE_S)
    await server.call("PUT", "/v1/spaces/next/reminder", browser("eve"))
    await server.call("POST", "/v1/spaces/next/cancel", host_of("next", server))
    await move(server, 61 * MINUTE_S)
    bearer = token("eve", "next", room_list=True, age_s=-server.ahead_s)
    await server.call("POST", "/v1/spaces/next/reports", bearer, json={"reason": "spam"})
    await receiver.until(lambda: any(one.event["type"] == "report.filed" for one in receiver.received))

    assert [one.event["type"] for one in receiver.received if one.event["type"] == "reminder.due"] == []


async def test_only_what_is_to_come_is_reminded_of(server: Server) -> None:
    await server.make_space("hall")
    response = await server.call("PUT", "/v1/spaces/hall/reminder", browser())
    assert (response.status_code, response.json()["code"]) == (409, "not_scheduled")
    assert (await server.call("PUT", "/v1/spaces/none/reminder", browser())).json()["code"] == "unknown_space"


async def test_a_server_that_tells_nobody_promises_no_reminder(store_url: str) -> None:
    async with running(store=Store(store_url)) as server:
        await scheduled(server, "next", 60 * MINUTE_S)
        response = await server.call("PUT", "/v1/spaces/next/reminder", browser())
    assert (response.status_code, response.json()["code"]) == (409, "reminders_unavailable")


async def test_many_readers_and_writers_at_once(server: Server) -> None:
    await asyncio.gather(
        *(server.make_space(f"hall-{number}") for number in range(10)), *(found(server) for _ in range(10))
    )
    assert len(await found(server)) == 10
