"""The limiter: nothing above the ceiling, nothing touched below it, no step in the gain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.audio.limiter import CEILING, FRAME, LOOKAHEAD, Limiter
from tests.sfu.audio.studio import Samples, clicks, tone


def limit(sound: Samples, channels: int = 1) -> Samples:
    limiter = Limiter(channels)
    size, ahead = FRAME * channels, LOOKAHEAD * channels
    frames = [
        limiter.on_frame(sound[at : at + size + ahead].copy()).copy()
        for at in range(0, len(sound) - size - ahead + 1, size)
    ]
    return np.concatenate(frames)


def test_what_is_not_too_loud_is_not_touched() -> None:
    sound = tone(440, 1.0, amplitude=0.88)
    limited = limit(sound)
    assert (limited == sound[: len(limited)]).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1 << 30), st.floats(0.5, 8.0))
def test_nothing_ever_exceeds_the_ceiling(seed: int, loudest: float) -> None:
    """Noise with sudden bursts; foreseen, for every voice was there in the look ahead."""
    random = np.random.default_rng(seed)
    envelope = np.repeat(random.choice([0.1, 1.0, loudest], 200), 240)
    sound = (random.uniform(-1, 1, len(envelope)) * envelope).astype(np.float32)
    assert np.abs(limit(sound)).max() <= CEILING + 1e-5


def test_a_loud_tone_is_turned_down_not_bent() -> None:
    limited = limit(tone(440, 1.0, amplitude=2.0))
    assert clicks(limited) == []
    spectrum = np.abs(np.fft.rfft(limited[9600:] * np.hanning(len(limited) - 9600)))
    harmonics = spectrum[np.arange(2, 8) * round(440 * (len(limited) - 9600) / 48_000)]
    # Clipping a sine at half its height makes a third harmonic of -14 dB; the limiter's ripple lies below -40 dB.
    assert harmonics.max() < 0.01 * spectrum.max()


def test_the_gain_comes_back_slowly() -> None:
    loud, soft = tone(440, 0.1, amplitude=2.0), tone(440, 2.0, amplitude=0.5)
    limited = limit(np.concatenate([loud, soft]))
    after = np.abs(limited[4800:].reshape(-1, 480)).max(axis=1) / 0.5
    assert after[1] < 0.55
    assert after[-1] == pytest.approx(1.0, abs=0.01)
    assert (np.diff(after) < 0.03).all()


def test_both_channels_are_turned_down_alike() -> None:
    left, right = tone(440, 0.5, amplitude=2.0), tone(550, 0.5, amplitude=0.1)
    limited = limit(np.stack([left, right], axis=1).reshape(-1), channels=2)
    soft = right[: len(limited) // 2]
    gain = limited[1::2][np.abs(soft) > 0.01] / soft[np.abs(soft) > 0.01]
    assert np.median(gain) == pytest.approx(CEILING / 2, rel=0.05)


def test_what_is_not_a_number_never_reaches_the_encoder() -> None:
    limiter = Limiter(1)
    mix = tone(440, 0.025).copy()
    mix[100] = np.nan
    assert not limiter.on_frame(mix).any()


def test_a_voice_that_was_not_foreseen_is_cut_at_full_scale() -> None:
    limiter = Limiter(1)
    mix = np.full(FRAME + LOOKAHEAD, 3.0, np.float32)
    limiter.on_frame(np.zeros(FRAME + LOOKAHEAD, np.float32))
    assert np.abs(limiter.on_frame(mix)).max() <= 1.0
