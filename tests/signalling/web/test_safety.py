"""Safety over HTTP: reports, the audit trail, bans everywhere, ending any space, a person's data. On both databases."""

import secrets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from sfu.contract.config import Limits
from sfu.contract.messages import CloseSpace, RemoveParticipant
from signalling.store import Store
from signalling.tokens import Grants, PalcoGrants, mint
from tests.signalling import offers
from tests.signalling.running import KEY, SECRET, Server, host_token, running, token

pytestmark = pytest.mark.live


def operator_token(identity: str = "root", **grants: Any) -> str:
    """Made at each use: a run may outlast it."""
    return mint(
        key=KEY,
        secret=SECRET,
        identity=identity,
        name=identity,
        grants=Grants(**grants),
        palco=PalcoGrants(operator=True),
        now_s=time.time(),
        lifetime_s=600.0,
    )


@pytest.fixture
async def server(store_url: str) -> AsyncIterator[Server]:
    limits = Limits(requests_per_second=5000, request_burst=10_000)
    async with running(store=Store(store_url), limits=limits) as server:
        await server.make_space("hall")
        yield server


async def joined(server: Server, identity: str, space: str = "hall", kind: str = "whip") -> None:
    offer = offers.WHIP if kind == "whip" else offers.WHEP
    response = await server.join(kind, offer, token(identity, space, can_publish=True), space)
    assert response.status_code == 201, response.text


async def code_of(server: Server, method: str, path: str, bearer: str, **more: Any) -> tuple[int, str]:
    response = await server.call(method, path, bearer, **more)
    return response.status_code, response.json().get("code", "") if response.content else ""


# The operator's grant


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/operator/reports"),
        ("POST", "/v1/operator/reports/x/resolve"),
        ("POST", "/v1/operator/spaces/hall/end"),
        ("GET", "/v1/operator/bans"),
        ("PUT", "/v1/operator/bans/eve"),
        ("DELETE", "/v1/operator/bans/eve"),
        ("GET", "/v1/operator/audit"),
        ("GET", "/v1/operator/people/eve"),
        ("DELETE", "/v1/operator/people/eve"),
        ("GET", "/v1/operator/webhooks"),
        ("POST", "/v1/operator/webhooks/1/redeliver"),
    ],
)
async def test_nobody_is_the_operator_without_the_grant(server: Server, method: str, path: str) -> None:
    body = {"json": {"resolution": "other"}} if path.endswith("resolve") else {}
    assert await code_of(server, method, path, host_token(), **body) == (403, "missing_permission")


# Reports


async def test_a_report_reaches_the_operator_and_is_resolved_once(server: Server) -> None:
    filed = await server.call(
        "POST",
        "/v1/spaces/hall/reports",
        token("eve"),
        json={"reason": "hate", "identity": "mallory", "text": "said\nthings 😡"},
    )
    assert filed.status_code == 201
    report = filed.json()["id"]

    [listed] = (await server.call("GET", "/v1/operator/reports", operator_token())).json()["reports"]
    assert (listed["id"], listed["reporter"], listed["identity"]) == (report, "eve", "mallory")
    assert (listed["state"], listed["text"], listed["space"]) == ("open", "said\nthings 😡", "hall")

    path = f"/v1/operator/reports/{report}/resolve"
    resolved = await server.call("POST", path, operator_token(), json={"resolution": "warned", "reason": "first time"})
    assert (resolved.status_code, resolved.json()["state"]) == (200, "resolved")
    assert await code_of(server, "POST", path, operator_token(), json={"resolution": "warned"}) == (
        409,
        "report_resolved",
    )
    assert (await server.call("GET", "/v1/operator/reports", operator_token())).json()["reports"] == []
    assert (
        len((await server.call("GET", "/v1/operator/reports?state=resolved", operator_token())).json()["reports"]) == 1
    )


