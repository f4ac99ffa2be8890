"""`python -m benchmarks mix-quality`: what a listener of the mix hears, against what was said. Edge (reads files).

PESQ wideband (ITU-T P.862.2, from 1 to 4.64) between the source and what a listener's decoder gives, over the voices of
`tests/media`. No clock and no sockets: the mixer is a machine, and its network is simulated.

    plain    one encode and decode of the source at the same bitrate, no loss: the best that there is
    direct   the speaker's own packets over the same road to a plain decoder: what forwarding gives
    mix      what a listener of the mix hears

`passed`: one voice alone, whose own packets go through. `mixed`: the same voice in packets of 10 ms, which do not pass:
decoded and encoded again, what a second coding costs. Of several at once the reference is the sum of the sources; these
are measured without jitter, which shifts one against another.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import av
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.mixer_sources import FRAME, FRAME_S, RATE_HZ, Samples, decode, encode, find, make_opus, read_voices
from benchmarks.results import markdown
from sfu.audio import rtp
from sfu.audio.contract import Settings, Sound
from sfu.audio.mixer import Mixer
from sfu.audio.opus import Opus

PROGRAM = 1000

OPEN_S = 7.0
"""The microphone is open for so long before the first word, as on a stage: the jitter buffer has settled by then."""

Measure = Callable[[Samples, Samples], float]


@dataclass(frozen=True)
class Road:
    """From each speaker to the mixer: independent loss, exponential jitter."""

    name: str
    loss: float = 0.0
    jitter_s: float = 0.0
    has_copies: bool = False
    """Whether speakers send in-band FEC, as browsers do when they see loss."""


ROADS = (
    Road("no loss"),
    Road("jitter 8 ms", jitter_s=0.008),
    Road("10 % loss", loss=0.1, jitter_s=0.002),
    Road("10 % loss, in-band FEC", loss=0.1, jitter_s=0.002, has_copies=True),
)


class Score(Struct, frozen=True, kw_only=True):
    """Means over the voices, or of the one sum."""

    bitrate: int
    road: str
    speaking: str
    plain: float
    direct: float | None
    mix: float


def measure_all(bitrates: Sequence[int], measure: Measure) -> list[Score]:
    voices = read_voices()
    opus = make_opus()
    scores = []
    for bitrate, road in itertools.product(bitrates, ROADS):
        bench = Bench(bitrate, road, measure, opus)
        scores += [bench.alone(voices, is_passed=True), bench.alone(voices, is_passed=False)]
        if road.jitter_s <= 0.002:
            scores += [bench.together(voices[:2]), bench.together(voices)]
    return scores


@dataclass(frozen=True)
class Bench:
    bitrate: int
    road: Road
    measure: Measure
    opus: Opus

    def alone(self, voices: list[Samples], *, is_passed: bool) -> Score:
        frame = FRAME if is_passed else FRAME // 2
        rows = [
            (self._plain(voice), self._direct(voice), self._score(voice, self.hear([voice], frame=frame)))
            for voice in voices
        ]
        plain, direct, mix = np.mean(rows, axis=0).tolist()
        return self._row("one, passed" if is_passed else "one, mixed", plain, direct, mix)

    def together(self, voices: list[Samples]) -> Score:
        size = min(map(len, voices))
        each = [voice[:size] / np.float32(len(voices)) for voice in voices]
        total: Samples = np.sum(each, axis=0, dtype=np.float32)
        names = {2: "two at once", 4: "four at once"}
        return self._row(names[len(voices)], self._plain(total), None, self._score(total, self.hear(each, frame=FRAME)))

    def _row(self, speaking: str, plain: float, direct: float | None, mix: float) -> Score:
        road = self.road.name
        return Score(bitrate=self.bitrate, road=road, speaking=speaking, plain=plain, direct=direct, mix=mix)

    def _plain(self, source: Samples) -> float:
        packets = encode(source, Sound(bitrate=self.bitrate), opus=self.opus)
        return self._score(source, decode(packets, opus=self.opus))

    def _direct(self, source: Samples) -> float:
        packets = encode(source, self._said(), opus=self.opus)
        chance = _chance(1)
        arrived = [packet if _road(chance, self.road)[0] else None for packet in packets]
        return self._score(source, decode(arrived, opus=self.opus))

    def hear(self, voices: list[Samples], *, frame: int) -> Samples:
        """What a listener decodes, from the mix's first packet on."""
        mixer = Mixer(Settings(sound=Sound(bitrate=self.bitrate), is_levelled=False), opus=self.opus)
        mixer.add_program(PROGRAM, without=None)
        arrivals: list[tuple[float, bytes]] = []
        lead = np.zeros(round(OPEN_S * RATE_HZ), np.float32)
        for ssrc, voice in enumerate(voices, 1):
            mixer.add_voice(ssrc, is_open=True)
            payloads = encode(np.concatenate([lead, voice]), self._said(), opus=self.opus, frame=frame)
            arrivals += _arrivals(ssrc, payloads, self.road, frame=frame)
        arrivals.sort()
        sent: list[bytes] = []
        at = 0
        for number in range(round((OPEN_S + len(voices[0]) / RATE_HZ) / FRAME_S) + 20):
            while at < len(arrivals) and arrivals[at][0] <= number * FRAME_S:
                mixer.on_datagram(arrivals[at][1], arrivals[at][0])
                at += 1
            sent += mixer.on_frame(number * FRAME_S)
        return _decode(sent, self.opus)

    def _said(self) -> Sound:
        loss = 10 if self.road.has_copies else 0
        return Sound(bitrate=self.bitrate, application="voip", expected_loss_percent=loss)

    def _score(self, source: Samples, heard: Samples) -> float:
        """After laying the one upon the other. The first syllables are left out: the mix begins when it hears them."""
        start = RATE_HZ // 2
        lag = find(source[start : 3 * RATE_HZ], heard) - start
        size = min(len(source), len(heard) - lag) - start
        return self.measure(source[start : start + size], heard[start + lag : start + lag + size])


