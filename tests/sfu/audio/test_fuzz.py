"""A mixer under fire: packets of every hostile kind, as many as there is time for.

A fixed number of seeded rounds, or `PALCO_FUZZ_SECONDS` of fresh ones (`make fuzz`); what fails says its seed. The live
test does the same to a real mixer process through its tap.
"""

import asyncio
import contextlib
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sfu.audio import packets
from sfu.audio.contract import Settings, Sound, Taps
from tests.sfu.audio import hostile
from tests.sfu.audio.studio import FRAME_S, Delivery, Network, Speaker, encode, make_mixer, run, voice
from tests.sfu.audio.test_supervisor import Sfu

SECONDS = float(os.environ.get("PALCO_FUZZ_SECONDS", "0"))
ROUNDS = 12
ROUND_S = 1.5
STRANGERS = (66, 67, 68)

pytestmark = pytest.mark.timeout(2 * SECONDS + 120)


def seeds() -> Iterator[int]:
    """The same few, or fresh ones until time is up."""
    if not SECONDS:
        yield from range(ROUNDS)
        return
    until_s = time.monotonic() + SECONDS
    while time.monotonic() < until_s:
        yield random.randrange(1 << 48)


def attack(chance: random.Random, ssrc: int) -> Iterator[Delivery]:
    """Between none and a flood of packets for each frame."""
    number = chance.randrange(1 << 16)
    for frame in range(round(ROUND_S / FRAME_S)):
        for _ in range(chance.choice([0, 1, 1, 1, 2, 20])):
            number += 1
            payload = hostile.redundant(chance) if chance.random() < 0.3 else hostile.any_kind(chance)
            sent = hostile.datagram(chance, payload, ssrc=ssrc, number=number)
            yield Delivery((frame + chance.random()) * FRAME_S, sent)


def test_whatever_comes_every_frame_goes_out_as_a_legal_packet() -> None:
    honest = encode(voice(0)[24_000 : 24_000 + round(ROUND_S * 48_000)])
    for seed in seeds():
        chance = random.Random(seed)
        speaker = Speaker(ssrc=1, payloads=honest)
        channels = chance.choice([1, 2])
        settings = Settings(sound=Sound(channels=channels), is_levelled=chance.random() < 0.5)  # type: ignore[arg-type]
        mixer = make_mixer([speaker], settings, programs=2)
        for ssrc in STRANGERS:
            mixer.add_voice(ssrc, is_open=True, red_payload_type=hostile.RED_PAYLOAD_TYPE)
        deliveries = [each for ssrc in STRANGERS for each in attack(chance, ssrc)]
        with np.errstate(all="ignore"):
            broadcast = run(mixer, [*Network().deliver(speaker.send()), *deliveries], seconds=ROUND_S)
        totals = mixer.totals()
        assert totals.packets_in > 0.9 * len(honest), f"seed {seed}"
        assert totals.malformed > 0, f"seed {seed}"
        assert all(packets.parse(packet.payload) for _, packet in broadcast.sent), f"seed {seed}"
        heard = broadcast.listen(seconds=ROUND_S)
        assert np.isfinite(heard).all(), f"seed {seed}"
        # Somebody speaks throughout, so from the first syllable on there is a packet for every frame.
        times = sorted({at_s for at_s, _ in broadcast.of(1000)})
        assert max(np.diff(times[5:])) < 1.5 * FRAME_S, f"seed {seed}"


@pytest.mark.live
async def test_a_mixer_process_outlives_it_and_its_spaces_go_on(tmp_path: Path) -> None:
    sfu = Sfu(tmp_path, processes=1)
    try:
        taps = {space: sfu.open(space) for space in ("attacked", "town")}
        for space in taps:
            sfu.supervisor.set_voice(space, 1, is_open=True)
        for ssrc in STRANGERS:
            sfu.supervisor.set_voice("attacked", ssrc, is_open=True, red_payload_type=hostile.RED_PAYLOAD_TYPE)
        for space in taps:
            await sfu.until("mixed", space)
        pids = dict(sfu.supervisor.pids)
        seconds = SECONDS or 4.0
        honest = encode(voice(0))
        speaker = Speaker(ssrc=1, payloads=honest * (1 + int((seconds + 4) / 6)))
        async with asyncio.TaskGroup() as group:
            for tap in taps.values():
                group.create_task(sfu.speak(tap, speaker, seconds=seconds + 3.0))
            group.create_task(_attack(taps["attacked"], seconds))
            await asyncio.sleep(seconds)
            for ssrc in STRANGERS:
                sfu.supervisor.remove_voice("attacked", ssrc)
            before = {space: len(heard) for space, heard in sfu.heard.items()}
        assert dict(sfu.supervisor.pids) == pids
        for space, count in before.items():
            # Alone again, the honest voice's own packets pass in both.
            assert [packet for packet in sfu.heard[space][count:] if packet.payload in honest], space
    finally:
        await sfu.close()


async def _attack(taps: Taps, seconds: float) -> None:
    """As much as the tap takes."""
    chance = random.Random(time.time_ns() if SECONDS else 1)
    number, until_s = 0, time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as tap:
        while time.monotonic() < until_s:
            for ssrc in STRANGERS:
                number += 1
                payload = hostile.redundant(chance) if chance.random() < 0.3 else hostile.any_kind(chance)
                with contextlib.suppress(BlockingIOError):
                    tap.sendto(hostile.datagram(chance, payload, ssrc=ssrc, number=number // 3), taps.mixer)
            await asyncio.sleep(0.002)