async def test_the_host_does_not_learn_who_reported(server: Server) -> None:
    await server.call("POST", "/v1/spaces/hall/reports", token("eve"), json={"reason": "spam"})
    audit = await server.call("GET", "/v1/spaces/hall/audit", host_token())
    assert audit.json()["entries"] == []
    assert await code_of(server, "GET", "/v1/operator/reports", host_token()) == (403, "missing_permission")


async def test_who_was_removed_can_still_report(server: Server) -> None:
    await joined(server, "bob")
    await server.act("remove", "bob", host_token())
    response = await server.call("POST", "/v1/spaces/hall/reports", token("bob"), json={"reason": "harassment"})
    assert response.status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": "boredom"}, "bad_request"),
        ({}, "bad_request"),
        ({"reason": "spam", "identity": ""}, "bad_request"),
        ({"reason": "spam", "identity": "eve"}, "bad_request"),
        ({"reason": "spam", "text": "x" * 2001}, "bad_request"),
        ({"reason": "spam", "text": "a\x00b"}, "bad_request"),
        ({"reason": "spam", "more": 1}, "bad_request"),
    ],
)
async def test_a_report_that_says_nothing_usable_is_refused(server: Server, body: dict[str, Any], code: str) -> None:
    assert (await code_of(server, "POST", "/v1/spaces/hall/reports", token("eve"), json=body))[1] == code


async def test_reports_come_in_pages_oldest_first(server: Server) -> None:
    for number in range(5):
        await server.call("POST", "/v1/spaces/hall/reports", token(f"eve{number}"), json={"reason": "spam"})
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await server.call("GET", f"/v1/operator/reports?limit=2&cursor={cursor}", operator_token())).json()
        seen += [report["reporter"] for report in page["reports"]]
        cursor = page["next"]
    assert seen == [f"eve{number}" for number in range(5)]


@pytest.mark.parametrize(
    "query", ["cursor=x", "limit=0", "limit=101", "limit=x", "state=odd", "page=1", "limit=1&limit=2"]
)
async def test_a_query_that_is_none_is_refused(server: Server, query: str) -> None:
    status, code = await code_of(server, "GET", f"/v1/operator/reports?{query}", operator_token())
    assert (status, code in {"bad_request", "bad_cursor"}) == (400, True)


# The audit trail


async def test_the_audit_trail_says_who_whom_when_and_why(server: Server) -> None:
    await joined(server, "bob")
    before_s = time.time()
    assert (await server.act("mute", "bob", host_token(), json={"reason": "echo"})).status_code == 200
    assert (await server.act("remove", "bob", host_token(), json={"reason": "insults"})).status_code == 204

    [removed, muted] = (await server.call("GET", "/v1/spaces/hall/audit", host_token())).json()["entries"]
    assert (muted["action"], muted["by"], muted["upon"], muted["reason"]) == ("mute", "ada", "bob", "echo")
    assert (removed["action"], removed["space"], removed["reason"]) == ("remove", "hall", "insults")
    assert muted["at"].startswith(time.strftime("%Y-", time.gmtime(before_s)))
    assert (await server.call("GET", "/v1/operator/audit", operator_token())).json()["entries"] == [removed, muted]


async def test_an_act_that_was_refused_is_not_in_the_trail(server: Server) -> None:
    assert (await server.act("mute", "nobody", host_token())).status_code == 404
    assert (await server.act("mute", "ada", token("bob"))).status_code == 403
    assert (await server.call("GET", "/v1/spaces/hall/audit", host_token())).json()["entries"] == []


async def test_only_the_host_and_the_operator_read_it(server: Server) -> None:
    for bearer in (token("bob", can_publish=True), token("cora", room_admin=True)):
        assert await code_of(server, "GET", "/v1/spaces/hall/audit", bearer) == (403, "missing_permission")