def _chance(ssrc: int) -> random.Random:
    return random.Random(ssrc)


def _road(chance: random.Random, road: Road) -> tuple[bool, float]:
    """Whether a packet arrives, and how late; the same draws for the same packet, whatever becomes of it."""
    late_s = chance.expovariate(1 / road.jitter_s) if road.jitter_s else 0.0
    return chance.random() >= road.loss, late_s


def _arrivals(ssrc: int, payloads: list[bytes], road: Road, *, frame: int) -> list[tuple[float, bytes]]:
    chance = _chance(ssrc)
    open_packets = round(OPEN_S * RATE_HZ) // frame
    found = []
    for place, payload in enumerate(payloads):
        # The road is that of the speech alone, so that direct and mixed lose the same packets.
        arrives, late_s = (True, 0.0) if place < open_packets else _road(chance, road)
        packet = rtp.Packet(111, place & 0xFFFF, place * frame, ssrc, payload)
        if arrives:
            found.append((place * frame / RATE_HZ + 0.010 + late_s, rtp.build(packet, is_first=False)))
    return found


def _decode(datagrams: list[bytes], opus: Opus) -> Samples:
    packets = [packet for datagram in datagrams if (packet := rtp.parse(datagram)) is not None]
    payloads: list[bytes | None] = [packets[0].payload]
    for before, packet in itertools.pairwise(packets):
        payloads += [None] * ((packet.sequence - before.sequence - 1) & 0xFFFF)
        payloads.append(packet.payload)
    return decode(payloads, opus=opus)


def pesq_wideband(source: Samples, heard: Samples) -> float:
    from pesq import pesq  # noqa: PLC0415  (of the `bench` extra)

    return float(pesq(16_000, _at_16_khz(source), _at_16_khz(heard), "wb"))


def _at_16_khz(sound: Samples) -> NDArray[np.int16]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = RATE_HZ
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([out.to_ndarray()[0] for out in frames]).astype(np.int16)


def table(scores: Sequence[Score]) -> str:
    rows = [
        (
            f"{score.bitrate // 1000} kbit/s",
            score.road,
            score.speaking,
            f"{score.plain:.2f}",
            "–" if score.direct is None else f"{score.direct:.2f}",
            f"{score.mix:.2f}",
        )
        for score in scores
    ]
    return markdown(("bitrate", "road", "speaking", "plain", "direct", "mix"), rows)
