"""WHIP, WHEP and stage sessions over HTTP: RFC 9725, draft-ietf-wish-whep-04 and what clients need beyond them."""

import re

import pytest

from sfu.contract.config import Spaces, Whip
from sfu.contract.messages import CloseSession, OpenSession, RestartIce
from tests.signalling import offers
from tests.signalling.running import FRAGMENT, SDP, Server, host_token, running, token

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

PWD = "restartedrestartedrestarted"
CANDIDATE = "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"


def fragment(ufrag: str = "whip", *, pwd: str = PWD) -> str:
    return f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n{CANDIDATE}"


def speaker(hall: str, identity: str = "bob") -> str:
    return token(identity, hall, can_publish=True)


def listener(hall: str, identity: str = "lea") -> str:
    return token(identity, hall)


# Offers


async def test_an_offer_is_answered_with_everything_that_a_client_needs(server: Server, hall: str) -> None:
    response = await server.join("whip", offers.WHIP, speaker(hall), hall)

    assert response.status_code == 201
    assert response.headers["content-type"] == "application/sdp"
    assert re.fullmatch(rf"/whip/{hall}/[A-Za-z0-9_-]{{22,}}", response.headers["location"])  # 22 x 6 > 128 bits
    assert re.fullmatch(r'"[^"]+"', response.headers["etag"])
    assert response.headers["access-control-allow-origin"] == "*"
    assert {"Location", "ETag", "Link"} <= set(response.headers["access-control-expose-headers"].split(", "))
    assert "a=candidate:4 1 udp" in response.text
    assert "a=candidate:6 1 udp" in response.text


@pytest.mark.parametrize(("offer", "kind"), offers.ALL.values(), ids=offers.ALL.keys())
async def test_a_real_clients_offer_opens_a_session(server: Server, hall: str, offer: str, kind: str) -> None:
    bearer = speaker(hall) if kind == "whip" else listener(hall)
    assert (await server.join(kind, offer, bearer, hall)).status_code == 201


async def test_the_sfu_is_told_what_was_agreed_and_who_it_is(server: Server, hall: str) -> None:
    await server.join("whip", offers.CHROME_WHIP, speaker(hall), hall)

    said = [command for command in server.sfu.commands if isinstance(command, OpenSession)][-1]
    assert (said.space, said.identity, said.kind, said.setup) == (hall, "bob", "whip", "passive")
    assert (said.is_on_stage, said.is_muted) == (True, False)
    assert said.remote_ufrag == "uKqO"


async def test_an_empty_stage_is_no_reason_to_turn_a_listener_away(server: Server, hall: str) -> None:
    assert (await server.join("whep", offers.WHEP, listener(hall), hall)).status_code == 201


async def test_a_listener_may_open_a_stage_session_and_is_not_heard(server: Server, hall: str) -> None:
    response = await server.join("stage", offers.stage_offer("sendrecv", "recvonly"), listener(hall), hall)

    assert response.status_code == 201
    assert response.headers["location"].startswith(f"/v1/spaces/{hall}/sessions/")
    said = [command for command in server.sfu.commands if isinstance(command, OpenSession)][-1]
    assert not said.is_on_stage


async def test_an_offer_of_the_wrong_type_is_refused(server: Server, hall: str) -> None:
    response = await server.call(
        "POST", f"/whip/{hall}", speaker(hall), content=offers.WHIP, headers={"Content-Type": "text/plain"}
    )
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("offer", "status", "code", "section"),
    [
        ("v=0\r\n", 400, "bad_sdp", "session"),
        (offers.WHIP.replace("a=rtpmap:111", "a=rtpmap:opus"), 400, "bad_sdp", "audio 0"),
        (offers.WHIP.replace("opus", "speex"), 422, "unacceptable_sdp", "audio 0"),
        (offers.stage_offer("sendonly", "sendonly"), 422, "unacceptable_sdp", "audio 1"),
        (offers.OBS_WHIP, 422, "unacceptable_sdp", "video 1"),
    ],
)
async def test_a_refused_offer_names_its_section(
    server: Server, hall: str, offer: str, status: int, code: str, section: str
) -> None:
    response = await server.join("whip", offer, speaker(hall), hall)

    assert (response.status_code, response.json()["code"], response.json()["section"]) == (status, code, section)


async def test_an_offer_above_the_limit_is_refused(server: Server, hall: str) -> None:
    response = await server.join("whip", offers.WHIP + "a=x\r\n" * 20_000, speaker(hall), hall)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


# Who may


async def test_without_a_token_nothing_is_opened(server: Server, hall: str) -> None:
    response = await server.call("POST", f"/whip/{hall}", content=offers.WHIP, headers=SDP)

    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="palco"'


