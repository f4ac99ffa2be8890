"""Four people talking at once, over a bad network, against a reference mix made offline from what they said.

Their microphones are open for a while before the first word, as on a stage. By then each jitter buffer, cautious at
first, has settled unheard. Who speaks at once has the delay shortened by a frame in a later pause, each in one of his
own: against a reference that knows no such shift, the second in which it falls looks like another's speech.

The voices are synthesised (tests/media/README.md). `benchmarks/mixer_quality.py` measures the same by PESQ.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

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
OPEN_S = 7.0
"""A buffer's caution weighs less than one packet in a hundred after 273 packets, 5.5 s (`sfu.audio.arrivals`)."""

SETTINGS = Settings(is_levelled=False)


def said() -> list[Samples]:
    """Everybody from the start, and to the end."""
    size = round(6.5 * RATE_HZ)
    return [np.float32(0.5) * np.concatenate([voice(number), silence(1.0)])[:size] for number in range(4)]


def mix(sounds: list[Samples], network: Network) -> Samples:
    """What is heard from the first word on."""
    speakers = [
        Speaker(ssrc=number, payloads=encode(np.concatenate([silence(OPEN_S), sound])), starts_s=0.010)
        for number, sound in enumerate(sounds, 1)
    ]
    deliveries = [delivery for speaker in speakers for delivery in network.deliver(speaker.send())]
    seconds = OPEN_S + SECONDS
    heard = run(make_mixer(speakers, SETTINGS), deliveries, seconds=seconds).listen(seconds=seconds)
    return heard[round(OPEN_S * RATE_HZ) :]


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


TONES = ((440, 0.25, 100.0), (611, 0.1, -100.0))
"""Hz, amplitude, ppm."""

TEN_MINUTES_S = 600.0

SPEAKING = Sound(bitrate=32_000, application="voip", complexity=0)
"""The least complex encoders: what is looked at is time, not the codec."""


@pytest.fixture(scope="module")
def hums() -> Samples:
    speakers = [
        Speaker(
            ssrc=ssrc,
            payloads=encode(tone(hz, TEN_MINUTES_S, amplitude), settings=SPEAKING),
            drift_ppm=ppm,
            starts_s=0.004 * ssrc,
        )
        for ssrc, (hz, amplitude, ppm) in enumerate(TONES, 1)
    ]
    mixer = make_mixer(speakers, Settings(is_levelled=False, sound=Sound(complexity=0)))
    deliveries = [delivery for speaker in speakers for delivery in Network().deliver(speaker.send())]
    heard = run(mixer, deliveries, seconds=TEN_MINUTES_S - 1).listen(seconds=TEN_MINUTES_S - 1)
    totals = mixer.totals()
    assert totals.frames_mix > 29_500
    assert totals.lost == totals.late == totals.concealed_samples == 0
    return heard[2 * RATE_HZ :]


@pytest.mark.timeout(600)  # ten seconds by itself; a machine that does much else needs more
class TestTenMinutes:
    """Two speakers whose clocks are 200 ppm apart: 120 ms in ten minutes, six frames to gain or lose between them.

    Both hum without a pause, the worst case: in speech a correction would hide between two words. A tone shows any
    correction as what it is. Their frequencies are such that a frame left out or put in turns the phase by 0.8 or 0.2
    of a circle, and a sound stretched by 4 samples in 960 is 0.42 % off its pitch, 7 cents.
    """

    def pieces(self, heard: Samples, which: int) -> NDArray[np.complex128]:
        """One tone in pieces of 100 ms: its amplitude, and its phase against a tone of the nominal frequency."""
        frequency_hz, *_ = TONES[which]
        size = RATE_HZ // 10
        pieces = heard[: len(heard) // size * size].reshape(-1, size)
        window = 2 * np.hanning(size)
        wave = np.exp(-2j * np.pi * frequency_hz * np.arange(size) / RATE_HZ) * window
        begins = np.exp(-2j * np.pi * (frequency_hz * 0.1 % 1) * np.arange(len(pieces)))
        found: NDArray[np.complex128] = 2 * (pieces @ wave) / size * begins
        return found

    @pytest.mark.parametrize("which", [0, 1])
    def test_the_delay_does_not_grow(self, hums: Samples, which: int) -> None:
        """What is heard at t was spoken at (1 + drift) (t - delay): the phase tells the delay, but for a constant."""
        frequency_hz, _, ppm = TONES[which]
        turned = np.unwrap(np.angle(self.pieces(hums, which))) / (2 * np.pi * frequency_hz)
        delays_s = ppm * 1e-6 * 0.1 * np.arange(len(turned)) - turned
        # Between a delay too short by 3 ms and one too long by a frame and 20 ms (`STRETCH_BELOW_S`, `STRETCH_FROM_S`),
        # and one packet more that is read before the stretching begins.
        assert np.ptp(delays_s) < 0.003 + 0.040 + 0.020
        # By their clocks alone it would have grown, or shrunk, by 60 ms.
        assert abs(np.mean(delays_s[-600:]) - np.mean(delays_s[:600])) < 0.030

    def test_no_correction_clicks(self, hums: Samples) -> None:
        assert clicks(hums) == []

    @pytest.mark.parametrize("which", [0, 1])
    def test_no_correction_is_heard_in_pitch_or_level(self, hums: Samples, which: int) -> None:
        """Pitch within 0.6 %, 10 cents; level within 1 dB."""
        frequency_hz, *_ = TONES[which]
        found = self.pieces(hums, which)
        turned = np.angle(found[1:] / found[:-1]) / (2 * np.pi)
        assert np.abs(turned).max() / (frequency_hz * 0.1) < 0.006
        level_db = 20 * np.log10(np.abs(found))
        assert np.abs(level_db - np.median(level_db)).max() < 1.0
