"""Spaces and moderation over HTTP: what is done, what is told to the sfu first, and what is refused how."""

from typing import Any

import pytest

from sfu.contract.messages import CloseSpace, OpenSpace, RemoveParticipant, SetMuted, SetOnStage
from tests.signalling import offers
from tests.signalling.running import Server, host_token, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]


async def speaks(server: Server, hall: str, identity: str = "bob") -> str:
    bearer = token(identity, hall, can_publish=True)
    assert (await server.join("whip", offers.WHIP, bearer, hall)).status_code == 201
    return bearer


async def listens(server: Server, hall: str, identity: str = "lea") -> str:
    bearer = token(identity, hall)
    assert (await server.join("stage", offers.stage_offer("sendrecv"), bearer, hall)).status_code == 201
    return bearer


def code_of(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# Spaces


async def test_a_space_is_made_with_its_maker_as_host(server: Server) -> None:
    response = await server.call(
        "POST", "/v1/spaces", host_token(), json={"id": "attic", "title": "  Attic  ", "max_speakers": 3}
    )

    assert response.status_code == 201
    assert response.headers["location"] == "/v1/spaces/attic"
    body = response.json()
    assert (body["id"], body["title"], body["state"], body["host"]) == ("attic", "Attic", "live", "ada")
    assert body["counts"] == {"speakers": 0, "listeners": 0, "hidden": 0, "live": 0, "total": 0, "peak": 0}
    assert OpenSpace("attic", 1 + 2 + 3, body["audience"]) in server.sfu.commands


async def test_a_space_without_a_name_is_given_one(server: Server) -> None:
    body = (await server.call("POST", "/v1/spaces", host_token(), json={"title": "Any"})).json()
    assert (await server.call("GET", f"/v1/spaces/{body['id']}", host_token(body["id"]))).json() == body


async def test_a_name_is_given_once(server: Server, hall: str) -> None:
    again = await server.call("POST", "/v1/spaces", host_token(), json={"id": hall, "title": "Again"})
    assert code_of(again) == (409, "space_exists")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"title": ""},
        {"title": "t", "id": "Upper"},
        {"title": "t", "id": "-"},
        {"title": "t", "id": "a" * 64},
        {"title": "t", "audience": "quadraphonic"},
        {"title": "t", "max_speakers": 0},
        {"title": "t", "unknown": 1},
        [],
        "title",
    ],
)
async def test_a_space_that_cannot_be_is_refused(server: Server, body: object) -> None:
    assert code_of(await server.call("POST", "/v1/spaces", host_token(), json=body)) == (400, "bad_request")


async def test_a_body_that_says_a_thing_twice_is_refused(server: Server) -> None:
    response = await server.call(
        "POST",
        "/v1/spaces",
        host_token(),
        content='{"title": "seen", "title": "made"}',
        headers={"Content-Type": "application/json"},
    )
    assert code_of(response) == (400, "bad_request")


async def test_making_and_listing_take_their_grants(server: Server, hall: str) -> None:
    making = await server.call("POST", "/v1/spaces", token("bob"), json={"title": "t"})
    listing = await server.call("GET", "/v1/spaces", token("bob"))

    assert (making.status_code, making.json()["missing_permission"]) == (403, "roomCreate")
    assert (listing.status_code, listing.json()["missing_permission"]) == (403, "roomList")
    spaces = (await server.call("GET", "/v1/spaces", host_token())).json()["spaces"]
    assert hall in {space["id"] for space in spaces}


async def test_a_host_changes_the_title(server: Server, hall: str) -> None:
    path = f"/v1/spaces/{hall}"
    assert (await server.call("PATCH", path, host_token(hall), json={"title": "Part two"})).json()[
        "title"
    ] == "Part two"
    assert code_of(await server.call("PATCH", path, token("bob", hall), json={"title": "x"})) == (
        403,
        "missing_permission",
    )


async def test_the_end_is_for_everyone_and_for_good(server: Server, hall: str) -> None:
    bob = await speaks(server, hall)
    path = f"/v1/spaces/{hall}"

    assert code_of(await server.call("POST", f"{path}/end", bob)) == (403, "missing_permission")
    assert (await server.call("POST", f"{path}/end", host_token(hall))).status_code == 204

    assert CloseSpace(hall) in server.sfu.commands
    assert (await server.call("GET", path, host_token(hall))).json()["state"] == "ended"
    assert code_of(await server.join("whip", offers.WHIP, bob, hall)) == (410, "space_ended")
    again = await server.call("POST", "/v1/spaces", host_token(), json={"id": hall, "title": "Again"})
    assert code_of(again) == (409, "space_exists")


