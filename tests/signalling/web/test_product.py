"""Spaces as hosts, speakers and listeners meet them, over HTTP, on SQLite and on PostgreSQL, across a restart."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from sfu.contract.config import Limits, Spaces
from sfu.contract.messages import CloseSpace, OpenSpace, SetAudience
from signalling.store import Store
from signalling.tokens import Grants, PalcoGrants, mint
from tests.signalling import offers
from tests.signalling.running import KEY, SECRET, Server, host_token, running, token

pytestmark = pytest.mark.live

GRACE_S = 1


@pytest_asyncio.fixture
async def server(store_url: str) -> AsyncIterator[Server]:
    generous = Limits(requests_per_second=5000, request_burst=10_000)
    async with running(store=Store(store_url), limits=generous, spaces=Spaces(host_grace_s=GRACE_S)) as server:
        yield server


def social(identity: str, **claims: Any) -> str:
    """A listener's token with what the application knows of whom they follow and block."""
    return mint(
        key=KEY,
        secret=SECRET,
        identity=identity,
        name=identity.title(),
        grants=Grants(room="hall", room_join=True),
        now_s=time.time(),
        lifetime_s=600.0,
        palco=PalcoGrants(**claims),
    )


def code_of(response: httpx2.Response) -> str:
    """A refusal says what refused it; where there is a way, it says that too."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return str(response.json()["code"])


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def comes(server: Server, identity: str, kind: str = "stage", bearer: str | None = None) -> str:
    """`identity` opens a session of `kind`; returns the token it came with."""
    bearer = bearer or token(identity)
    offer = {"stage": offers.stage_offer("sendrecv"), "whip": offers.WHIP, "whep": offers.WHEP}[kind]
    response = await server.join(kind, offer, bearer)
    assert response.status_code == 201, response.text
    return bearer


async def host_comes(server: Server) -> str:
    return await comes(server, "ada", "whip", host_token())


async def post(server: Server, path: str, bearer: str, **body: Any) -> httpx2.Response:
    return await server.call("POST", f"/v1/spaces/hall{path}", bearer, json=body)


async def space(server: Server) -> dict[str, Any]:
    response = await server.call("GET", "/v1/spaces/hall", host_token())
    assert response.status_code == 200, response.text
    return dict(response.json())


# Lifecycle


async def test_a_scheduled_space_has_its_link_before_the_start_and_lets_nobody_in(server: Server) -> None:
    await server.make_space(starts_at=in_days(13), description=" All about us. ", topics=["Local"], language="pt-BR")

    made = await space(server)
    assert (made["state"], made["description"], made["topics"], made["language"]) == (
        "scheduled",
        "All about us.",
        ["local"],
        "pt-BR",
    )
    assert made["url"].endswith("#space=hall")
    assert made["host_name"] == "Ada"
    early = await server.join("whep", offers.WHEP, token("lea"))
    assert (early.status_code, code_of(early), early.json()["starts_at"]) == (409, "not_started", made["starts_at"])
    assert not server.sfu.heard(OpenSpace)

    assert (await post(server, "/start", host_token())).json()["state"] == "live"
    await comes(server, "lea", "whep", token("lea"))
    assert (await post(server, "/start", host_token())).json()["code"] == "already_live"
    assert (await post(server, "/cancel", host_token())).json()["code"] == "already_live"


async def test_a_scheduled_space_begins_by_itself_also_over_a_restart(server: Server) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    await server.make_space(starts_at=soon)
    await server.restart()
    await server.sfu.has_heard(OpenSpace)

    assert (await space(server))["state"] == "live"
    await comes(server, "lea", "whep", token("lea"))


async def test_a_cancelled_space_is_over_for_everybody(server: Server) -> None:
    await server.make_space(starts_at=in_days(1))
    assert code_of(await post(server, "/cancel", token("bob", room_admin=True))) == "missing_permission"
    assert (await post(server, "/cancel", host_token())).json()["state"] == "cancelled"

    assert (await space(server))["state"] == "cancelled"
    assert code_of(await server.join("whep", offers.WHEP, token("lea"))) == "space_cancelled"
    assert code_of(await post(server, "/start", host_token())) == "space_cancelled"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"title": "t" * 71}, "title_too_long"),
        ({"title": "   "}, "bad_title"),
        ({"title": "a\nb"}, "bad_title"),
        ({"description": "d" * 1001}, "description_too_long"),
        ({"topics": ["local", "music", "news", "sports"]}, "too_many_topics"),
        ({"topics": ["alchemy"]}, "unknown_topic"),
        ({"language": "not a language"}, "bad_language"),
        ({"starts_at": "tomorrow"}, "bad_time"),
        ({"starts_at": "2027-01-31T18:00:00"}, "bad_time"),
        ({"starts_at": in_days(-1)}, "starts_in_the_past"),
        ({"starts_at": in_days(14.1)}, "starts_too_late"),
        ({"ticket": {"currency": "coins"}}, "bad_request"),
    ],
)
async def test_a_wish_that_cannot_be_is_refused_by_its_own_code_and_changes_nothing(
    server: Server, wish: dict[str, Any], code: str
) -> None:
    made = await server.call("POST", "/v1/spaces", host_token(), json={"id": "attic", "title": "Attic", **wish})
    assert (made.status_code, code_of(made)) == (400, code)
    assert (await server.call("GET", "/v1/spaces/attic", host_token("attic"))).status_code == 404

    await server.make_space(starts_at=in_days(1))
    before = await space(server)
    edited = await server.call("PATCH", "/v1/spaces/hall", host_token(), json=wish)
    assert (edited.status_code, code_of(edited)) == (400, code)
    assert await space(server) == before


async def test_a_title_is_measured_when_it_is_trimmed(server: Server) -> None:
    await server.make_space(title=" " * 40 + "t" * 70 + " " * 40)
    assert (await space(server))["title"] == "t" * 70


async def test_a_host_has_ten_scheduled_spaces_at_most(server: Server) -> None:
    for number in range(10):
        await server.make_space(f"hall-{number}", starts_at=in_days(1))
    wish = {"title": "One more", "starts_at": in_days(1)}
    refused = await server.call("POST", "/v1/spaces", host_token(), json=wish)
    assert (refused.status_code, code_of(refused), refused.json()["limit"]) == (409, "too_many_scheduled", 10)
    await server.call("POST", "/v1/spaces/hall-0/cancel", host_token("hall-0"))
    assert (await server.call("POST", "/v1/spaces", host_token(), json=wish)).status_code == 201


async def test_a_live_space_is_edited_but_its_start_is_not_moved(server: Server) -> None:
    await server.make_space(audience="forward")
    change = {"title": "Part two", "speak": "everyone", "entry": "muted", "audience": "mix", "topics": []}
    edited = await server.call("PATCH", "/v1/spaces/hall", host_token(), json=change)

    assert {name: edited.json()[name] for name in change} == change
    assert server.sfu.heard(SetAudience) == [SetAudience("hall", "mix")]
    moved = await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"starts_at": in_days(1)})
    assert (moved.status_code, code_of(moved)) == (409, "already_live")


async def test_without_a_host_a_cohost_carries_on_and_without_one_the_space_ends(server: Server) -> None:
    await server.make_space()
    ada = await server.join("whip", offers.WHIP, host_token())
    await comes(server, "cleo")
    await server.act("promote", "cleo", host_token(), json={"role": "cohost"})

    await server.call("DELETE", ada.headers["location"], host_token())
    assert (await space(server))["ends_at"] is None
    cleos = next(name for name, session in server.sfu.sessions.items() if session.identity == "cleo")
    server.sfu.drop(cleos)
    await server.eventually_space(lambda found: found["ends_at"] is not None)
    await server.restart()
    ended = await server.eventually_space(lambda found: found["state"] == "ended")

    assert ended["end_reason"] == "host_gone"
    await server.sfu.has_heard(CloseSpace)
    assert code_of(await server.join("whep", offers.WHEP, token("lea"))) == "space_ended"


async def test_a_host_who_is_back_in_time_saves_the_space(server: Server) -> None:
    await server.make_space()
    ada = await server.join("whip", offers.WHIP, host_token())
    await server.call("DELETE", ada.headers["location"], host_token())
    assert (await space(server))["ends_at"] is not None
    await host_comes(server)
    assert (await space(server))["ends_at"] is None


# The stage


async def test_whoever_comes_on_stage_is_silent_until_they_switch_on(server: Server) -> None:
    await server.make_space()
    bob = await comes(server, "bob")
    promoted = (await server.act("promote", "bob", host_token())).json()

    assert (promoted["role"], promoted["is_muted"], promoted["is_self_muted"]) == ("speaker", False, True)
    assert server.sfu.muted["hall"] == {"bob"}
    assert (await server.act("unmute", "bob", host_token())).json()["is_self_muted"], (
        "nobody opens another's microphone"
    )
    assert server.sfu.muted["hall"] == {"bob"}
    on = await server.call("DELETE", "/v1/spaces/hall/self-mute", bob)
    assert (on.status_code, on.json()["is_self_muted"]) == (200, False)
    assert server.sfu.muted["hall"] == set()
    assert (await server.call("POST", "/v1/spaces/hall/self-mute", bob)).json()["is_self_muted"]
    assert server.sfu.muted["hall"] == {"bob"}


async def test_where_entry_is_muted_a_host_allows_it_first(server: Server) -> None:
    await server.make_space(entry="muted", speak="everyone")
    bob = await comes(server, "bob")
    assert (await post(server, "/stage", bob)).json()["is_muted"]

    refused = await server.call("DELETE", "/v1/spaces/hall/self-mute", bob)
    assert (refused.status_code, code_of(refused)) == (409, "muted_by_host")
    assert refused.json()["remedy"]
    await server.act("unmute", "bob", host_token())
    assert (await server.call("DELETE", "/v1/spaces/hall/self-mute", bob)).status_code == 200
    assert server.sfu.muted["hall"] == set()


async def test_a_publisher_by_token_is_audible_at_once(server: Server) -> None:
    await server.make_space(entry="muted")
    await comes(server, "bob", "whip", token("bob", can_publish=True))
    bob = (await server.roster())["bob"]
    assert (bob["role"], bob["is_muted"], bob["is_self_muted"]) == ("speaker", False, False)
    assert not server.sfu.muted.get("hall")


async def test_who_may_speak_is_the_spaces_to_say_and_can_change_while_live(server: Server) -> None:
    await server.make_space()
    bob = await comes(server, "bob")
    friend = await comes(server, "cleo", bearer=social("cleo", followed_by=["ada"]))

    refused = await post(server, "/stage", bob)
    assert (refused.status_code, code_of(refused), refused.json()["speak"]) == (403, "speak_not_allowed", "invited")
    await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"speak": "followed"})
    assert code_of(await post(server, "/stage", bob)) == "speak_not_allowed"
    assert (await post(server, "/stage", friend)).json()["role"] == "speaker"
    await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"speak": "everyone"})
    assert (await post(server, "/stage", bob)).json()["role"] == "speaker"
    assert code_of(await post(server, "/stage", bob)) == "already_on_stage"
    assert (await server.call("DELETE", "/v1/spaces/hall/stage", bob)).json()["role"] == "listener"
    assert code_of(await server.call("DELETE", "/v1/spaces/hall/stage", bob)) == "not_a_speaker"
    await server.act("promote", "bob", host_token())
    await server.act("demote", "bob", host_token())
    demoted = await post(server, "/stage", bob)
    assert (demoted.status_code, code_of(demoted)) == (403, "not_on_stage")


async def test_hands_are_a_queue_and_each_is_answered_once(server: Server) -> None:
    await server.make_space()
    people = {name: await comes(server, name) for name in ("cleo", "bob", "dan", "eve")}
    for bearer in people.values():
        assert (await post(server, "/hand", bearer)).status_code == 204
    assert (await server.call("DELETE", "/v1/spaces/hall/hand", people["dan"])).status_code == 204
    assert code_of(await server.call("GET", "/v1/spaces/hall/hands", people["bob"])) == "missing_permission"

    await server.restart()
    hands = (await server.call("GET", "/v1/spaces/hall/hands", host_token())).json()["hands"]
    assert [hand["identity"] for hand in hands] == ["cleo", "bob", "eve"]
    accepted = await server.act("accept-hand", "cleo", host_token())
    assert (accepted.json()["role"], accepted.json()["has_raised_hand"]) == ("speaker", False)
    assert (await server.act("decline-hand", "bob", host_token())).status_code == 200
    cohost = token("zoe", room_admin=True)
    for act in ("accept-hand", "decline-hand"):
        late = await server.act(act, "bob", cohost)
        assert (late.status_code, code_of(late), late.json()["by"]) == (409, "hand_answered", "ada")
    assert code_of(await server.act("accept-hand", "dan", host_token())) == "no_hand"
    assert code_of(await post(server, "/hand", people["cleo"])) in {"already_on_stage", "missing_permission"}


async def test_an_invitation_is_accepted_or_declined_by_the_invited(server: Server) -> None:
    await server.make_space()
    bob = await comes(server, "bob")
    assert code_of(await server.act("decline", "bob", bob)) == "not_invited"
    assert (await server.act("invite", "bob", host_token(), json={"role": "cohost"})).json()["is_invited"]
    assert not (await server.act("decline", "bob", bob)).json()["is_invited"]
    await server.act("invite", "bob", host_token(), json={"role": "cohost"})
    assert (await server.act("accept", "bob", bob)).json()["role"] == "cohost"
    assert code_of(await server.act("invite", "bob", host_token())) == "already_on_stage"


async def test_two_cohosts_and_no_more_and_none_made_by_a_cohost(server: Server) -> None:
    await server.make_space()
    for name in ("bob", "cleo", "dan"):
        await comes(server, name)
    for name in ("bob", "cleo"):
        assert (await server.act("promote", name, host_token(), json={"role": "cohost"})).status_code == 200
    full = await server.act("promote", "dan", host_token(), json={"role": "cohost"})
    assert (full.status_code, code_of(full), full.json()["max_cohosts"]) == (409, "cohosts_full", 2)
    assert code_of(await server.act("promote", "dan", token("bob"), json={"role": "cohost"})) == "missing_permission"
    assert code_of(await server.act("demote", "cleo", token("bob"))) == "outranked"


async def test_ten_speakers_beside_host_and_cohosts_and_the_eleventh_is_refused(server: Server) -> None:
    await server.make_space()
    await host_comes(server)
    for number in range(2):
        await comes(server, f"co{number}")
        await server.act("promote", f"co{number}", host_token(), json={"role": "cohost"})
    for number in range(10):
        await comes(server, f"s{number}", "whip", token(f"s{number}", can_publish=True))
    refused = await server.join("whip", offers.WHIP, token("s10", can_publish=True))
    assert (refused.status_code, code_of(refused)) == (409, "stage_full")
    await comes(server, "lea")
    full = await server.act("promote", "lea", host_token())
    assert (full.status_code, code_of(full), full.json()["max_speakers"]) == (409, "stage_full", 10)
    assert (await space(server))["counts"]["speakers"] == 13
    assert len(server.sfu.on_stage["hall"]) == 13


async def test_of_two_hosts_who_act_at_once_one_is_told_so_and_nothing_is_done_twice(server: Server) -> None:
    await server.make_space(max_speakers=1, starts_at=in_days(1))
    cohost = token("zoe", room_admin=True)
    starts = [await post(server, "/start", bearer) for bearer in (host_token(), cohost)]
    assert [start.status_code for start in starts] == [200, 409]
    for name in ("bob", "cleo"):
        await comes(server, name)
    first, second = await server.act("promote", "bob", host_token()), await server.act("promote", "cleo", cohost)
    assert (first.status_code, second.status_code, code_of(second)) == (200, 409, "stage_full")
    assert (await server.roster())["cleo"]["role"] == "listener"


async def test_who_has_just_left_cannot_be_acted_upon(server: Server) -> None:
    await server.make_space()
    bob = await server.join("whep", offers.WHEP, token("bob"))
    await server.call("DELETE", bob.headers["location"], token("bob"))
    for act in ("mute", "unmute", "promote", "demote", "invite", "accept-hand", "decline-hand", "remove"):
        late = await server.act(act, "bob", host_token())
        assert (late.status_code, code_of(late)) == (409, "participant_left"), act
    assert code_of(await server.act("mute", "nobody", host_token())) == "unknown_participant"


async def test_the_same_identity_by_another_applications_word_is_somebody_else() -> None:
    other, secret = "other-key", "o" * 40
    async with running(keys={KEY: SECRET, other: secret}) as server:
        await server.make_space()
        await comes(server, "bob", "whep")
        grants = Grants(room="hall", room_join=True, can_publish=True)
        now_s = time.time()
        impostor = mint(
            key=other, secret=secret, identity="bob", name="Bob", grants=grants, now_s=now_s, lifetime_s=600.0
        )
        refused = await server.join("whip", offers.WHIP, impostor)
        assert (refused.status_code, code_of(refused)) == (409, "duplicate_identity")
        assert (await server.roster())["bob"]["role"] == "listener"


# Out


async def test_a_block_holds_in_every_space_of_the_host_and_hides_them(server: Server) -> None:
    await server.make_space()
    await server.make_space("attic")
    for name in ("hall", "attic"):
        assert (await server.join("whep", offers.WHEP, token("bob", name), name)).status_code == 201
    assert (await server.act("block", "bob", host_token())).status_code == 204

    assert not server.sfu.sessions
    await server.restart()
    for name in ("hall", "attic"):
        bearer = token("bob", name, room_list=True, age_s=-5)
        assert code_of(await server.join("whep", offers.WHEP, bearer, name)) == "blocked"
        assert code_of(await server.call("GET", f"/v1/spaces/{name}", bearer)) == "unknown_space"
        assert (await server.call("GET", "/v1/spaces", bearer)).json()["spaces"] == []
    listed = (await server.call("GET", "/v1/spaces/hall/blocks", host_token())).json()["blocks"]
    assert [block["identity"] for block in listed] == ["bob"]
    assert (await server.act("unblock", "bob", host_token())).status_code == 204
    assert code_of(await server.act("unblock", "bob", host_token())) == "not_blocked"
    later = token("bob", "attic", age_s=-5)
    assert (await server.join("whep", offers.WHEP, later, "attic")).status_code == 201


async def test_nobody_puts_the_host_out_or_off_the_stage(server: Server) -> None:
    await server.make_space()
    await host_comes(server)
    for act in ("remove", "block", "demote"):
        assert code_of(await server.act(act, "ada", host_token())) == "host_stays"
        assert code_of(await server.act(act, "ada", token("zoe", room_admin=True))) == "outranked"
    assert code_of(await server.call("DELETE", "/v1/spaces/hall/stage", host_token())) == "host_stays"


# Tickets


async def test_a_ticket_is_needed_by_every_way_in_and_admits_one_person(server: Server) -> None:
    terms = {"capacity": 2, "price": 500, "currency": "EUR", "transferable": True}
    await server.make_space(ticket=terms)
    speaker = token("bob", can_publish=True)
    for kind, offer in (
        ("whip", offers.WHIP),
        ("whep", offers.WHEP),
        ("stage", offers.stage_offer("sendrecv")),
    ):
        refused = await server.join(kind, offer, speaker)
        assert (refused.status_code, code_of(refused), refused.json()["price"]) == (403, "ticket_needed", 500)
    await host_comes(server)

    issued = await post(server, "/tickets", host_token(), identity="bob")
    assert issued.status_code == 201
    path = f"/tickets/{issued.json()['id']}"
    assert code_of(await post(server, "/tickets", host_token(), identity="bob")) == "has_ticket"
    assert code_of(await post(server, "/tickets", speaker, identity="eve")) == "missing_permission"
    passed = await post(server, f"{path}/transfer", speaker, identity="cleo")
    assert passed.json()["identity"] == "cleo"
    assert code_of(await server.join("whep", offers.WHEP, speaker)) == "ticket_needed"
    cleo = await comes(server, "cleo", "whep")
    await server.restart()
    assert code_of(await post(server, f"{path}/transfer", cleo, identity="bob")) == "ticket_used"
    assert (await post(server, "/tickets", host_token(), identity="dan")).status_code == 201
    assert code_of(await post(server, "/tickets", host_token(), identity="eve")) == "sold_out"

    revoked = await post(server, f"{path}/revoke", host_token())
    assert revoked.json()["revoked_at"] is not None
    assert "cleo" not in await server.roster()
    assert code_of(await server.join("whep", offers.WHEP, cleo)) == "ticket_needed"
    tickets = (await server.call("GET", "/v1/spaces/hall/tickets", host_token())).json()["tickets"]
    assert [ticket["identity"] for ticket in tickets] == ["cleo", "dan"]


async def test_a_ticket_that_is_not_transferable_stays(server: Server) -> None:
    await server.make_space(ticket={})
    issued = (await post(server, "/tickets", host_token(), identity="bob")).json()["id"]
    assert (
        code_of(await post(server, f"/tickets/{issued}/transfer", token("bob"), identity="eve")) == "not_transferable"
    )
    assert code_of(await post(server, f"/tickets/{issued}/transfer", token("eve"), identity="eve")) == "unknown_ticket"
    await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"ticket": None})
    assert code_of(await post(server, "/tickets", host_token(), identity="eve")) == "no_tickets"


# Counts, and what outlives a restart


async def test_counts_listed_hidden_live_total_and_peak_outlive_a_restart(server: Server) -> None:
    await server.make_space()
    await host_comes(server)
    await comes(server, "lea", "whep")
    await comes(server, "ghost", "whep", token("ghost", hidden=True))
    gone = await server.join("whep", offers.WHEP, token("bob"))
    await server.call("DELETE", gone.headers["location"], token("bob"))
    expected = {"speakers": 1, "listeners": 2, "hidden": 1, "live": 3, "total": 4, "peak": 4}
    assert (await space(server))["counts"] == expected

    await server.call("PATCH", "/v1/spaces/hall", host_token(), json={"title": "Later"})  # writes the totals with it
    await server.restart()
    await server.until_roster(lambda roster: "lea" in roster)
    assert (await space(server))["counts"] == expected
    assert "ghost" not in await server.roster()


async def test_roles_mutes_hands_and_invitations_outlive_a_restart(server: Server) -> None:
    await server.make_space()
    people = {name: await comes(server, name) for name in ("bob", "cleo", "dan")}
    await server.act("promote", "bob", host_token(), json={"role": "cohost"})
    await server.act("mute", "bob", host_token())
    await post(server, "/hand", people["cleo"])
    await server.act("invite", "dan", host_token())
    before = await server.roster()

    await server.restart()
    assert await server.roster() == before
    assert server.sfu.muted["hall"] == {"bob"}
    assert (await server.act("accept", "dan", people["dan"])).json()["role"] == "speaker"


async def test_who_joins_is_warned_when_somebody_they_blocked_speaks(server: Server) -> None:
    await server.make_space()
    await comes(server, "bob", "whip", token("bob", can_publish=True))
    wary = social("lea", blocks=["bob", "eve"])
    snapshot = await server.snapshot(wary)
    assert snapshot["you"]["blocked_on_stage"] == ["bob"]


async def test_a_space_is_recorded_while_somebody_is_there_whose_token_says_so(server: Server) -> None:
    await server.make_space()
    await comes(server, "lea", "whep")
    assert not (await space(server))["is_recorded"]
    reel = token("reel", hidden=True, recorder=True)
    recording = await server.join("whep", offers.WHEP, reel)
    assert (await space(server))["is_recorded"]
    await server.call("DELETE", recording.headers["location"], reel)
    assert not (await space(server))["is_recorded"]
