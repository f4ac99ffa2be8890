"""A voice goes in by `palco publish` and comes out of three `palco listen`: the recordings carry the speech itself."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.harness import sound
from tests.harness.room import LISTENER, SPEAKER, Room, eventually

pytestmark = pytest.mark.live

SPEECH = Path(__file__).parents[1] / "media" / "speech.flac"

ALIKE = 0.8
"""c = 0.8 means a signal-to-noise ratio of c² / (1 - c²) = 1.8, or 2.5 dB, in the worst second. The encoder of aiortc
keeps 10 dB and more of speech (0.95); unrelated speech stays below 0.3, a hole of 200 ms in a second costs 0.1."""

TYPICAL = 0.9
"""6.3 dB, for the median second."""

WITHIN_S = 60.0


async def test_three_recordings_carry_the_speech_that_was_published(room: Room, tmp_path: Path) -> None:
    speech = sound.read_sound(SPEECH)
    recordings = [tmp_path / f"heard-{index}.wav" for index in range(3)]
    async with asyncio.timeout(WITHIN_S):
        listeners = [
            await palco("listen", "-o", recording, *at(room, recording.stem, LISTENER)) for recording in recordings
        ]
        await eventually(
            lambda: has_listeners(room, len(listeners)), what="three connected listeners", within_s=WITHIN_S
        )
        publisher = await palco("publish", SPEECH, *at(room, "ana", SPEAKER))
        assert await publisher.wait() == 0
        for listener in listeners:
            listener.terminate()
            await listener.wait()
    for recording in recordings:
        scores = sound.likeness(speech, sound.read_sound(recording))
        # All of the twelve seconds but the pauses between sentences; each is looked for in its own place.
        assert len(scores) >= 9
        assert min(scores) > ALIKE, scores
        assert sorted(scores)[len(scores) // 2] > TYPICAL, scores


async def palco(*arguments: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "signalling", *map(str, arguments))


def at(room: Room, identity: str, grants: dict[str, bool]) -> list[str]:
    token = room.token(identity, **grants)
    return ["--url", room.palco.url, "--space", room.space, "--token", token]


async def has_listeners(room: Room, count: int) -> bool:
    """Those who are connected; that is when their recordings have begun."""
    response = await room.call("GET", f"/v1/spaces/{room.space}", room.host)
    return bool(response.json()["counts"]["listeners"] == count)