async def test_a_cohost_may_moderate_but_not_end(server: Server, hall: str) -> None:
    cohost = token("carl", hall, room_admin=True)
    await speaks(server, hall)

    assert (await server.act("mute", "bob", cohost, hall)).status_code == 200
    assert (await server.call("POST", f"/v1/spaces/{hall}/end", cohost)).status_code == 403


# Participants


async def test_the_roster_says_who_is_here_and_how(server: Server, hall: str) -> None:
    await speaks(server, hall)
    await listens(server, hall)
    await server.join("whep", offers.WHEP, token("ghost", hall, hidden=True), hall)

    roster = await server.roster(hall)

    assert list(roster) == ["bob", "lea"]
    assert roster["bob"]["role"] == "speaker"
    assert roster["lea"]["role"] == "listener"
    counts = (await server.call("GET", f"/v1/spaces/{hall}", host_token(hall))).json()["counts"]
    assert {"speakers": 1, "listeners": 2}.items() <= counts.items()


async def test_someone_is_connected_when_the_sfu_says_so(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, token("bob", hall, can_publish=True), hall)
    session = joined.headers["location"].rpartition("/")[2]
    assert not (await server.roster(hall))["bob"]["is_connected"]

    server.sfu.connect(session)
    await server.until_roster(lambda roster: roster["bob"]["is_connected"], hall)

    server.sfu.drop(session)
    await server.until_roster(lambda roster: "bob" not in roster, hall)


# Moderation


async def test_a_mute_is_in_force_before_it_is_acknowledged(server: Server, hall: str) -> None:
    await speaks(server, hall)

    muted = await server.act("mute", "bob", host_token(hall), hall)
    assert (muted.status_code, muted.json()["is_muted"]) == (200, True)
    assert server.sfu.muted[hall] == {"bob"}

    unmuted = await server.act("unmute", "bob", host_token(hall), hall)
    assert (unmuted.status_code, unmuted.json()["is_muted"]) == (200, False)
    assert server.sfu.muted[hall] == set()


async def test_a_speaker_can_neither_unmute_itself_nor_mute_others(server: Server, hall: str) -> None:
    bob = await speaks(server, hall)
    await speaks(server, hall, "cleo")
    await server.act("mute", "bob", host_token(hall), hall)

    assert code_of(await server.act("unmute", "bob", bob, hall)) == (403, "missing_permission")
    refused = await server.act("mute", "cleo", bob, hall)
    assert refused.json()["missing_permission"] == "roomAdmin"
    assert server.sfu.muted[hall] == {"bob"}


async def test_mute_all_spares_the_one_who_asks_and_those_above(server: Server, hall: str) -> None:
    for identity in ("bob", "cleo"):
        await speaks(server, hall, identity)
    await server.join("whip", offers.WHIP, host_token(hall), hall)
    cohost = token("carl", hall, room_admin=True, can_publish=True)
    await server.join("whip", offers.WHIP, cohost, hall)

    response = await server.call("POST", f"/v1/spaces/{hall}/mute-all", cohost)

    assert response.json() == {"muted": ["bob", "cleo"]}
    assert [said for said in server.sfu.heard(SetMuted) if said.space == hall] == [
        SetMuted(hall, ["bob", "cleo"], True)
    ]


async def test_nobody_acts_upon_the_host_but_the_host(server: Server, hall: str) -> None:
    await server.join("whip", offers.WHIP, host_token(hall), hall)
    cohost = token("carl", hall, room_admin=True)

    for act in ("mute", "demote", "remove", "block"):
        assert code_of(await server.act(act, "ada", cohost, hall)) == (403, "outranked")
    assert (await server.act("mute", "ada", host_token(hall), hall)).status_code == 200


async def test_the_removed_are_out_and_stay_out(server: Server, hall: str) -> None:
    bob = await speaks(server, hall)

    assert (await server.act("remove", "bob", host_token(hall), hall)).status_code == 204

    assert RemoveParticipant(hall, "bob") in server.sfu.commands
    assert code_of(await server.join("whip", offers.WHIP, bob, hall)) == (403, "removed")
    assert code_of(await server.call("GET", f"/v1/spaces/{hall}/participants", bob)) == (403, "removed")
    assert code_of(await server.call("POST", f"/v1/spaces/{hall}/reactions", bob, json={"emoji": "👏"})) == (
        403,
        "removed",
    )
    assert (await server.act("remove", "bob", host_token(hall), hall)).status_code == 204


async def test_a_newly_issued_token_lets_the_removed_back_in_but_not_the_blocked(server: Server, hall: str) -> None:
    for identity, act in (("bob", "remove"), ("cleo", "block")):
        await speaks(server, hall, identity)
        await server.act(act, identity, host_token(hall), hall)
    later = {identity: token(identity, hall, age_s=-2, can_publish=True) for identity in ("bob", "cleo")}

    assert (await server.join("whip", offers.WHIP, later["bob"], hall)).status_code == 201
    assert code_of(await server.join("whip", offers.WHIP, later["cleo"], hall)) == (403, "blocked")