async def test_a_bad_token_is_told_from_none(server: Server, hall: str) -> None:
    response = await server.join("whip", offers.WHIP, "not.a.token", hall)

    assert (response.status_code, response.json()["code"]) == (401, "bad_token")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_publishing_takes_the_grant_and_the_refusal_names_it(server: Server, hall: str) -> None:
    response = await server.join("whip", offers.WHIP, listener(hall), hall)

    assert response.status_code == 403
    assert (response.json()["code"], response.json()["missing_permission"]) == ("missing_permission", "canPublish")


async def test_a_token_for_another_space_opens_nothing_here(server: Server, hall: str) -> None:
    for kind, offer in (("whip", offers.WHIP), ("whep", offers.WHEP), ("stage", offers.stage_offer("sendrecv"))):
        response = await server.join(kind, offer, speaker("elsewhere"), hall)
        assert (response.status_code, response.json()["code"]) == (403, "missing_permission")


async def test_a_space_that_is_not_there_is_unknown(server: Server) -> None:
    response = await server.join("whip", offers.WHIP, speaker("nowhere"), "nowhere")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_space")


async def test_the_place_after_the_last_is_refused(server: Server) -> None:
    await server.make_space("tiny", max_speakers=1)
    assert (await server.join("whip", offers.WHIP, speaker("tiny", "bob"), "tiny")).status_code == 201

    response = await server.join("whip", offers.WHIP, speaker("tiny", "cleo"), "tiny")
    assert (response.status_code, response.json()["code"]) == (409, "stage_full")


async def test_a_stranger_to_a_space_does_not_learn_whether_it_is_there(server: Server, hall: str) -> None:
    here, nowhere = [
        await server.join("whip", offers.WHIP, speaker("elsewhere"), space) for space in (hall, "hall-0123456789")
    ]
    assert (here.status_code, here.json()["missing_permission"]) == (403, "room")
    assert here.text.replace(hall, "?") == nowhere.text.replace("hall-0123456789", "?")


# Looking


@pytest.mark.parametrize("kind", ["whip", "whep"])
async def test_a_preflight_needs_no_token_and_says_nothing_but_what_may_be_asked(
    server: Server, hall: str, kind: str
) -> None:
    response = await server.call("OPTIONS", f"/{kind}/{hall}", headers={"Origin": "https://example.org"})

    assert (response.status_code, response.text) == (200, "")
    assert response.headers["accept-post"] == "application/sdp"
    assert response.headers["access-control-allow-methods"] == "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"
    assert response.headers["access-control-allow-headers"] == (
        "Authorization, Content-Type, If-Match, Idempotency-Key"
    )
    assert response.headers["access-control-max-age"] == "86400"
    assert "access-control-allow-credentials" not in response.headers
    assert "link" not in response.headers


async def test_a_preflight_is_the_same_for_spaces_that_exist_and_that_do_not(server: Server, hall: str) -> None:
    here, nowhere = [await server.call("OPTIONS", f"/whip/{space}/x") for space in (hall, "nowhere")]
    assert (here.status_code, here.text) == (nowhere.status_code, nowhere.text) == (200, "")


async def test_there_is_nothing_to_get(server: Server, hall: str) -> None:
    for path in (f"/whip/{hall}", f"/whep/{hall}"):
        response = await server.call("GET", path, listener(hall))
        assert (response.status_code, response.content) == (204, b"")


async def test_whep_is_discovered_by_head(server: Server, hall: str) -> None:
    response = await server.call("HEAD", f"/whep/{hall}", listener(hall))

    assert (response.status_code, response.headers["content-type"]) == (200, "application/sdp")
    assert response.headers["content-length"] == "0"


async def test_other_methods_are_not_for_this(server: Server, hall: str) -> None:
    response = await server.call("PUT", f"/whip/{hall}", speaker(hall))

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


# Trickle and restart


