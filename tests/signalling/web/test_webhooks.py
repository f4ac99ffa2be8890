"""What the application is told of a space's life, over HTTP, in order, across restarts. On both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from livekit.api import TokenVerifier, WebhookReceiver

from sfu.contract.config import Limits, Webhook
from signalling.store import Store
from signalling.tokens import PalcoGrants
from tests.harness.receiver import Receiver
from tests.signalling import offers
from tests.signalling.running import KEY, SECRET, Server, host_token, running, token

pytestmark = pytest.mark.live

OPERATOR = token("root", palco=PalcoGrants(operator=True))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def server(store_url: str, receiver: Receiver) -> AsyncIterator[Server]:
    limits = Limits(requests_per_second=5000, request_burst=10_000)
    webhook = Webhook(api_key=KEY, urls=[receiver.url], max_attempts=3)
    async with running(store=Store(store_url), limits=limits, webhook=webhook) as server:
        yield server


async def joined(server: Server, identity: str, kind: str = "whip") -> str:
    offer = offers.WHIP if kind == "whip" else offers.WHEP
    response = await server.join(kind, offer, token(identity, can_publish=True))
    assert response.status_code == 201, response.text
    return str(response.headers["location"].rpartition("/")[2])


def told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What happened, and to whom."""
    return [(event["type"], event["data"].get("identity") or event["data"].get("upon") or "") for event in events]


async def test_a_spaces_life_is_told_in_its_order_and_verified_by_livekits_receiver(
    server: Server, receiver: Receiver
) -> None:
    await server.make_space("hall")
    session = await joined(server, "bob")
    await joined(server, "eve", kind="whep")
    await server.act("mute", "bob", host_token(), json={"reason": "echo"})
    server.sfu.drop(session)
    await server.until_roster(lambda roster: "bob" not in roster)
    await server.call("POST", "/v1/spaces/hall/end", host_token())
    events = await receiver.events(6)

    assert told(events) == [
        ("space.started", ""),
        ("participant.joined", "bob"),
        ("moderation.act", "bob"),
        ("participant.left", "bob"),
        ("space.ended", ""),
        ("moderation.act", ""),
    ]
    theirs = WebhookReceiver(TokenVerifier(KEY, SECRET))
    names = [theirs.receive(one.body.decode(), one.headers["authorization"]).event for one in receiver.received]
    assert [name for name in names if "." not in name] == [
        "room_started",
        "participant_joined",
        "participant_left",
        "room_finished",
    ]
    assert events[2]["data"] == {"action": "mute", "by": "ada", "upon": "bob", "reason": "echo"}


async def test_who_left_while_nobody_looked_is_told_after_the_restart_and_who_stayed_is_not_told_twice(
    server: Server, receiver: Receiver
) -> None:
    await server.make_space("hall")
    await joined(server, "bob")
    leaving = await joined(server, "cora")
    await receiver.events(3)
    await server.stop()
    del server.sfu.sessions[leaving]
    await server.start()
    events = await receiver.events(4)

    assert told(events) == [
        ("space.started", ""),
        ("participant.joined", "bob"),
        ("participant.joined", "cora"),
        ("participant.left", "cora"),
    ]
    await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"title": "Another"})
    assert {kind for kind, _ in told((await receiver.events(6))[4:])} == {"space.changed", "moderation.act"}


async def test_what_could_not_be_told_is_told_after_a_restart(server: Server, receiver: Receiver) -> None:
    await receiver.stop()
    await server.make_space("hall")
    await server.call("POST", "/v1/spaces/hall/reports", token("eve"), json={"reason": "spam"})
    await server.stop()
    await receiver.start()
    server.ahead_s = 60.0
    await server.start()

    assert told(await receiver.events(2)) == [("space.started", ""), ("report.filed", "")]


async def test_the_operator_lists_dead_letters_and_sends_one_again(server: Server, receiver: Receiver) -> None:
    receiver.answers = [500] * 3
    await server.make_space("hall")
    for attempts in (1, 2):
        await receiver.until(lambda attempts=attempts: len(receiver.paths) == attempts)  # type: ignore[misc]
        await server.stop()
        server.ahead_s += 10.0
        await server.start()
    bearer = token("root", palco=PalcoGrants(operator=True), age_s=-server.ahead_s)
    path = "/v1/operator/webhooks"
    [dead] = (await listed(server, f"{path}?state=dead", bearer))["deliveries"]

    assert (dead["attempts"], dead["error"], dead["type"]) == (3, "it answered 500", "space.started")
    assert dead["body"]["event"] == "room_started"
    again = await server.call("POST", f"{path}/{dead['id']}/redeliver", bearer)
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert told(await receiver.events(1)) == [("space.started", "")]
    for delivery, code in ((dead["id"] + "0", "unknown_delivery"), ("x", "unknown_delivery")):
        refused = await server.call("POST", f"{path}/{delivery}/redeliver", bearer)
        assert refused.json()["code"] == code


async def listed(server: Server, path: str, bearer: str) -> dict[str, Any]:
    """Once there is something to list; the outcome of an attempt is written after its answer."""
    async with asyncio.timeout(30):
        while True:
            page: dict[str, Any] = (await server.call("GET", path, bearer)).json()
            if page["deliveries"]:
                return page
            await asyncio.sleep(0.01)


async def test_without_urls_nothing_is_stored(store_url: str) -> None:
    async with running(store=Store(store_url)) as server:
        await server.make_space("hall")
        await joined(server, "bob")
        assert (await server.call("GET", "/v1/operator/webhooks", OPERATOR)).json() == {"deliveries": [], "next": None}


async def test_a_ticket_is_told_when_it_is_first_used(server: Server, receiver: Receiver) -> None:
    await server.make_space("hall", ticket={"capacity": 5})
    issued = await server.call("POST", "/v1/spaces/hall/tickets", host_token(), json={"identity": "bob"})
    assert issued.status_code == 201
    await joined(server, "bob")
    await joined(server, "bob", kind="whep")
    await server.call("POST", "/v1/spaces/hall/reports", token("eve"), json={"reason": "spam"})
    events = await receiver.events(4)

    used = [event["data"] for event in events if event["type"] == "ticket.used"]
    assert used == [{"ticket": issued.json()["id"], "identity": "bob"}]
