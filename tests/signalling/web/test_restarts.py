"""Either side restarts: nothing that was decided or acknowledged is lost, and session URLs go on working."""

import asyncio
from pathlib import Path

import pytest

from sfu.contract import messages as m
from signalling.store import Store
from tests.signalling import offers
from tests.signalling.running import FRAGMENT, Server, host_token, running, token

pytestmark = pytest.mark.live

FRAGMENT_BODY = "a=ice-ufrag:whip\r\na=ice-pwd:0123456789012345678901\r\n"


async def bob_joins(server: Server) -> tuple[str, str, str]:
    """His token, and the location and ETag of his session."""
    bearer = token("bob", can_publish=True)
    response = await server.join("whip", offers.WHIP, bearer)
    assert response.status_code == 201
    server.sfu.connect(response.headers["location"].rpartition("/")[2])
    await server.until_roster(lambda roster: roster["bob"]["is_connected"])
    return bearer, response.headers["location"], response.headers["etag"]


async def test_a_restarted_server_knows_who_is_there_and_tells_the_sfu_nothing() -> None:
    async with running() as server:
        await server.make_space()
        await bob_joins(server)
        before = await server.roster()
        server.sfu.commands.clear()

        await server.restart()

        assert await server.roster() == before
        assert [said for said in server.sfu.commands if not isinstance(said, m.Goodbye)] == []


async def test_session_urls_and_etags_outlive_the_server_that_gave_them_out() -> None:
    async with running() as server:
        await server.make_space()
        bearer, location, etag = await bob_joins(server)

        await server.restart()

        headers = {**FRAGMENT, "If-Match": etag}
        assert (await server.call("PATCH", location, bearer, content=FRAGMENT_BODY, headers=headers)).status_code == 204
        restart = await server.call(
            "PATCH",
            location,
            bearer,
            content=FRAGMENT_BODY.replace("whip", "anew"),
            headers={**FRAGMENT, "If-Match": "*"},
        )
        assert restart.status_code == 200
        await server.restart()
        headers["If-Match"] = restart.headers["etag"]
        anew = FRAGMENT_BODY.replace("whip", "anew")
        assert (await server.call("PATCH", location, bearer, content=anew, headers=headers)).status_code == 204
        assert (await server.call("DELETE", location, bearer)).status_code == 200


async def test_mutes_and_roles_outlive_both() -> None:
    async with running() as server:
        await server.make_space()
        bearer, _, _ = await bob_joins(server)
        await server.act("mute", "bob", host_token())
        await server.act("demote", "bob", host_token())

        await server.stop()
        server.sfu.forget(node="node-2")
        await server.start()

        assert server.sfu.muted["hall"] == {"bob"}
        assert (await server.join("whip", offers.WHIP, bearer)).json()["code"] == "not_on_stage"
        await server.join("stage", offers.stage_offer("sendrecv"), bearer)
        bob = (await server.roster())["bob"]
        assert (bob["role"], bob["is_muted"]) == ("listener", True)


async def test_the_removed_stay_out_whatever_restarts(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/palco.db")
    async with running(store=store) as server:
        await server.make_space()
        bearer, _, _ = await bob_joins(server)
        await server.act("remove", "bob", host_token())
        await server.restart()
        assert (await server.join("whip", offers.WHIP, bearer)).json()["code"] == "removed"
    async with running(store=store) as server:
        response = await server.join("whip", offers.WHIP, token("bob", age_s=5, can_publish=True))
        assert response.status_code == 403


async def test_a_restarted_sfu_gets_its_spaces_back_and_the_gone_are_gone() -> None:
    async with running() as server:
        await server.make_space()
        await bob_joins(server)

        await server.sfu.stop()
        server.sfu.forget(node="node-2")
        await server.sfu.start()
        await server.until_roster(lambda roster: not roster)

        assert list(server.sfu.spaces) == ["hall"]
        await bob_joins(server)


async def test_a_break_of_the_connection_alone_changes_nothing() -> None:
    async with running() as server:
        await server.make_space()
        await bob_joins(server)
        before = await server.roster()
        server.sfu.commands.clear()

        await server.sfu.stop()
        await server.sfu.start()
        await server.eventually("/readyz", 200)

        assert await server.roster() == before
        assert server.sfu.commands == []


async def test_without_an_sfu_nothing_is_promised() -> None:
    async with running() as server:
        await server.make_space()
        bearer, _, _ = await bob_joins(server)
        await server.sfu.stop()
        await server.eventually("/readyz", 503)

        for response in (
            await server.join("whip", offers.WHIP, bearer),
            await server.act("mute", "bob", host_token()),
            await server.act("remove", "bob", host_token()),
        ):
            assert (response.status_code, response.json()["code"]) == (503, "sfu_unavailable")
            assert int(response.headers["retry-after"]) > 0
        assert not (await server.roster())["bob"]["is_muted"]
        assert (await server.call("GET", "/livez")).status_code == 200


async def test_a_space_made_while_the_sfu_is_away_is_there_when_it_comes_back() -> None:
    async with running() as server:
        await server.sfu.stop()
        await server.eventually("/readyz", 503)
        await server.make_space()
        await server.sfu.start()
        await server.eventually("/readyz", 200)

        assert list(server.sfu.spaces) == ["hall"]


async def test_an_sfu_that_goes_away_in_the_middle_of_a_command_is_told_again() -> None:
    async with running() as server:
        await server.make_space()
        await bob_joins(server)
        server.sfu.is_mute_to_all = True
        muting = asyncio.create_task(server.act("mute", "bob", host_token()))
        async with asyncio.timeout(30):
            await server.sfu.has_heard(m.SetMuted)
        await server.sfu.stop()
        assert (await muting).status_code == 503
        server.sfu.is_mute_to_all = False
        server.sfu.muted.clear()
        await server.sfu.start()
        await server.eventually("/readyz", 200)

        assert server.sfu.muted["hall"] == {"bob"}
        assert (await server.roster())["bob"]["is_muted"]


@pytest.mark.parametrize(
    ("code", "status"),
    [("stage_full", 409), ("space_full", 409), ("draining", 503), ("overloaded", 503), ("bad_command", 503)],
)
async def test_a_session_that_the_sfu_refuses_leaves_no_trace(code: str, status: int) -> None:
    async with running() as server:
        await server.make_space()
        server.sfu.refuse(m.OpenSession, code)
        response = await server.join("whip", offers.WHIP, token("bob", can_publish=True))

        assert response.status_code == status
        if status == 503:
            assert response.headers["retry-after"]
        assert await server.roster() == {}


async def test_a_space_that_signalling_does_not_know_is_closed() -> None:
    async with running() as server:
        await server.stop()
        server.sfu.spaces["stray"] = m.OpenSpace("stray")
        await server.start()

        async with asyncio.timeout(30):
            await server.sfu.has_heard(m.CloseSpace)
        assert server.sfu.spaces == {}


async def test_a_server_that_is_full_turns_people_away_in_readiness_too() -> None:
    async with running() as server:
        server.sfu.report(m.Load(accepts=False, reason="overloaded", sessions=7))
        response = await server.eventually("/readyz", 503)

        assert response.json() == {"status": "not_ready", "reasons": ["overloaded"]}
        assert int(response.headers["retry-after"]) > 0