async def test_trickled_candidates_are_taken_and_change_nothing(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    response = await server.call(
        "PATCH",
        joined.headers["location"],
        speaker(hall),
        content=fragment(),
        headers={**FRAGMENT, "If-Match": joined.headers["etag"]},
    )
    assert (response.status_code, response.content) == (204, b"")
    assert "etag" not in response.headers


async def test_a_client_that_never_read_the_etag_is_believed_by_its_ufrag(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    location = joined.headers["location"]

    mine = await server.call("PATCH", location, speaker(hall), content=fragment("whip"), headers=FRAGMENT)
    other = await server.call("PATCH", location, speaker(hall), content=fragment("else"), headers=FRAGMENT)

    assert mine.status_code == 204
    assert (other.status_code, other.json()["code"]) == (428, "precondition_required")


@pytest.mark.parametrize("etag", ['"stale"', "W/{etag}", "etag"])
async def test_an_etag_that_is_not_the_sessions_is_refused(server: Server, hall: str, etag: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    headers = {**FRAGMENT, "If-Match": etag.format(etag=joined.headers["etag"])}
    response = await server.call(
        "PATCH", joined.headers["location"], speaker(hall), content=fragment(), headers=headers
    )
    assert (response.status_code, response.json()["code"]) == (412, "stale_etag")


async def test_an_ice_restart_gives_new_credentials_and_a_new_etag(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    location = joined.headers["location"]

    response = await server.call(
        "PATCH", location, speaker(hall), content=fragment("anew"), headers={**FRAGMENT, "If-Match": "*"}
    )

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/trickle-ice-sdpfrag"
    assert response.headers["etag"] != joined.headers["etag"]
    assert "a=ice-lite\r\n" in response.text
    assert re.search(r"a=ice-ufrag:ufrag\d+\r\n", response.text)
    assert RestartIce(location.rpartition("/")[2], "anew") in server.sfu.commands
    old = {**FRAGMENT, "If-Match": joined.headers["etag"]}
    new = {**FRAGMENT, "If-Match": response.headers["etag"]}
    assert (
        await server.call("PATCH", location, speaker(hall), content=fragment("anew"), headers=old)
    ).status_code == 412
    assert (
        await server.call("PATCH", location, speaker(hall), content=fragment("anew"), headers=new)
    ).status_code == 204


async def test_a_restart_without_a_password_changes_nothing(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    headers = {**FRAGMENT, "If-Match": "*"}
    response = await server.call(
        "PATCH", joined.headers["location"], speaker(hall), content="a=ice-ufrag:anew\r\n", headers=headers
    )

    assert (response.status_code, response.json()["code"]) == (400, "bad_sdpfrag")
    assert not [said for said in server.sfu.commands if isinstance(said, RestartIce) and said.remote_ufrag == ""]


async def test_a_fragment_of_the_wrong_type_is_refused(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    response = await server.call(
        "PATCH", joined.headers["location"], speaker(hall), content=fragment(), headers={**SDP, "If-Match": "*"}
    )
    assert response.status_code == 415


async def test_strictly_a_patch_needs_if_match() -> None:
    async with running(whip=Whip(strict_etag=True)) as server:
        await server.make_space()
        joined = await server.join("whip", offers.WHIP, speaker("hall"))
        response = await server.call(
            "PATCH", joined.headers["location"], speaker("hall"), content=fragment(), headers=FRAGMENT
        )
    assert (response.status_code, response.json()["code"]) == (428, "precondition_required")


# Ending


async def test_delete_ends_the_session_at_the_sfu_before_it_is_answered(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    location = joined.headers["location"]

    response = await server.call("DELETE", location, speaker(hall), headers={"If-Match": '"whatever"'})

    assert (response.status_code, response.content) == (200, b"")
    assert CloseSession(location.rpartition("/")[2]) in server.sfu.commands
    assert "bob" not in await server.roster(hall)
    assert (await server.call("DELETE", location, speaker(hall))).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_stranger_does_not_even_learn_that_a_session_is_there(server: Server, hall: str, method: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    location = joined.headers["location"]
    headers = {**FRAGMENT, "If-Match": "*"}

    real = await server.call(method, location, speaker(hall, "eve"), content=fragment("evil"), headers=headers)
    unreal = await server.call(method, f"/whip/{hall}/{'x' * 32}", speaker(hall, "eve"), headers=headers)

    assert (real.status_code, real.content) == (unreal.status_code, unreal.content)
    assert real.json()["code"] == "unknown_session"
    assert (await server.call(method, location, headers=headers)).status_code == 401
    assert (await server.call("GET", location, speaker(hall))).status_code == 204


async def test_a_moderator_may_end_anyones_session(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    assert (await server.call("DELETE", joined.headers["location"], host_token(hall))).status_code == 200


async def test_a_session_has_one_url(server: Server, hall: str) -> None:
    joined = await server.join("whip", offers.WHIP, speaker(hall), hall)
    elsewhere = joined.headers["location"].replace("/whip/", "/whep/")
    assert (await server.call("DELETE", elsewhere, speaker(hall))).status_code == 404


# Settings


async def test_video_can_be_set_aside_for_obs() -> None:
    async with running(whip=Whip(video="discard")) as server:
        await server.make_space()
        response = await server.join("whip", offers.OBS_WHIP, speaker("hall"))
    assert response.status_code == 201
    assert "m=video 0 " in response.text


async def test_a_space_can_be_made_by_joining_it_where_the_operator_has_it_so() -> None:
    async with running(spaces=Spaces(auto_create=True)) as server:
        assert (await server.join("whep", offers.WHEP, listener("lounge"), "lounge")).status_code == 404
        assert (await server.join("whip", offers.WHIP, speaker("lounge"), "lounge")).status_code == 201
        assert (await server.join("whep", offers.WHEP, listener("lounge"), "lounge")).status_code == 201
