"""`python -m benchmarks.mixer_quality`: what a listener of the mix hears, against what was said. Edge (reads files).

PESQ wideband (ITU-T P.862.2; `pip install pesq`, which wants a C compiler), 1 to 4.64, between the source and what a
listener's decoder gives. No clock and no sockets: the mixer is a machine, and its network is simulated.

    plain     one encode and decode of the source at the mix's bitrate: the best that there is
    passed    one voice alone: its own packets
    mixed     the same voice in packets of 10 ms, which do not pass: decoded, encoded again: what a second coding costs
    two, four as many at once, against the sum of the sources; without jitter, which would shift one against another
"""

import argparse
import itertools
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.mixer_sources import FRAME, FRAME_S, RATE_HZ, Samples, decode, encode, find, make_opus, read_voices
from sfu.audio import rtp
from sfu.audio.contract import Settings, Sound
from sfu.audio.mixer import Mixer
from sfu.audio.opus import Opus

PROGRAM = 1000

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


def hear(voices: list[Samples], road: Road, *, bitrate: int, is_forced: bool, opus: Opus) -> Samples:
    """What a listener decodes, from the mix's first packet on."""
    settings = Sound(bitrate=bitrate, application="voip", expected_loss_percent=10 if road.has_copies else 0)
    mixer = Mixer(Settings(sound=Sound(bitrate=bitrate), is_levelled=False), opus=opus)
    mixer.add_program(PROGRAM, without=None)
    arrivals: list[tuple[float, bytes]] = []
    frame = FRAME // 2 if is_forced else FRAME
    for ssrc, voice in enumerate(voices, 1):
        mixer.add_voice(ssrc, is_open=True)
        arrivals += _arrivals(ssrc, encode(voice, settings, opus=opus, frame=frame), road, frame=frame)
    arrivals.sort()
    sent: list[bytes] = []
    at = 0
    for number in range(len(voices[0]) // FRAME + 20):
        while at < len(arrivals) and arrivals[at][0] <= number * FRAME_S:
            mixer.on_datagram(arrivals[at][1], arrivals[at][0])
            at += 1
        sent += mixer.on_frame(number * FRAME_S)
    return _decode(sent, opus)


def _arrivals(ssrc: int, payloads: list[bytes], road: Road, *, frame: int) -> list[tuple[float, bytes]]:
    chance = random.Random(ssrc)
    found = []
    for place, payload in enumerate(payloads):
        late_s = chance.expovariate(1 / road.jitter_s) if road.jitter_s else 0.0
        packet = rtp.Packet(111, place & 0xFFFF, place * frame, ssrc, payload)
        if chance.random() >= road.loss:
            found.append((place * frame / RATE_HZ + 0.010 + late_s, rtp.build(packet, is_first=False)))
    return found


def _decode(datagrams: list[bytes], opus: Opus) -> Samples:
    packets = [packet for datagram in datagrams if (packet := rtp.parse(datagram)) is not None]
    payloads: list[bytes | None] = [packets[0].payload]
    for before, packet in itertools.pairwise(packets):
        payloads += [None] * ((packet.sequence - before.sequence - 1) & 0xFFFF)
        payloads.append(packet.payload)
    return decode(payloads, opus=opus)


def score(source: Samples, heard: Samples, measure: Measure) -> float:
    """After laying the one upon the other. The first syllables are left out: the mix begins when it hears them."""
    start = 24_000
    lag = find(source[start : 3 * 48_000], heard) - start
    size = min(len(source), len(heard) - lag) - start
    return measure(source[start : start + size], heard[start + lag : start + lag + size])


def pesq_wideband(source: Samples, heard: Samples) -> float:
    from pesq import pesq  # type: ignore[import-not-found]  # noqa: PLC0415 - optional

    return float(pesq(16_000, _at_16_khz(source), _at_16_khz(heard), "wb"))


def _at_16_khz(sound: Samples) -> NDArray[np.int16]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
    samples = (np.clip(sound, -1, 1) * 32767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = 48_000
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([out.to_ndarray()[0] for out in frames]).astype(np.int16)


def table(bitrates: list[int], measure: Measure) -> str:
    opus = make_opus()
    voices = read_voices()
    size = min(map(len, voices))
    crowds = (voices[:2], voices)
    lines = ["| bitrate | road | plain | passed | mixed | two: plain, ours | four: plain, ours |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for bitrate, road in itertools.product(bitrates, ROADS):
        sound = Sound(bitrate=bitrate)

        def mean(is_forced: bool, bitrate: int = bitrate, road: Road = road) -> float:
            heard = [hear([voice], road, bitrate=bitrate, is_forced=is_forced, opus=opus) for voice in voices]
            return float(np.mean([score(voice, each, measure) for voice, each in zip(voices, heard, strict=True)]))

        plain = np.mean([score(v, decode(encode(v, sound, opus=opus), opus=opus), measure) for v in voices])
        cells = [f"{plain:.2f}", f"{mean(is_forced=False):.2f}", f"{mean(is_forced=True):.2f}"]
        for crowd in () if road.jitter_s > 0.005 else crowds:
            each = [voice[:size] / np.float32(len(crowd)) for voice in crowd]
            total: Samples = np.sum(each, axis=0, dtype=np.float32)
            best = score(total, decode(encode(total, sound, opus=opus), opus=opus), measure)
            ours = score(total, hear(each, road, bitrate=bitrate, is_forced=False, opus=opus), measure)
            cells.append(f"{best:.2f}, {ours:.2f}")
        cells += ["-"] * (5 - len(cells))
        lines.append(f"| {bitrate // 1000} kbit/s | {road.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixer_quality", description="PESQ of the mix.")
    parser.add_argument("--bitrates", type=int, nargs="+", default=[32_000, 48_000, 64_000])
    arguments = parser.parse_args()
    try:
        print(table(arguments.bitrates, pesq_wideband))
    except ModuleNotFoundError as error:
        print(f"{error}; PESQ is not part of Palco's dependencies: pip install pesq", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
