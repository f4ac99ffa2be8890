"""Four people talking at once, over a bad network, against a reference mix made offline from what they said.

The voices are synthesised (tests/media/README.md). `benchmarks/mixer_quality.py` measures the same by PESQ.
"""

import numpy as np
import pytest

from sfu.audio.contract import Settings, Sound
from tests.harness.sound import find, likeness
from tests.sfu.audio.studio import (
    RATE_HZ,
    Network,
    Samples,
    Speaker,
    clicks,
    decode,
    encode,
    make_mixer,
    run,
    silence,
    tone,
    voice,
)

SECONDS = 7.0
SETTINGS = Settings(is_levelled=False)


def said() -> list[Samples]:
    """Everybody from the start, and to the end."""
    size = round(6.5 * RATE_HZ)
    return [np.float32(0.5) * np.concatenate([voice(number), silence(1.0)])[:size] for number in range(4)]


def mix(sounds: list[Samples], network: Network) -> Samples:
    speakers = [Speaker(ssrc=number, payloads=encode(sound), starts_s=0.010) for number, sound in enumerate(sounds, 1)]
    deliveries = [delivery for speaker in speakers for delivery in network.deliver(speaker.send())]
    return run(make_mixer(speakers, SETTINGS), deliveries, seconds=SECONDS).listen(seconds=SECONDS)


def level_db(sound: Samples) -> float:
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2)))


@pytest.fixture(scope="module")
def sounds() -> list[Samples]:
    return said()


@pytest.fixture(scope="module")
def reference(sounds: list[Samples]) -> Samples:
    mixed: Samples = np.stack(sounds).sum(axis=0, dtype=np.float32)
    return mixed


@pytest.fixture(scope="module")
def plain(reference: Samples) -> Samples:
    """What one plain encode and decode at the mix's bitrate leaves of the reference."""
    return decode(encode(reference, settings=Sound()))


@pytest.fixture(scope="module")
def heard(sounds: list[Samples]) -> Samples:
    return mix(sounds, Network())


def test_the_mix_is_like_the_reference_almost_as_much_as_a_plain_encode_of_it(
    heard: Samples, reference: Samples, plain: Samples
) -> None:
    ours = likeness(reference.astype(np.float64), heard.astype(np.float64))
    best = likeness(reference.astype(np.float64), plain.astype(np.float64))
    # Every voice was encoded once before (32 kbit/s): as much noise again from there.
    assert len(ours) == len(best) >= 5
    for mixed, encoded in zip(ours, best, strict=True):
        assert mixed > 0.9
        assert mixed > encoded - 0.05


def test_its_level_is_that_of_the_reference(heard: Samples, reference: Samples) -> None:
    at, _ = find(reference[24_000:120_000].astype(float), heard.astype(float))
    lag = at - 24_000
    piece = slice(RATE_HZ, 5 * RATE_HZ)
    assert level_db(np.roll(heard, -lag)[piece]) == pytest.approx(level_db(reference[piece]), abs=0.5)


def test_all_voices_keep_their_time(heard: Samples, sounds: list[Samples]) -> None:
    """Spoken together, they are heard together: each lies in the mix where the first does."""
    places = [find(sound[24_000:200_000].astype(float), heard.astype(float))[0] - 24_000 for sound in sounds]
    assert max(places) - min(places) <= 5


def test_there_are_no_clicks_that_are_not_in_the_reference(heard: Samples, reference: Samples) -> None:
    assert clicks(reference) == []
    assert clicks(heard) == []


@pytest.mark.parametrize(
    ("network", "least"),
    [
        # Jitter with a mean of 8 ms: one packet in a hundred is concealed; the score stays that of speech in the clear.
        (Network(seed=1, jitter_s=0.008), 0.85),
        # One in twenty lost and concealed: as much of a second's energy is wrong, c = 0.9 x sqrt(1 - 2 x 0.05).
        (Network(seed=2, jitter_s=0.003, loss=0.05), 0.8),
    ],
)
def test_over_a_bad_network_it_is_still_the_same_speech(
    sounds: list[Samples], reference: Samples, network: Network, least: float
) -> None:
    heard = mix(sounds, network)
    assert np.median(likeness(reference.astype(np.float64), heard.astype(np.float64))) > least
    assert clicks(heard) == []


def test_two_clocks_that_differ_are_kept_together_without_a_click() -> None:
    """400 ppm apart, two steady tones: no pause in which a correction could hide. In 130 s each is due one of 20 ms."""
    seconds = 130.0
    speakers = [
        Speaker(ssrc=1, payloads=encode(tone(440, seconds)), drift_ppm=200.0),
        Speaker(ssrc=2, payloads=encode(tone(610, seconds, 0.1)), drift_ppm=-200.0, starts_s=0.004),
    ]
    mixer = make_mixer(speakers, SETTINGS)
    deliveries = [delivery for speaker in speakers for delivery in Network().deliver(speaker.send())]
    heard = run(mixer, deliveries, seconds=seconds - 1).listen(seconds=seconds - 1)
    assert mixer.totals().lost == mixer.totals().late == mixer.totals().concealed_samples == 0
    assert mixer.totals().frames_mix > 6400
    assert clicks(heard[RATE_HZ:]) == []
    # Both are there to the end, at their level: 1 s, in which a correction moves a tone by 0.4 %, is taken in pieces.
    for frequency_hz, amplitude in ((440, 0.25), (610, 0.1)):
        at = np.arange(4800) / RATE_HZ
        wave = np.exp(-2j * np.pi * frequency_hz * at)
        levels = [2 * abs(np.mean(heard[n : n + 4800] * wave)) for n in range(RATE_HZ, len(heard) - 4800, 4800)]
        assert min(levels) > 0.8 * amplitude
        assert max(levels) < 1.15 * amplitude
