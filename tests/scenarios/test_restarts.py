"""Either process may die; what was decided stands, and who speaks is heard."""

from collections.abc import Callable

import pytest

from tests.harness.processes import Palco
from tests.harness.room import Room, meanwhile, meet_all, silent_after
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live

MakePalco = Callable[..., Palco]


async def test_no_packet_is_missing_when_signalling_is_killed_and_started_again(make_palco: MakePalco) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        ana, ben = await room.speaker("ana"), await room.speaker("ben")
        listeners = [await room.listener(f"listener-{index}", sections=2) for index in range(3)]
        await meet_all([ana, ben], listeners)
        first = {speaker.identity: speaker.peer.said + 1 for speaker in (ana, ben)}
        async with ana.peer.speaking(), ben.peer.speaking():
            await meanwhile(palco.restart_signalling)
        for speaker in (ana, ben):
            last = speaker.peer.say()
            for listener in listeners:
                await listener.peer.hears(last)
                heard = [number for number in listener.peer.numbers(speaker.peer) if number >= first[speaker.identity]]
                assert heard == list(range(first[speaker.identity], last.number + 1))
        assert not any(listener.peer.ledger.breaks() for listener in listeners)


async def test_signalling_takes_up_again_what_it_decided_before_it_died(make_palco: MakePalco) -> None:
    """Mutes stand, sessions are known by their old URL and ETag, and the host may go on moderating."""
    palco = make_palco()
    async with Room(palco) as room:
        ana, ben = await room.speaker("ana"), await room.speaker("ben")
        cem = await room.listener("cem", sections=2)
        await meet_all([ana, ben], [cem])
        await room.must("mute", "ana")
        since = ana.peer.said
        await meanwhile(palco.restart_signalling)
        await silent_after(ana, [cem], witness=ben, since=since)
        roster = await room.participants()
        assert roster["ana"]["is_muted"]
        assert roster["ben"]["is_connected"]
        await room.must("unmute", "ana")
        await cem.peer.hears(ana.peer.say())
        await room.restart_ice(ben)
        await room.must("mute", "ben")
        await silent_after(ben, [cem], witness=ana, since=ben.peer.said)
        await room.leave(cem)


async def test_a_removed_participant_stays_out_after_signalling_and_after_everything_restarts(
    make_palco: MakePalco,
) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        ana, ben = await room.speaker("ana"), await room.listener("ben")
        await meet(ana.peer, ben.peer)
        await room.must("remove", "ana")
        await room.must("block", "ben")
        for restart in (palco.restart_signalling, palco.restart):
            await meanwhile(restart)
            await room.open()
            for guest, kind, code in ((ana, "whip", "removed"), (ben, "whep", "blocked")):
                back = await room.guest(guest.identity, guest.token, guest.peer.manner)
                response = await room.offer(back, "whip" if kind == "whip" else "whep")
                assert (response.status_code, response.json()["code"]) == (403, code)
        fresh = await room.speaker("ana")
        listener = await room.listener("cem")
        await meet(fresh.peer, listener.peer)


async def test_after_the_sfu_was_killed_new_sessions_are_heard_and_the_muted_stay_muted(make_palco: MakePalco) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        ana, bob = await room.speaker("ana"), await room.listener("bob")
        await meet(ana.peer, bob.peer)
        await room.must("mute", "ana")
        await meanwhile(palco.restart_sfu)
        again, ben = await room.speaker("ana"), await room.speaker("ben")
        cem = await room.listener("cem", sections=2)
        await meet(ben.peer, cem.peer)
        await silent_after(again, [cem], witness=ben, since=0)
        await room.must("unmute", "ana")
        await cem.peer.hears(again.peer.say())


async def test_while_the_sfu_is_away_signalling_says_so_and_recovers(make_palco: MakePalco) -> None:
    palco = make_palco()
    async with Room(palco) as room:
        palco.sfu.kill()
        guest = await room.guest("ana", room.token("ana"), Manner(sections=["recvonly"]))
        response = await room.offer(guest, "whep")
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        palco.sfu.start()
        await meanwhile(palco.await_ready)
        await room.join(guest, "whep")
