"""Captions, links on the stage, reactions: who may, what is refused, and who sees it."""

from typing import Any

import pytest

from signalling.links import MAX_LINKS
from signalling.tokens import PalcoGrants
from signalling.web.audience import CAPTIONS_BURST
from tests.signalling.running import Server, host_token, token
from tests.signalling.web.test_events import read, socket

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

AGENDA = {"url": "https://palco.example/agenda", "title": "Agenda"}


def scribe(hall: str) -> str:
    return token("scribe", hall, palco=PalcoGrants(captions=True))


async def caption(server: Server, hall: str, bearer: str, **line: Any) -> tuple[int, str | None]:
    response = await server.call("POST", f"/v1/spaces/{hall}/captions", bearer, json=line)
    return response.status_code, response.json()["code"] if response.content else None


async def test_a_caption_reaches_everybody_as_it_was_written(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened, "snapshot")
        line = {"identity": "ada", "text": "Benvenuti.", "language": "it-CH", "start_ms": 1795280580000}
        assert await caption(server, hall, scribe(hall), **line) == (202, None)
        event = await read(opened, "caption")
    assert event["data"] == {**line, "is_final": True, "duration_ms": None}


async def test_a_listener_who_comes_late_sees_the_last_final_lines(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened, "snapshot")
        await caption(server, hall, scribe(hall), text="Wel", is_final=False)
        await caption(server, hall, scribe(hall), text="Welcome.")
        while (await read(opened, "caption"))["data"]["text"] != "Welcome.":
            pass
    async with socket(server, hall, token("max", hall)) as opened:
        captions = (await read(opened, "snapshot"))["data"]["captions"]
    assert [line["text"] for line in captions] == ["Welcome."]


@pytest.mark.parametrize("grants", [{}, {"room_admin": True, "can_publish": True}])
async def test_captions_take_a_grant_of_their_own(server: Server, hall: str, grants: dict[str, Any]) -> None:
    assert await caption(server, hall, token("ada", hall, **grants), text="x") == (403, "missing_permission")
    elsewhere = token("scribe", "elsewhere", palco=PalcoGrants(captions=True))
    assert await caption(server, hall, elsewhere, text="x") == (403, "missing_permission")


@pytest.mark.parametrize(
    "line",
    [
        {"text": ""},
        {"text": "   "},
        {"text": "x" * 301},
        {"text": "two\nlines"},
        {"text": "x", "language": "english, please"},
        {"text": "x", "start_ms": -1},
        {"text": "x", "identity": ""},
        {"text": "x", "colour": "red"},
        {},
    ],
)
async def test_a_caption_that_is_none_is_refused(server: Server, hall: str, line: dict[str, Any]) -> None:
    assert await caption(server, hall, scribe(hall), **line) == (400, "bad_request")


async def test_captions_have_a_rate_in_each_space(server: Server, hall: str) -> None:
    answers = [await caption(server, hall, scribe(hall), text="x", is_final=False) for _ in range(CAPTIONS_BURST * 2)]
    assert (202, None) in answers[:1]
    assert (429, "too_many_requests") in answers


# Links


async def pin(server: Server, hall: str, bearer: str, **link: Any) -> tuple[int, Any]:
    response = await server.call("POST", f"/v1/spaces/{hall}/links", bearer, json={**AGENDA, **link})
    return response.status_code, response.json()


async def pinned(server: Server, hall: str) -> list[str]:
    response = await server.call("GET", f"/v1/spaces/{hall}/links", token("lea", hall))
    return [link["id"] for link in response.json()["links"]]


async def test_a_link_is_seen_at_once_and_by_those_who_come_late(server: Server, hall: str) -> None:
    async with socket(server, hall, token("lea", hall)) as opened:
        await read(opened, "snapshot")
        status, link = await pin(server, hall, host_token(hall))
        event = await read(opened, "links.changed")
    async with socket(server, hall, token("max", hall)) as opened:
        snapshot = await read(opened, "snapshot")

    assert status == 201
    assert (link["url"], link["title"], link["added_by"]) == (AGENDA["url"], "Agenda", "ada")
    assert event["data"]["links"] == snapshot["data"]["links"] == [link]


