"""Long packets for those who only listen, end to end: what is heard is the same to the sample."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sfu.contract.messages import SessionConnected, SessionOpened
from tests.harness.sound import decode_opus, encode_opus, make_tone
from tests.harness.wire import Manner, WirePeer
from tests.sfu.live_sfu import LiveSfu, answer_of

pytestmark = pytest.mark.live


async def listen(sfu: LiveSfu, name: str, *, max_packet_ms: int | None) -> WirePeer:
    """A listener, whose packets go out from now on."""
    peer = await sfu.peer(name, Manner(sections=["recvonly"]))
    opened = await sfu.open(peer, "whep", max_packet_ms=max_packet_ms)
    assert isinstance(opened, SessionOpened), opened
    await peer.connect(answer_of(opened, peer))
    await sfu.signalling.hears(SessionConnected, session=f"session-of-{name}")
    return peer


async def test_three_packets_in_one_decode_to_what_they_do_apart(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path, spaces={"packet_ms": 60}) as sfu:
        ana = await sfu.join("ana", "whip")
        long = await listen(sfu, "ben", max_packet_ms=None)
        short = await listen(sfu, "eve", max_packet_ms=20)
        spoken = encode_opus(make_tone(440, 0.66))[:30]
        for payload in spoken:
            ana.say(payload=payload)
        await short.until(lambda: len(short.ledger.heard) == 30, what="30 packets of 20 ms")
        await long.until(lambda: len(long.ledger.heard) == 10, what="10 packets of 60 ms")

    assert [heard.packet.payload for heard in short.ledger.heard] == spoken
    steps = [
        (after.sequence - before.sequence, after.timestamp - before.timestamp)
        for before, after in pairwise(long.ledger.heard)
    ]
    assert steps == [(1, 60 * 48)] * 9
    together, apart = (decode_opus(heard.packet.payload for heard in peer.ledger.heard) for peer in (long, short))
    assert len(together) >= 29 * 960
    assert np.array_equal(together, apart)
