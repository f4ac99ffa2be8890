"""What a host says is true at the packet when the server has acknowledged it, and nobody else can say it."""

import pytest

from tests.harness.room import LISTENER, MODERATOR, SPEAKER, Guest, Room, meet_all, silent_after
from tests.harness.wire import meet

pytestmark = pytest.mark.live


@pytest.fixture
async def scene(room: Room) -> dict[str, Guest]:
    """Ana and Ben speak, Cem and Dan hear them both."""
    guests = {
        "ana": await room.speaker("ana"),
        "ben": await room.speaker("ben"),
        "cem": await room.listener("cem", sections=2),
        "dan": await room.listener("dan", sections=2),
    }
    await meet_all([guests["ana"], guests["ben"]], [guests["cem"], guests["dan"]])
    return guests


async def test_no_packet_of_a_muted_speaker_is_heard_after_the_acknowledgement(
    room: Room, scene: dict[str, Guest]
) -> None:
    ana, ben, cem, dan = scene.values()
    async with ana.peer.speaking():
        await room.must("mute", "ana")
        since = ana.peer.said
    await silent_after(ana, [cem, dan], witness=ben, since=since)
    assert (await room.participants())["ana"]["is_muted"]


async def test_an_unmuted_speaker_is_heard_again_with_its_next_packet(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    await room.must("mute", "ana")
    since = ana.peer.said
    await silent_after(ana, [cem, dan], witness=ben, since=since)
    await room.must("unmute", "ana")
    said = ana.peer.say()
    for listener in (cem, dan):
        await listener.peer.hears(said)
        assert not listener.peer.ledger.breaks()
    assert not (await room.participants())["ana"]["is_muted"]


async def test_a_speaker_cannot_unmute_itself(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    await room.must("mute", "ana")
    since = ana.peer.said
    response = await room.moderate("unmute", "ana", by=ana.token)
    assert response.status_code == 403
    assert response.json()["code"] == "missing_permission"
    await silent_after(ana, [cem, dan], witness=ben, since=since)


async def test_a_muted_speaker_that_joins_again_is_still_muted(room: Room, scene: dict[str, Guest]) -> None:
    _, ben, cem, dan = scene.values()
    await room.must("mute", "ana")
    again = await room.speaker("ana")
    await silent_after(again, [cem, dan], witness=ben, since=0)


async def test_a_removed_speaker_is_neither_heard_nor_let_back_in(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    async with ana.peer.speaking():
        await room.must("remove", "ana")
        since = ana.peer.said
    await silent_after(ana, [cem, dan], witness=ben, since=since)
    assert "ana" not in await room.participants()
    back = await room.guest("ana", ana.token, ana.peer.manner)
    response = await room.offer(back, "whip")
    assert response.status_code == 403
    assert response.json()["code"] == "removed"


async def test_a_removed_listener_gets_no_further_packet(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    async with ana.peer.speaking(), ben.peer.speaking():
        await room.must("remove", "cem")
        since = {ana.peer.number: ana.peer.said, ben.peer.number: ben.peer.said}
        # Two frames after the acknowledgement have been served in full once Dan hears the second of them.
        await dan.peer.hears(await ana.peer.talk(20))
    late = [
        heard.stamp
        for heard in cem.peer.ledger.heard
        if heard.stamp and heard.stamp.number > since[heard.stamp.speaker]
    ]
    assert not late
    back = await room.guest("cem", cem.token, cem.peer.manner)
    assert (await room.offer(back, "whep")).status_code == 403


async def test_a_demoted_speaker_is_not_heard_and_its_session_may_not_publish(room: Room) -> None:
    ana = await room.stage_guest("ana", grants=SPEAKER)
    ben, cem = await room.speaker("ben"), await room.listener("cem", sections=2)
    await meet_all([ana, ben], [cem])
    await room.must("demote", "ana")
    await silent_after(ana, [cem], witness=ben, since=ana.peer.said)
    assert (await room.participants()).get("ana", {"role": "listener"})["role"] == "listener"
    # It is still in the audience: it hears.
    await ana.peer.hears(ben.peer.say())
    again = await room.guest("ana", ana.token, (await room.speaker("zoe")).peer.manner)
    assert (await room.offer(again, "whip")).status_code == 403


async def test_a_promoted_listener_is_heard_without_a_new_session(room: Room) -> None:
    ben, cem = await room.speaker("ben"), await room.listener("cem", sections=2)
    ana = await room.stage_guest("ana", grants=LISTENER)
    await meet(ben.peer, ana.peer, cem.peer)
    await silent_after(ana, [cem], witness=ben, since=0)
    await room.must("promote", "ana")
    await silent_after(ana, [cem], witness=ben, since=0)
    await room.switch_on(ana)
    said = ana.peer.say()
    await cem.peer.hears(said)
    await room.must("demote", "ana")
    await silent_after(ana, [cem], witness=ben, since=said.number)


async def test_a_listener_that_sends_media_anyway_is_not_heard(room: Room, scene: dict[str, Guest]) -> None:
    """A WHEP session has no section to send in; authentic packets in it go nowhere."""
    _, ben, cem, dan = scene.values()
    await silent_after(dan, [cem], witness=ben, since=0)
    await dan.peer.hears(ben.peer.say())


@pytest.mark.parametrize("action", ["mute", "unmute", "remove", "demote", "promote", "block"])
async def test_neither_speaker_nor_listener_may_moderate(room: Room, scene: dict[str, Guest], action: str) -> None:
    for caller in (scene["ben"], scene["cem"]):
        response = await room.moderate(action, "ana", by=caller.token)
        assert response.status_code == 403
        assert response.json()["code"] == "missing_permission"
        assert "roomAdmin" in response.json()["missing_permission"]
    await scene["dan"].peer.hears(scene["ana"].peer.say())


async def test_a_cohost_may_moderate_without_being_connected(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    cohost = room.token("cohost", **MODERATOR)
    await room.must("mute", "ana", by=cohost)
    await silent_after(ana, [cem, dan], witness=ben, since=ana.peer.said)
    await room.must("unmute", "ana", by=cohost)
    await cem.peer.hears(ana.peer.say())
    await room.must("remove", "ana", by=cohost)
    await silent_after(ana, [cem, dan], witness=ben, since=ana.peer.said)


async def test_one_promoted_to_cohost_may_moderate_and_one_demoted_may_not(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, cem, dan = scene.values()
    await room.must("promote", "ben", json={"role": "cohost"})
    await room.must("mute", "ana", by=ben.token)
    await silent_after(ana, [cem, dan], witness=ben, since=ana.peer.said)
    await room.must("demote", "ben")
    assert (await room.moderate("unmute", "ana", by=ben.token)).status_code == 403


async def test_mute_all_silences_everyone_but_who_moderates(room: Room, scene: dict[str, Guest]) -> None:
    ana, ben, *_ = scene.values()
    host = await room.join(await room.guest(room.host_identity, room.host, ana.peer.manner), "whip")
    listener = await room.listener("eve", sections=3)
    await meet_all([ana, ben, host], [listener])
    response = await room.call("POST", f"/v1/spaces/{room.space}/mute-all", room.host)
    assert response.status_code == 200
    assert set(response.json()["muted"]) == {"ana", "ben"}
    await silent_after(ana, [listener], witness=host, since=ana.peer.said)
    await silent_after(ben, [listener], witness=host, since=ben.peer.said)


async def test_ending_a_space_ends_all_sessions_in_it(room: Room, scene: dict[str, Guest]) -> None:
    ana, _, cem, dan = scene.values()
    response = await room.call("POST", f"/v1/spaces/{room.space}/end", room.host)
    assert response.status_code == 204
    since = ana.peer.said
    for _ in range(5):
        ana.peer.say()
    other = await room.guest("eve", room.token("eve"), cem.peer.manner)
    assert (await room.offer(other, "whep")).status_code in {404, 409, 410}
    for listener in (cem, dan):
        assert all(number <= since for number in listener.peer.numbers(ana.peer))