async def test_demoting_and_promoting_need_no_new_session(server: Server, hall: str) -> None:
    await speaks(server, hall)

    assert (await server.act("demote", "bob", host_token(hall), hall)).json()["role"] == "listener"
    assert (await server.act("promote", "bob", host_token(hall), hall)).json()["role"] == "speaker"
    said = [said for said in server.sfu.heard(SetOnStage) if said.space == hall]
    assert said == [SetOnStage(hall, "bob", is_on_stage=False), SetOnStage(hall, "bob", is_on_stage=True)]


async def test_a_demoted_publisher_cannot_come_back_by_publishing(server: Server, hall: str) -> None:
    bob = await speaks(server, hall)
    await server.act("demote", "bob", host_token(hall), hall)

    assert code_of(await server.join("whip", offers.WHIP, bob, hall)) == (403, "not_on_stage")


async def test_a_promoted_cohost_moderates_until_demoted(server: Server, hall: str) -> None:
    lea = await listens(server, hall)
    await speaks(server, hall)

    promoted = await server.act("promote", "lea", host_token(hall), hall, json={"role": "cohost"})
    assert promoted.json()["role"] == "cohost"
    assert (await server.act("mute", "bob", lea, hall)).status_code == 200
    assert code_of(await server.act("promote", "bob", lea, hall, json={"role": "cohost"})) == (
        403,
        "missing_permission",
    )
    await server.act("demote", "lea", host_token(hall), hall)
    assert (await server.act("mute", "bob", lea, hall)).status_code == 403


async def test_a_raised_hand_is_seen_and_answered(server: Server, hall: str) -> None:
    lea = await listens(server, hall)

    assert (await server.call("POST", f"/v1/spaces/{hall}/hand", lea)).status_code == 204
    assert (await server.roster(hall))["lea"]["has_raised_hand"]
    assert (await server.act("promote", "lea", host_token(hall), hall)).status_code == 200
    assert not (await server.roster(hall))["lea"]["has_raised_hand"]


async def test_a_hand_can_be_taken_down(server: Server, hall: str) -> None:
    lea = await listens(server, hall)
    await server.call("POST", f"/v1/spaces/{hall}/hand", lea)

    assert (await server.call("DELETE", f"/v1/spaces/{hall}/hand", lea)).status_code == 204
    assert not (await server.roster(hall))["lea"]["has_raised_hand"]


async def test_an_invitation_is_accepted_by_the_invited_alone(server: Server, hall: str) -> None:
    lea = await listens(server, hall)
    eve = await listens(server, hall, "eve")

    assert code_of(await server.act("accept", "lea", lea, hall)) == (409, "not_invited")
    assert (await server.act("invite", "lea", host_token(hall), hall)).status_code == 200
    assert (await server.act("accept", "lea", eve, hall)).status_code == 403
    assert (await server.act("accept", "lea", lea, hall)).json()["role"] == "speaker"


async def test_a_reaction_is_one_emoji(server: Server, hall: str) -> None:
    path = f"/v1/spaces/{hall}/reactions"
    bob = token("bob", hall)

    assert (await server.call("POST", path, bob, json={"emoji": "👏"})).status_code == 202
    assert code_of(await server.call("POST", path, bob, json={"emoji": "<script>"})) == (400, "not_an_emoji")


async def test_acting_upon_who_is_not_here_has_its_own_code(server: Server, hall: str) -> None:
    for act in ("mute", "unmute", "promote", "demote", "invite", "remove"):
        assert code_of(await server.act(act, "nobody", host_token(hall), hall)) == (404, "unknown_participant")


async def test_an_identity_may_have_any_printable_characters(server: Server, hall: str) -> None:
    identity = "org/ana maría?#%"
    await speaks(server, hall, identity)

    response = await server.act("mute", "org%2Fana%20mar%C3%ADa%3F%23%25", host_token(hall), hall)
    assert (response.status_code, response.json()["identity"]) == (200, identity)


async def test_moderation_is_measured(server: Server, hall: str) -> None:
    await speaks(server, hall)
    registry = server.metrics.registry
    before = registry.get_sample_value("palco_signalling_moderation_seconds_count") or 0.0

    await server.act("mute", "bob", host_token(hall), hall)

    assert registry.get_sample_value("palco_signalling_moderation_seconds_count") == before + 1
    assert (registry.get_sample_value("palco_signalling_moderation_acts_total", {"action": "mute"}) or 0) >= 1
