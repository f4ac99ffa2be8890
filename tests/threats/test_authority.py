"""T24 to T26: who says so is who holds the connection, and a mute is not the muted one's to lift."""

import pytest

from tests.harness.room import LISTENER, SPEAKER, Room, meet_all, silent_after
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live


async def test_t24_self_unmute_by_no_way_at_all(room: Room) -> None:
    """Asking, a new session, an ICE restart, a new address, other SSRCs, the stage session: silent all the same."""
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    cem = await room.listener("cem", sections=3)
    await meet_all([ana, ben], [cem])
    await room.must("mute", "ana")
    since = ana.peer.said
    path = f"/v1/spaces/{room.space}/participants/ana"
    for method, where, body in (
        ("POST", f"{path}/unmute", None),
        ("POST", f"{path}/unmute", {"is_muted": False}),
        ("PATCH", path, {"is_muted": False}),
        ("POST", f"{path}/promote", {"role": "speaker"}),
        ("POST", f"/v1/spaces/{room.space}/mute-all", None),
    ):
        response = await room.call(method, where, ana.token, json=body)
        assert response.status_code in {400, 403, 404, 405}, (method, where, response.text)
    await silent_after(ana, [cem], witness=ben, since=since)
    await room.restart_ice(ana)
    await ana.peer.check(nominates=True)
    await ana.peer.move()
    await silent_after(ana, [cem], witness=ben, since=since)
    for again in (await room.speaker("ana"), await room.stage_guest("ana", grants=SPEAKER)):
        await silent_after(again, [cem], witness=ben, since=0)


async def test_t25_identity_is_the_tokens_and_never_the_messages(room: Room) -> None:
    await room.speaker("ana")
    listener = await room.listener("mallory")
    host = room.host_identity
    claims = {"identity": host, "sub": host, "role": "host", "sender": host}
    spoofs = {"X-Identity": host, "X-Forwarded-User": host, "Cookie": f"token={room.host}"}
    path = f"/v1/spaces/{room.space}/participants/ana/mute"
    for body in (claims, {}, None):
        response = await room.call("POST", path, listener.token, json=body, headers=spoofs)
        assert response.status_code in {400, 403}, response.text
    assert not (await room.participants())["ana"]["is_muted"]


async def test_t25_identity_a_member_named_twice_is_refused(room: Room) -> None:
    """JSA-2023-0001: two readers of one object saw two different senders."""
    await room.stage_guest("ana", grants=LISTENER)
    path = f"/v1/spaces/{room.space}/participants/ana/promote"
    for body in ('{"role": "speaker", "role": "cohost"}', '{"role": "cohost", "r\\u006fle": "speaker"}'):
        headers = {"Content-Type": "application/json"}
        response = await room.call("POST", path, room.host, content=body, headers=headers)
        assert response.status_code == 400, response.text
    assert (await room.participants()).get("ana", {"role": "listener"})["role"] == "listener"


async def test_t26_duplicate_identity_without_the_grant_displaces_nobody(room: Room) -> None:
    """livekit#4620. The same name in a token that may only listen gets no further than that token."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    listening_token = room.token("ana", **LISTENER)
    stranger = await room.guest("ana", listening_token, Manner(sections=["sendonly"]))
    assert (await room.offer(stranger, "whip")).status_code in {201, 403}
    await bob.peer.hears(ana.peer.say())
    ears = await room.guest("ana", listening_token, Manner(sections=["recvonly"]))
    await room.join(ears, "whep")
    await bob.peer.hears(ana.peer.say())
    await room.leave(ears)
    await bob.peer.hears(ana.peer.say())


async def test_t26_duplicate_identity_in_another_space_is_another_person(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    async with Room(room.palco) as other:
        await other.speaker("ana")
        await other.must("mute", "ana")
        await other.must("remove", "ana")
    await bob.peer.hears(ana.peer.say())