async def test_the_trail_outlives_a_restart_and_comes_in_pages(server: Server) -> None:
    await joined(server, "bob")
    for _ in range(3):
        await server.act("mute", "bob", host_token())
        await server.act("unmute", "bob", host_token())
    await server.restart()
    first = (await server.call("GET", "/v1/spaces/hall/audit?limit=4", host_token())).json()
    rest = (await server.call("GET", f"/v1/spaces/hall/audit?limit=4&cursor={first['next']}", host_token())).json()
    actions = [entry["action"] for entry in first["entries"] + rest["entries"]]
    assert actions == ["unmute", "mute"] * 3
    assert rest["next"] is None


# Bans


async def test_a_ban_closes_what_stands_before_the_answer_and_every_door_after_it(server: Server) -> None:
    await server.make_space("attic")
    await joined(server, "mallory", "hall")
    await joined(server, "mallory", "attic", kind="whep")
    response = await server.call("PUT", "/v1/operator/bans/mallory", operator_token(), json={"reason": "threats"})

    assert (response.status_code, response.json()["reason"]) == (200, "threats")
    assert {command.space for command in server.sfu.heard(RemoveParticipant)} == {"hall", "attic"}
    assert "mallory" not in await server.roster("hall")
    later = token("mallory", can_publish=True, age_s=-5.0)
    assert (await server.join("whip", offers.WHIP, later)).json()["code"] == "banned"
    for method, path in (("GET", "/v1/spaces"), ("POST", "/v1/spaces"), ("GET", "/v1/spaces/hall/events")):
        assert await code_of(server, method, path, later) == (403, "banned")


async def test_a_ban_outlives_a_restart_and_is_lifted_by_the_operator(server: Server) -> None:
    await server.call("PUT", "/v1/operator/bans/mallory", operator_token())
    await server.restart()
    assert (await server.join("whip", offers.WHIP, token("mallory", can_publish=True))).json()["code"] == "banned"
    [ban] = (await server.call("GET", "/v1/operator/bans", operator_token())).json()["bans"]
    assert (ban["identity"], ban["by"]) == ("mallory", "root")

    assert (await server.call("DELETE", "/v1/operator/bans/mallory", operator_token())).status_code == 204
    await joined(server, "mallory")
    assert await code_of(server, "DELETE", "/v1/operator/bans/mallory", operator_token()) == (404, "not_banned")


async def test_a_session_of_someone_banned_while_the_sfu_was_away_does_not_come_back(server: Server) -> None:
    await joined(server, "mallory")
    await server.sfu.stop()
    await server.eventually("/readyz", 503)
    status, code = await code_of(server, "PUT", "/v1/operator/bans/mallory", operator_token())
    assert (status, code) == (503, "sfu_unavailable")
    await server.stop()
    await server.sfu.start()
    await server.start()
    await server.until_roster(lambda roster: "mallory" not in roster)
    assert server.sfu.sessions == {}


@pytest.mark.parametrize("identity", ["a/b c", "名前", "x" * 128, "%"])
async def test_whoever_a_token_can_name_can_be_banned(server: Server, identity: str) -> None:
    path = f"/v1/operator/bans/{quote(identity, safe='')}"
    assert (await server.call("PUT", path, operator_token())).status_code == 200
    assert await code_of(server, "GET", "/v1/spaces", token(identity, room_list=True)) == (403, "banned")
    assert (await server.call("DELETE", path, operator_token())).status_code == 204


@pytest.mark.parametrize("identity", ["%00", "%0A", "x" * 129, "root"])
async def test_whom_no_token_can_name_and_oneself_cannot_be_banned(server: Server, identity: str) -> None:
    assert await code_of(server, "PUT", f"/v1/operator/bans/{identity}", operator_token()) == (400, "bad_request")


# Any space


