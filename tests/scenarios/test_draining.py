"""Going out of service: nobody new comes in, who is in hears every packet, and the log has no false alarm."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from tests.harness.processes import STOP_S, Palco, poll
from tests.harness.room import Room, meanwhile, meet_all
from tests.harness.wire import WITHIN_S, Manner, meet

pytestmark = pytest.mark.live

MakePalco = Callable[..., Palco]
STAYS = "staying_while_the_sfu_drains"
LONG = {"deadline_s": 300, "reconnect_spread_s": 7}


def is_draining(palco: Palco) -> bool:
    answer = httpx2.get(f"{palco.url}/readyz", timeout=5)
    return answer.status_code == 503 and answer.json()["reasons"] == ["draining"]


def ends(palco: Palco) -> None:
    poll(lambda: not palco.sfu.is_running, what="the end of the sfu", within_s=STOP_S)


async def find(lines: AsyncIterator[str], wanted: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await anext(lines) != wanted:
            pass


def alarms(palco: Palco) -> list[str]:
    """What both processes called a warning or worse."""
    lines = [*palco.sfu.happenings(), *palco.signalling.happenings()]
    return [line["event"] for line in lines if line["level"] not in {"debug", "info"}]


async def test_a_drain_turns_newcomers_away_and_costs_those_who_stay_no_packet(make_palco: MakePalco) -> None:
    palco = make_palco(drain=LONG)
    async with Room(palco) as room:
        ana, ben = await room.speaker("ana"), await room.speaker("ben")
        listeners = [await room.listener(f"listener-{index}", sections=2) for index in range(3)]
        await meet_all([ana, ben], listeners)
        first = {speaker.identity: speaker.peer.said + 1 for speaker in (ana, ben)}
        async with ana.peer.speaking(), ben.peer.speaking():
            os.kill(palco.sfu.pid, signal.SIGTERM)
            await meanwhile(lambda: poll(lambda: is_draining(palco), what="/readyz saying so", within_s=STOP_S))
            late = await room.guest("late", room.token("late"), Manner(sections=["recvonly"]))
            refused = await room.offer(late, "whep")
            assert (refused.status_code, refused.json()["code"]) == (503, "draining")
            assert int(refused.headers["Retry-After"]) >= 1
            os.kill(palco.signalling.pid, signal.SIGTERM)  # it stays: somebody may have to be muted
            await meanwhile(
                lambda: poll(lambda: STAYS in palco.signalling.tail(), what="signalling's stay", within_s=STOP_S)
            )
            await room.must("mute", "ben")
            await room.must("unmute", "ben")
        for speaker in (ana, ben):
            last = speaker.peer.say()
            for listener in listeners:
                await listener.peer.hears(last)
        heard = [listeners[0].peer.numbers(ana.peer), listeners[2].peer.numbers(ana.peer)]
        expected = list(range(first["ana"], ana.peer.said + 1))
        assert [[number for number in numbers if number >= first["ana"]] for numbers in heard] == [expected] * 2
        for guest in (*listeners, ben, ana):
            await room.leave(guest)
        await meanwhile(lambda: ends(palco))
    poll(lambda: not palco.signalling.is_running, what="the end of signalling", within_s=STOP_S)
    assert alarms(palco) == []


async def test_who_watches_is_told_until_when_and_how_to_come_back(make_palco: MakePalco) -> None:
    palco = make_palco(drain=LONG)
    async with Room(palco) as room:
        bob = await room.listener("bob")
        ana = await room.speaker("ana")
        await meet(ana.peer, bob.peer)
        headers = {"Authorization": f"Bearer {room.host}"}
        async with room.http.stream("GET", f"/v1/spaces/{room.space}/events", headers=headers) as stream:
            lines = stream.aiter_lines()
            await find(lines, "event: snapshot")
            os.kill(palco.sfu.pid, signal.SIGTERM)
            await find(lines, "event: server.draining")
            told = json.loads((await anext(lines)).removeprefix("data: "))["data"]
        assert told["reconnect_within_s"] == LONG["reconnect_spread_s"]
        assert told["ends_at"].endswith("Z")
        os.kill(palco.sfu.pid, signal.SIGTERM)  # the second: at once
        await meanwhile(lambda: ends(palco))


async def test_the_deadline_ends_what_nobody_leaves(make_palco: MakePalco) -> None:
    palco = make_palco(drain={"deadline_s": 1})
    async with Room(palco) as room:
        ana, bob = await room.speaker("ana"), await room.listener("bob")
        await meet(ana.peer, bob.peer)
        os.kill(palco.sfu.pid, signal.SIGTERM)
        await meanwhile(lambda: ends(palco))
    assert palco.signalling.stop() == 0
    assert alarms(palco) == []


def test_signalling_alone_restarts_without_a_drain_and_without_an_alarm(make_palco: MakePalco) -> None:
    palco = make_palco(drain=LONG)
    assert palco.signalling.stop() == 0
    palco.signalling.start()
    palco.await_ready()
    assert alarms(palco) == []
    assert "signalling left; media goes on" in palco.sfu.tail()
