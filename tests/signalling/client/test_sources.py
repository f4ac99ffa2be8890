"""Files of any kind become frames of 20 ms; what cannot be spoken is refused with a remedy."""

from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamError

from signalling.client.recording import Recording, RecordingError
from signalling.client.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ, level_dbov, tone
from signalling.client.sources import LEAD_OUT_FRAMES, FileTrack, SourceError, ToneTrack, read_frames


@pytest.fixture(params=["wav", "ogg", "opus"])
def sound_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Half a second of a tone."""
    path = tmp_path / f"tone.{request.param}"
    with Recording(path) as recording:
        recording.write(np.repeat(tone(440, start=0, count=24_000)[:, None], 2, axis=1))
    return path


def test_a_file_is_read_whole_in_frames_of_20_ms_and_silence_follows(sound_file: Path) -> None:
    frames = list(read_frames(str(sound_file)))
    assert {len(frame) for frame in frames} == {FRAME_SAMPLES}
    # 25 frames of sound; Opus adds its look-ahead of at most 312 samples (RFC 7845 §4.2), which may open one more.
    assert 25 <= len(frames) - LEAD_OUT_FRAMES <= 26
    assert all(level_dbov(frame) > -20 for frame in frames[2:24])
    assert all(level_dbov(frame) == -127 for frame in frames[-LEAD_OUT_FRAMES:])


async def test_a_looped_file_begins_again(sound_file: Path) -> None:
    track = FileTrack(str(sound_file), loop=True)
    once = len(list(read_frames(str(sound_file))))
    frames = [await track.next_samples() for _ in range(once + 5)]
    assert all(frame is not None for frame in frames)
    track.stop()


async def test_a_track_ends_with_its_file(sound_file: Path) -> None:
    track = FileTrack(str(sound_file))
    while await track.next_samples() is not None:
        pass
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert track.finished.is_set()
    assert track.readyState == "ended"


async def test_a_tone_of_a_given_length_ends() -> None:
    track = ToneTrack(440, duration_s=0.02)
    frame = await track.recv()
    assert (frame.pts, frame.samples, frame.sample_rate) == (0, FRAME_SAMPLES, SAMPLE_RATE_HZ)
    assert track.level_dbov == pytest.approx(-15, abs=1)
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match=r"There is no file nowhere\.wav"):
        FileTrack("nowhere.wav")


async def test_a_file_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.wav"
    path.write_text("no sound at all")
    with pytest.raises(SourceError, match="is no audio that PyAV can read"):
        FileTrack(str(path))


async def test_an_empty_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    with Recording(path) as recording:
        recording.write(np.zeros((0, 2), np.int16))
    with pytest.raises(SourceError, match="holds no sound"):
        FileTrack(str(path))


async def test_standard_input_is_not_spoken_twice() -> None:
    with pytest.raises(SourceError, match="twice"):
        FileTrack("-", loop=True)


def test_a_recording_needs_an_ending_that_says_its_format(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"use \.wav, \.ogg, \.opus"):
        Recording(tmp_path / "sound.xyz")


def test_a_recording_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be written"):
        Recording(tmp_path / "nowhere" / "sound.wav")