async def test_the_operator_ends_any_space(server: Server) -> None:
    await joined(server, "bob")
    response = await server.call("POST", "/v1/operator/spaces/hall/end", operator_token(), json={"reason": "illegal"})

    assert response.status_code == 204
    assert [command.space for command in server.sfu.heard(CloseSpace)] == ["hall"]
    ended = (await server.call("GET", "/v1/spaces/hall", host_token())).json()
    assert (ended["state"], ended["end_reason"]) == ("ended", "operator")
    assert await code_of(server, "POST", "/v1/operator/spaces/hall/end", operator_token()) == (410, "space_ended")
    assert await code_of(server, "POST", "/v1/operator/spaces/none/end", operator_token()) == (404, "unknown_space")
    [entry] = (await server.call("GET", "/v1/operator/audit", operator_token())).json()["entries"]
    assert (entry["space"], entry["by"], entry["reason"]) == ("hall", "root", "illegal")


# A person's data


async def test_a_persons_data_is_handed_out_without_other_peoples_names(server: Server) -> None:
    await joined(server, "bob")
    await server.act("mute", "bob", host_token(), json={"reason": "echo"})
    await server.call("POST", "/v1/spaces/hall/reports", token("bob"), json={"reason": "spam", "identity": "ada"})
    response = await server.call("GET", "/v1/operator/people/bob", operator_token())

    data = response.json()["data"]
    assert [(row["space"], row["is_muted"]) for row in data["standings"]] == [("hall", True)]
    assert [(row["action"], row["upon"], row["by"]) for row in data["audit"]] == [("mute", "bob", None)]
    assert [(row["reason"], row["identity"]) for row in data["reports"]] == [("spam", None)]
    assert '"ada"' not in response.text


async def test_who_is_in_a_space_that_is_not_over_is_not_erased(server: Server) -> None:
    await joined(server, "bob", kind="whep")
    for identity in ("bob", "ada"):
        response = await server.call("DELETE", f"/v1/operator/people/{identity}", operator_token())
        assert (response.status_code, response.json()["code"]) == (409, "person_is_live")
        assert response.json()["spaces"] == ["hall"]


async def test_the_banned_are_not_erased_by_the_way(server: Server) -> None:
    await server.call("PUT", "/v1/operator/bans/mallory", operator_token())
    assert await code_of(server, "DELETE", "/v1/operator/people/mallory", operator_token()) == (409, "person_is_banned")


async def test_of_the_erased_nothing_is_left_but_a_pseudonym_in_the_trail(server: Server, store_url: str) -> None:
    name = f"bob \"{secrets.token_hex(4)}' %_"
    await joined(server, name)
    await server.act("mute", quote(name, safe=""), host_token(), json={"reason": "echo"})
    await server.call("POST", "/v1/spaces/hall/reports", token(name), json={"reason": "spam"})
    await server.call("POST", "/v1/spaces/hall/reports", token("eve"), json={"reason": "spam", "identity": name})
    await server.call("POST", "/v1/spaces/hall/end", host_token())
    response = await server.call("DELETE", f"/v1/operator/people/{quote(name, safe='')}", operator_token())

    assert response.status_code == 200, response.text
    pseudonym = response.json()["pseudonym"]
    [erased, _, muted] = (await server.call("GET", "/v1/operator/audit", operator_token())).json()["entries"]
    assert (erased["action"], erased["upon"]) == ("erase_person", pseudonym)
    assert (muted["action"], muted["upon"], muted["reason"]) == ("mute", pseudonym, "echo")
    assert (await server.call("GET", f"/v1/operator/people/{quote(name, safe='')}", operator_token())).json()[
        "data"
    ] == {}
    assert (await server.call("GET", "/v1/operator/reports?state=all", operator_token())).json()["reports"] == []


# Rates


async def test_new_routes_are_counted_against_the_same_limits(store_url: str) -> None:
    async with running(store=Store(store_url), limits=Limits(requests_per_second=0.001, request_burst=3)) as server:
        calls = [
            ("GET", "/v1/operator/audit", operator_token()),
            ("POST", "/v1/spaces/hall/reports", token("eve")),
            ("PUT", "/v1/spaces/hall/reminder", token("tim")),
        ]
        for method, path, bearer in calls:
            statuses = [(await server.call(method, path, bearer)).status_code for _ in range(4)]
            assert (statuses[:3].count(429), statuses[3]) == (0, 429), path
