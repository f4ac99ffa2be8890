"""Packets that no encoder makes: they cost their sender its place in the mix, and nobody else anything."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from sfu.audio import red, rtp
from sfu.audio.contract import Settings
from tests.harness.sound import find
from tests.sfu.audio.hostile import KINDS, Kind
from tests.sfu.audio.studio import (
    FRAME,
    FRAME_S,
    Delivery,
    Network,
    Speaker,
    decode,
    encode,
    make_mixer,
    run,
    voice,
)

SECONDS = 4.0


def attack(kind: Kind, *, seed: int, payload_type: int = 111) -> Iterator[Delivery]:
    """Fifty packets a second, in order or nearly, some with a timestamp from elsewhere."""
    chance = random.Random(seed)
    for number in range(round(SECONDS / FRAME_S)):
        wild = chance.random() < 0.05
        packet = rtp.Packet(
            payload_type=payload_type,
            sequence=chance.randrange(1 << 16) if wild else number & 0xFFFF,
            timestamp=chance.randrange(1 << 32) if wild else number * FRAME,
            ssrc=66,
            payload=kind(chance),
            level_dbov=chance.choice([None, -127, -20, 0]),
        )
        yield Delivery(number * FRAME_S + chance.random() * 0.01, rtp.build(packet, is_first=False))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("payload_type", [111, 63])
def test_an_honest_voice_beside_it_is_heard_all_the_same(kind: Kind, payload_type: int) -> None:
    honest = Speaker(ssrc=1, payloads=encode(voice(0)))
    mixer = make_mixer([honest], Settings(is_levelled=False), programs=2)
    mixer.add_voice(66, is_open=True, red_payload_type=63)
    mixer.add_program(1066, without=66)
    deliveries = [*Network().deliver(honest.send()), *attack(kind, seed=7, payload_type=payload_type)]
    with np.errstate(all="ignore"):
        broadcast = run(mixer, deliveries, seconds=SECONDS)
    assert mixer.totals().packets_in + mixer.totals().malformed > 190
    # In the program without the stranger there is nothing of it.
    heard = broadcast.listen(1066, seconds=SECONDS)
    own = decode(honest.payloads)[48_000:120_000].astype(float)
    assert find(own, heard.astype(float))[1] > 0.9
    # In the program of all there is: whatever it is, it is sound, and there is a packet for each frame.
    everything = broadcast.listen(1000, seconds=SECONDS)
    assert np.isfinite(everything).all()
    times = [at_s for at_s, _ in broadcast.of(1000) if 1.0 < at_s < 3.5]
    assert max(np.diff(times)) < 2.5 * FRAME_S


@pytest.mark.parametrize("seed", range(3))
def test_redundancy_that_lies_is_no_way_in(seed: int) -> None:
    chance = random.Random(seed)
    honest = Speaker(ssrc=1, payloads=encode(voice(0)))
    mixer = make_mixer([honest])
    mixer.add_voice(1, is_open=True, red_payload_type=63)
    deliveries = []
    for at, delivery in enumerate(Network().deliver(honest.send())):
        packet = rtp.parse(delivery.datagram)
        assert packet is not None
        blocks = [
            red.Block(111, chance.randrange(1, red.MAX_OFFSET), chance.randbytes(chance.randrange(1, 60)))
            for _ in range(chance.randrange(3))
        ]
        wrapped = red.build([*blocks, red.Block(111, 0, packet.payload)])
        if at % 7 == 0:
            wrapped = wrapped[: chance.randrange(1, len(wrapped))]
        altered = rtp.Packet(63, packet.sequence, packet.timestamp, 1, wrapped)
        deliveries.append(Delivery(delivery.at_s, rtp.build(altered, is_first=False)))
    with np.errstate(all="ignore"):
        broadcast = run(mixer, deliveries, seconds=SECONDS)
    assert len(broadcast.of()) > 120
