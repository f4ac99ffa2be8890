"""Two voices go in by `palco publish` and come out together of one `palco listen`, whose offer has a single section."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from sfu.audio.jitter import FRAME
from sfu.audio.voice import STRETCH
from tests.harness import sound
from tests.harness.room import LISTENER, SPEAKER, Room, eventually

pytestmark = pytest.mark.live

TONES_HZ = (440, 660)
WITHIN_S = 60.0

STRETCHED_BY_HZ = 1 + 660 * STRETCH / FRAME
"""A voice that a busy machine holds up is caught up with by stretching, which moves its tone; and one bin."""

MIXED_FRAMES = 150
"""Three seconds of both at once."""


async def test_a_standard_whep_listener_hears_two_speakers_at_once(room: Room, tmp_path: Path) -> None:
    recording = tmp_path / "heard.wav"
    response = await room.call("PATCH", f"/v1/spaces/{room.space}", room.host, json={"audience": "mix"})
    assert response.json()["audience"] == "mix"
    before = mixed_frames(room)
    async with asyncio.timeout(WITHIN_S):
        listener = await palco("listen", "-o", recording, *at(room, "lena", LISTENER))
        speakers = [await palco("publish", "--tone", hz, *at(room, f"tone-{hz}", SPEAKER)) for hz in TONES_HZ]
        await eventually(lambda: is_mixed(room, before + MIXED_FRAMES), what="three seconds of mix", within_s=WITHIN_S)
        listener.terminate()
        await listener.wait()
        for speaker in speakers:
            speaker.terminate()
            await speaker.wait()
    # The last second before the end: long after the mix has begun, and before anyone left.
    samples = sound.read_sound(recording)[-round(1.5 * sound.RATE_HZ) : -round(0.5 * sound.RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    loudest = np.argsort(spectrum)[::-1]
    peaks = {int(loudest[0]), next(int(bin_hz) for bin_hz in loudest if abs(bin_hz - loudest[0]) > 50)}
    assert all(any(abs(peak - tone) <= STRETCHED_BY_HZ for peak in peaks) for tone in TONES_HZ), peaks
    first, second = (spectrum[tone - 4 : tone + 5].max() for tone in TONES_HZ)
    assert 0.5 < first / second < 2


def mixed_frames(room: Room) -> float:
    return room.palco.sfu_metric("palco_sfu_mixer_frames_total", source="mix")


async def is_mixed(room: Room, frames: float) -> bool:
    return mixed_frames(room) >= frames


async def palco(*arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "signalling", *map(str, arguments))


def at(room: Room, identity: str, grants: dict[str, bool]) -> list[str]:
    token = room.token(identity, **grants)
    return ["--url", room.palco.url, "--space", room.space, "--token", token]
