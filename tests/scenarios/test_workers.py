"""Two workers, two UDP ports, one space."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.harness.processes import Palco
from tests.harness.room import Room, meet_all, silent_after

pytestmark = pytest.mark.live


async def test_listeners_on_the_other_worker_hear_every_packet_and_mutes_hold_there(
    make_palco: Callable[..., Palco],
) -> None:
    palco = make_palco(workers=2)
    async with Room(palco) as room:
        speakers = [await room.speaker(f"speaker-{index}") for index in range(4)]
        listeners = [await room.listener(f"listener-{index}", sections=4) for index in range(4)]
        ports = {guest.peer.server[1] for guest in (*speakers, *listeners)}
        assert ports == set(palco.udp_ports), "one worker serves them all, so that this test would show nothing"
        await meet_all(speakers, listeners)
        first = [speaker.peer.said + 1 for speaker in speakers]
        async with AsyncExitStack() as talking:
            for speaker in speakers[1:]:
                await talking.enter_async_context(speaker.peer.speaking())
            await speakers[0].peer.talk(50)
        for speaker, start in zip(speakers, first, strict=True):
            last = speaker.peer.say()
            for listener in listeners:
                await listener.peer.hears(last)
                heard = [number for number in listener.peer.numbers(speaker.peer) if number >= start]
                assert heard == list(range(start, last.number + 1))
        await room.must("mute", "speaker-0")
        # A witness on the worker of the muted one, so that both take the same way to the other worker, in order.
        muted = speakers[0]
        witness = next(one for one in speakers[1:] if one.peer.server == muted.peer.server)
        await silent_after(muted, listeners, witness=witness, since=muted.peer.said)
        assert not any(listener.peer.ledger.breaks() for listener in listeners)
