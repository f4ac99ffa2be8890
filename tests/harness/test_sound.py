"""The measuring stick measures: same sound is alike, other sound, silence and holes are not."""

from pathlib import Path

import numpy as np
import pytest

from tests.harness import sound

SPEECH = Path(__file__).parents[1] / "media" / "speech.flac"


@pytest.fixture(scope="module")
def speech() -> sound.Samples:
    return sound.read_sound(SPEECH)


def test_speech_through_opus_and_a_delay_is_alike_in_every_second(speech: sound.Samples) -> None:
    heard = np.concatenate([np.zeros(31_234), sound.decode_opus(sound.encode_opus(speech)), np.zeros(5_000)])
    assert min(sound.likeness(speech, heard)) > 0.9


def test_the_same_speech_backwards_is_not_alike(speech: sound.Samples) -> None:
    assert max(sound.likeness(speech, speech[::-1])) < 0.5


def test_a_hole_of_a_fifth_of_a_second_shows(speech: sound.Samples) -> None:
    holed = speech.copy()
    holed[100_000:109_600] = 0
    assert min(sound.likeness(speech, holed)) < 0.97 < min(sound.likeness(speech, speech))


def test_speech_at_half_the_volume_is_as_alike(speech: sound.Samples) -> None:
    assert min(sound.likeness(speech, speech * 0.5)) > 0.99


def test_silence_is_not_alike(speech: sound.Samples) -> None:
    assert max(sound.likeness(speech, np.zeros_like(speech))) == 0


def test_a_tone_is_told_by_its_frequency_after_opus() -> None:
    heard = sound.decode_opus(sound.encode_opus(sound.make_tone(700, 1.0)))
    assert sound.peak_hz(heard[4_800:]) == pytest.approx(700, abs=2)
    assert sound.peak_hz(np.zeros(48_000)) == 0
