"""The reel and its stretching: nothing lost, nothing doubled, no step in the waveform."""

import ctypes

import numpy as np
import pytest

from sfu.audio.reel import FRAME, HISTORY, Reel
from sfu.audio.stretch import MARGIN, stretch
from tests.sfu.audio.studio import Samples, clicks, tone


def write(reel: Reel, sound: Samples) -> None:
    ctypes.memmove(reel.end_address(), sound.ctypes.data, sound.nbytes)
    reel.append(len(sound) // reel.channels)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_appended_passes_the_present_and_becomes_history(channels: int) -> None:
    reel = Reel(channels)
    sound = np.arange(5 * FRAME * channels, dtype=np.float32)
    seen = []
    for at in range(5):
        write(reel, sound[at * FRAME * channels : (at + 1) * FRAME * channels])
        seen.append(reel.view(0, FRAME).copy())
        reel.advance()
    assert (np.concatenate(seen) == sound).all()
    assert (reel.view(-HISTORY, 0) == sound[3 * FRAME * channels :]).all()
    assert reel.filled == 0


def test_clearing_leaves_silence() -> None:
    reel = Reel(1)
    write(reel, np.ones(FRAME, np.float32))
    reel.clear()
    assert reel.filled == 0
    assert not reel.view(-HISTORY, FRAME).any()


def test_two_pieces_folded_begin_as_the_first_and_end_as_the_second() -> None:
    reel = Reel(1)
    write(reel, np.full(FRAME, 1.0, np.float32))
    write(reel, np.full(FRAME, 3.0, np.float32))
    reel.fold(FRAME)
    folded = reel.view(0, FRAME)
    assert reel.filled == FRAME
    assert (folded[0], folded[-1]) == (1.0, 3.0)
    assert (np.diff(folded) >= 0).all()


@pytest.mark.parametrize("into", [956, 964])
def test_a_stretched_tone_is_the_tone_a_little_higher_or_lower(into: int) -> None:
    at = np.arange(-MARGIN, 960 + MARGIN)
    played = stretch(np.sin(0.1 * at).astype(np.float32), 960, into=into)
    expected = np.sin(0.1 * np.arange(into) * 960 / into)
    # 80 dB below, as the window promises.
    assert np.abs(played - expected).max() < 1e-4


@pytest.mark.parametrize("into", [956, 964])
def test_stretching_frame_by_frame_joins_without_a_click(into: int) -> None:
    reel = Reel(1)
    source = tone(1000, 2.0)
    heard = []
    for at in range(0, len(source) - FRAME, FRAME):
        write(reel, source[at : at + FRAME])
        if reel.filled >= 2 * FRAME:
            reel.stretch(FRAME, into)
        if reel.filled >= 2 * FRAME + 100:
            heard.append(reel.view(0, FRAME).copy())
            reel.advance()
    sound = np.concatenate(heard)
    assert clicks(sound[FRAME:]) == []
    # Not only no clicks: a sine between its neighbours, x[n-1] + x[n+1] = 2 cos(w) x[n], at the new frequency.
    w = 2 * np.pi * 1000 / 48_000 * 960 / into
    error = sound[:-2] + sound[2:] - 2 * np.cos(w) * sound[1:-1]
    assert np.abs(error[3 * FRAME : -FRAME]).max() < 1e-4


def test_stereo_is_stretched_channel_by_channel() -> None:
    at = np.arange(-MARGIN, 960 + MARGIN)
    left, right = np.sin(0.1 * at).astype(np.float32), np.cos(0.05 * at).astype(np.float32)
    both = stretch(np.stack([left, right], axis=1).reshape(-1), 960, into=964, channels=2)
    assert both[0::2] == pytest.approx(stretch(left, 960, into=964), abs=1e-6)
    assert both[1::2] == pytest.approx(stretch(right, 960, into=964), abs=1e-6)
