"""Either process may die; what was decided stands, and who speaks is heard."""

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from functools import partial

import httpx2
import pytest

from tests.harness.processes import Palco
from tests.harness.room import Guest, Room, eventually, meanwhile, meet_all, silent_after
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live

MakePalco = Callable[..., Palco]


@contextlib.asynccontextmanager
async def talk(palco: Palco) -> AsyncIterator[tuple[Room, Guest, Guest, Guest]]:
    """A room in which ana and ben speak and cem hears both."""
    async with Room(palco) as room:
        ana, ben = await room.speaker("ana"), await room.speaker("ben")
        cem = await room.listener("cem", sections=2)
        await meet_all([ana, ben], [cem])
        yield room, ana, ben, cem


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
    async with talk(palco) as (room, ana, ben, cem):
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


@pytest.mark.parametrize("action", ["mute", "demote"])
async def test_a_restriction_in_force_before_it_was_written_outlives_the_death_of_signalling(
    make_palco: MakePalco, action: str
) -> None:
    """Somebody else holds the database, so signalling dies with its write still to come."""
    palco = make_palco()
    async with talk(palco) as (room, ana, ben, cem):
        with contextlib.closing(sqlite3.connect(palco.database, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            acting = asyncio.create_task(room.moderate(action, "ana"))
            await eventually(partial(_is_silent, ana, cem, witness=ben), what=f"the {action} at the packet")
            palco.signalling.kill()
            assert database.execute("SELECT count(*) FROM standings").fetchone() == (0,)
            database.execute("ROLLBACK")
        with pytest.raises(httpx2.TransportError):
            await acting
        since = ana.peer.said
        palco.signalling.start()
        await meanwhile(palco.await_ready)
        await silent_after(ana, [cem], witness=ben, since=since)
        roster = await room.participants()
        assert roster["ana"]["is_muted"] if action == "mute" else roster["ana"]["role"] == "listener"
        with contextlib.closing(sqlite3.connect(palco.database)) as database:
            kept = database.execute("SELECT is_muted, role FROM standings WHERE identity = 'ana'").fetchone()
        assert kept == ((1, None) if action == "mute" else (0, "listener"))


async def test_a_mute_that_was_written_and_not_yet_in_force_outlives_the_death_of_signalling(
    make_palco: MakePalco,
) -> None:
    palco = make_palco()
    async with talk(palco) as (room, ana, ben, cem):
        os.kill(palco.sfu.pid, signal.SIGSTOP)
        try:
            acting = asyncio.create_task(room.moderate("mute", "ana"))
            with contextlib.closing(sqlite3.connect(palco.database)) as database:
                kept = partial(_is_kept_muted, database, "ana")
                await eventually(kept, what="the mute in the store")
            palco.signalling.kill()
        finally:
            os.kill(palco.sfu.pid, signal.SIGCONT)
        with pytest.raises(httpx2.TransportError):
            await acting
        palco.signalling.start()
        await meanwhile(palco.await_ready)
        await silent_after(ana, [cem], witness=ben, since=ana.peer.said)
        assert (await room.participants())["ana"]["is_muted"]


async def _is_silent(speaker: Guest, listener: Guest, *, witness: Guest) -> bool:
    said = speaker.peer.say()
    await listener.peer.hears(witness.peer.say())
    return said.number not in listener.peer.numbers(speaker.peer)


async def _is_kept_muted(database: sqlite3.Connection, identity: str) -> bool:
    query = "SELECT is_muted FROM standings WHERE identity = ?"
    return bool(database.execute(query, (identity,)).fetchone() == (1,))


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