async def test_without_a_title_the_host_of_the_url_is_shown(server: Server, hall: str) -> None:
    _, link = await pin(server, hall, host_token(hall), title="")
    assert link["title"] == "palco.example"


async def test_links_are_put_in_order_and_removed(server: Server, hall: str) -> None:
    first, second, third = [(await pin(server, hall, host_token(hall)))[1]["id"] for _ in range(3)]
    response = await server.call(
        "PATCH", f"/v1/spaces/{hall}/links", host_token(hall), json={"order": [third, first, second]}
    )
    assert [link["id"] for link in response.json()["links"]] == [third, first, second]
    response = await server.call("DELETE", f"/v1/spaces/{hall}/links/{first}", host_token(hall))
    assert response.status_code == 204
    assert await pinned(server, hall) == [third, second]


async def test_a_stage_has_so_many_links(server: Server, hall: str) -> None:
    for _ in range(MAX_LINKS):
        assert (await pin(server, hall, host_token(hall)))[0] == 201
    status, refusal = await pin(server, hall, host_token(hall))
    assert (status, refusal["code"], refusal["limit"]) == (409, "too_many_links", MAX_LINKS)


async def test_an_order_of_other_links_changes_nothing(server: Server, hall: str) -> None:
    first, second = [(await pin(server, hall, host_token(hall)))[1]["id"] for _ in range(2)]
    for order in ([first], [first, first], [first, second, "0" * 12], []):
        response = await server.call("PATCH", f"/v1/spaces/{hall}/links", host_token(hall), json={"order": order})
        assert (response.status_code, response.json()["code"]) == (409, "links_changed")
    assert await pinned(server, hall) == [first, second]


async def test_a_link_that_is_not_there_cannot_be_removed(server: Server, hall: str) -> None:
    response = await server.call("DELETE", f"/v1/spaces/{hall}/links/{'0' * 12}", host_token(hall))
    assert (response.status_code, response.json()["code"]) == (404, "unknown_link")


async def test_a_speaker_may_pin_and_remove_what_is_theirs_and_nothing_else(server: Server, hall: str) -> None:
    speaker = token("bob", hall, can_publish=True)
    _, theirs = await pin(server, hall, speaker)
    _, others = await pin(server, hall, host_token(hall))

    response = await server.call("DELETE", f"/v1/spaces/{hall}/links/{others['id']}", speaker)
    assert (response.status_code, response.json()["code"]) == (403, "missing_permission")
    response = await server.call("PATCH", f"/v1/spaces/{hall}/links", speaker, json={"order": []})
    assert (response.status_code, response.json()["code"]) == (403, "missing_permission")
    assert (await server.call("DELETE", f"/v1/spaces/{hall}/links/{theirs['id']}", speaker)).status_code == 204
    assert (await pin(server, hall, token("lea", hall)))[0] == 403


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,hello",
        "ftp://palco.example/x",
        "https://",
        "https:///path",
        "//palco.example",
        "https://ada:secret@palco.example/",
        "https://palco.example/a b",
        "https://palco.example/\u202ecod",
        "https://palco.example:port/",
        "https://[::1",
        "https://palco.example\\@evil.example",
    ],
)
async def test_only_plain_links_to_the_web_are_pinned(server: Server, hall: str, url: str) -> None:
    status, refusal = await pin(server, hall, host_token(hall), url=url)
    assert (status, refusal["code"]) == (400, "bad_url")
    assert await pinned(server, hall) == []


async def test_links_outlive_the_process(server: Server, hall: str) -> None:
    _, link = await pin(server, hall, host_token(hall))
    await server.restart()
    assert await pinned(server, hall) == [link["id"]]


# Reactions


async def test_what_is_no_emoji_is_no_reaction(server: Server, hall: str) -> None:
    for text in ("a", "👏👏", "ok", "🏽", "<b>"):
        response = await server.call("POST", f"/v1/spaces/{hall}/reactions", token("lea", hall), json={"emoji": text})
        assert (response.status_code, response.json()["code"]) == (400, "not_an_emoji")
