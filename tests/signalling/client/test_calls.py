"""The typed client against a running server: every call, its types, and refusals by their code."""

import secrets
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from sfu.contract.config import Limits
from signalling.client.calls import PalcoClient
from signalling.client.problem import RefusedError
from signalling.events import Caption, LinksChanged, SnapshotEvent
from signalling.resources import CreateSpace, EditSpace
from signalling.tokens import PalcoGrants
from tests.signalling import offers
from tests.signalling.running import Server, host_token, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with running(limits=Limits(requests_per_second=5000, request_burst=10_000)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def hall(server: Server) -> str:
    space = f"hall-{secrets.token_hex(5)}"
    await server.make_space(space)
    return space


@pytest_asyncio.fixture(loop_scope="module")
async def ada(server: Server, hall: str) -> AsyncIterator[PalcoClient]:
    async with PalcoClient(server.url, host_token(hall)) as client:
        yield client


async def refusal(call: object) -> str:
    with pytest.raises(RefusedError) as refused:
        await call  # type: ignore[misc]
    return refused.value.code


async def test_a_space_from_its_beginning_to_its_end(server: Server) -> None:
    space = f"club-{secrets.token_hex(5)}"
    async with PalcoClient(server.url, host_token(space)) as ada:
        made = await ada.create_space(CreateSpace(title="Jazz club", id=space))
        assert (made.id, made.title, made.host, made.state) == (space, "Jazz club", "ada", "live")
        changed = await ada.edit_space(space, EditSpace(title="Jazz club, second set"))
        assert changed.title == "Jazz club, second set"
        assert (await ada.space(space)).title == changed.title
        assert space in [each.id for each in await ada.spaces()]
        await ada.end_space(space)
        assert (await ada.space(space)).state == "ended"
        assert await refusal(ada.end_space(space)) == "space_ended"


async def test_moderation(server: Server, ada: PalcoClient, hall: str) -> None:
    await server.join("whip", offers.WHIP, token("bob", hall, can_publish=True), hall)
    await server.join("stage", offers.stage_offer("sendrecv", "recvonly"), token("cleo", hall), hall)

    assert [person.identity for person in await ada.participants(hall)] == ["bob", "cleo"]
    assert (await ada.mute(hall, "bob")).is_muted
    assert not (await ada.unmute(hall, "bob")).is_muted
    assert await ada.mute_all(hall) == ["bob"]
    assert (await ada.promote(hall, "cleo")).role == "speaker"
    assert (await ada.demote(hall, "cleo")).role == "listener"
    await ada.invite(hall, "cleo")
    await ada.remove(hall, "bob")
    await ada.block(hall, "cleo")
    assert await ada.participants(hall) == []
    await ada.unblock(hall, "cleo")
    assert await refusal(ada.mute(hall, "nobody")) == "unknown_participant"


async def test_hands(server: Server, ada: PalcoClient, hall: str) -> None:
    for identity in ("eve", "dan"):
        await server.join("stage", offers.stage_offer("sendrecv", "recvonly"), token(identity, hall), hall)
        response = await server.call("POST", f"/v1/spaces/{hall}/hand", token(identity, hall))
        assert response.status_code == 204, response.text

    assert [hand.identity for hand in await ada.hands(hall)] == ["eve", "dan"]
    assert (await ada.accept_hand(hall, "eve")).role == "speaker"
    assert (await ada.decline_hand(hall, "dan")).role == "listener"
    assert await ada.hands(hall) == []
    assert await refusal(ada.accept_hand(hall, "dan")) in {"no_hand", "hand_answered"}


async def test_links_captions_and_reactions(server: Server, ada: PalcoClient, hall: str) -> None:
    first = await ada.pin_link(hall, "https://palco.example/agenda", title="Agenda")
    second = await ada.pin_link(hall, "https://palco.example/minutes")
    assert [link.id for link in await ada.order_links(hall, [second.id, first.id])] == [second.id, first.id]
    await ada.unpin_link(hall, first.id)
    assert await ada.links(hall) == [second]
    await ada.react(hall, "👏")
    assert await refusal(ada.react(hall, "hm")) == "not_an_emoji"
    async with PalcoClient(server.url, token("scribe", hall, palco=PalcoGrants(captions=True))) as scribe:
        await scribe.publish_caption(hall, Caption(identity="ada", text="Welcome."))
    assert await refusal(ada.publish_caption(hall, Caption(text="x"))) == "missing_permission"


async def test_events_are_typed_and_go_on_after_a_cursor(ada: PalcoClient, hall: str) -> None:
    events = ada.events(hall)
    snapshot = await anext(events)
    assert isinstance(snapshot.data, SnapshotEvent)
    link = await ada.pin_link(hall, "https://palco.example/agenda")
    changed = await anext(events)
    assert isinstance(changed.data, LinksChanged)
    assert changed.data.links == [link]
    await events.aclose()  # type: ignore[attr-defined]

    again = ada.events(hall, after=snapshot.cursor)
    assert [(await anext(again)).type for _ in range(2)] == ["resumed", "links.changed"]
    await ada.end_space(hall)
    assert [event.type async for event in again][-1] == "space.ended"


async def test_a_server_that_is_none_is_named_so() -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, text="<html>hello</html>")

    async with PalcoClient("http://palco.example", "t", transport=httpx2.MockTransport(answer)) as client:
        assert await refusal(client.space("hall")) == "not_understood"
    async with PalcoClient("http://127.0.0.1:1", "t") as client:
        assert await refusal(client.space("hall")) == "unreachable"
