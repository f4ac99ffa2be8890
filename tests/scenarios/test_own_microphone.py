"""One's own microphone and one's own way on stage and off, heard at the packet."""

import pytest

from tests.harness.room import LISTENER, Room, meet_all, silent_after

pytestmark = pytest.mark.live


async def test_a_self_mute_is_silence_until_oneself_lifts_it(room: Room) -> None:
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    cem = await room.listener("cem", sections=2)
    await meet_all([ana, ben], [cem])

    muted = await room.call("POST", f"/v1/spaces/{room.space}/self-mute", ana.token)
    assert muted.json()["is_self_muted"]
    await silent_after(ana, [cem], witness=ben, since=ana.peer.said)
    await room.must("unmute", "ana")
    await silent_after(ana, [cem], witness=ben, since=ana.peer.said)
    await room.switch_on(ana)
    await cem.peer.hears(ana.peer.say())


async def test_a_hosts_mute_is_not_lifted_by_ones_own_switch(room: Room) -> None:
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    cem = await room.listener("cem", sections=2)
    await meet_all([ana, ben], [cem])

    await room.must("mute", "ana")
    refused = await room.call("DELETE", f"/v1/spaces/{room.space}/self-mute", ana.token)
    assert (refused.status_code, refused.json()["code"]) == (409, "muted_by_host")
    await silent_after(ana, [cem], witness=ben, since=ana.peer.said)


async def test_stepping_up_and_down_needs_no_new_session_and_no_host(room: Room) -> None:
    ben, cem = await room.speaker("ben"), await room.listener("cem", sections=2)
    ana = await room.stage_guest("ana", grants=LISTENER)
    await meet_all([ben], [ana, cem])
    await room.call("PATCH", f"/v1/spaces/{room.space}", room.host, json={"speak": "everyone"})

    stage = f"/v1/spaces/{room.space}/stage"
    assert (await room.call("POST", stage, ana.token)).status_code == 200
    await silent_after(ana, [cem], witness=ben, since=0)
    await room.switch_on(ana)
    said = ana.peer.say()
    await cem.peer.hears(said)
    assert (await room.call("DELETE", stage, ana.token)).status_code == 200
    await silent_after(ana, [cem], witness=ben, since=said.number)
    await ana.peer.hears(ben.peer.say())


async def test_where_entry_is_muted_a_newcomer_is_heard_when_a_host_allows_it(room: Room) -> None:
    ben, cem = await room.speaker("ben"), await room.listener("cem", sections=2)
    ana = await room.stage_guest("ana", grants=LISTENER)
    await meet_all([ben], [ana, cem])
    await room.call("PATCH", f"/v1/spaces/{room.space}", room.host, json={"entry": "muted"})

    await room.must("promote", "ana")
    await silent_after(ana, [cem], witness=ben, since=0)
    await room.must("unmute", "ana")
    await room.switch_on(ana)
    await cem.peer.hears(ana.peer.say())


async def test_who_left_the_stage_by_themselves_and_publishes_again_is_heard(room: Room) -> None:
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    cem = await room.listener("cem", sections=2)
    await meet_all([ana, ben], [cem])
    assert (await room.call("DELETE", f"/v1/spaces/{room.space}/stage", ana.token)).status_code == 200
    await silent_after(ana, [cem], witness=ben, since=ana.peer.said)

    again = await room.speaker("ana")
    await meet_all([again], [cem])
