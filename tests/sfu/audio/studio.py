"""Speakers, a network and a listener for the mixer, with a hand-moved clock: no sockets, no waiting, seeded chance.

Sound is mono float32 at 48 kHz. The voices are synthesised; see `tests/media/README.md`.
"""

import functools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfu.audio import libopus, packets, rtp
from sfu.audio.contract import Settings, Sound
from sfu.audio.mixer import Mixer
from sfu.audio.opus import LOOKAHEAD, Meter, Opus
from tests.harness.sound import read_sound

Samples = NDArray[np.float32]

RATE_HZ = 48_000
FRAME = 960
FRAME_S = 0.020
LEVEL_ID = rtp.LEVEL_ID
VOICES = sorted((Path(__file__).parents[2] / "media" / "voices").glob("*.flac"))


@functools.cache
def opus() -> Opus:
    return Opus(libopus.load(), Meter(time.perf_counter))


@functools.cache
def voice(number: int) -> Samples:
    """One of four."""
    sound = read_sound(VOICES[number % len(VOICES)]).astype(np.float32)
    sound.flags.writeable = False
    return sound


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def tone(frequency_hz: float, seconds: float, amplitude: float = 0.25) -> Samples:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * frequency_hz * at)).astype(np.float32)


def encode(sound: Samples, *, frame: int = FRAME, settings: Sound | None = None) -> list[bytes]:
    """Packets whose decoding is `sound`, the encoder's lookahead taken off."""
    encoder = opus().make_encoder(settings or Sound(bitrate=32_000, application="voip"))
    padded = np.concatenate([sound, np.zeros(LOOKAHEAD + frame, np.float32)])[LOOKAHEAD:].copy()
    count = len(sound) // frame
    return [encoder.encode(padded.ctypes.data + 4 * frame * at, samples=frame) for at in range(count)]


def decode(payloads: Iterable[bytes | None], *, frame: int = FRAME) -> Samples:
    """What a decoder makes of them; None is one that never came."""
    decoder = opus().make_decoder(1)
    out = np.zeros(packets.MAX_PACKET_SAMPLES, np.float32)
    pieces = [np.zeros(0, np.float32)]
    for payload in payloads:
        if payload is None:
            written = decoder.conceal(out.ctypes.data, samples=frame, room=len(out))
        else:
            written = decoder.decode(payload, out.ctypes.data, room=len(out))
        pieces.append(out[:written].copy())
    return np.concatenate(pieces)


@dataclass(frozen=True)
class Delivery:
    at_s: float
    datagram: bytes


@dataclass(frozen=True, kw_only=True)
class Network:
    """`jitter_s` is the scale of an exponential delay; `spike` its chance to be ten times that; `loss` is
    independent."""

    seed: int = 0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicates: float = 0.0
    reorders: bool = True
    """Whether a packet may overtake another, as its jitter has it."""

    def deliver(self, sent: Iterable[tuple[float, bytes]]) -> list[Delivery]:
        chance = random.Random(self.seed)
        deliveries: list[Delivery] = []
        last_s = 0.0
        for at_s, datagram in sent:
            if chance.random() < self.loss:
                continue
            arrives_s = at_s + self.delay_s + (chance.expovariate(1 / self.jitter_s) if self.jitter_s else 0.0)
            if not self.reorders:
                arrives_s = last_s = max(last_s, arrives_s)
            deliveries.append(Delivery(arrives_s, datagram))
            if chance.random() < self.duplicates:
                deliveries.append(Delivery(arrives_s + 0.001, datagram))
        return sorted(deliveries, key=lambda delivery: delivery.at_s)


@dataclass(kw_only=True)
class Speaker:
    """Sends `payloads` one after another from `starts_s` on, by a clock that is `drift_ppm` fast."""

    ssrc: int
    payloads: Sequence[bytes]
    starts_s: float = 0.0
    drift_ppm: float = 0.0
    frame: int = FRAME
    sequence: int = 65_500
    timestamp: int = 0xFFFFF000
    levels_dbov: Sequence[int] | None = None
    payload_type: int = 111
    wrap: Callable[[int], bytes] | None = None
    """Makes another payload of the packet at this place (redundancy)."""
    is_sent: Callable[[bytes], bool] = field(default=lambda _: True)
    """False where the encoder's silence is not sent (DTX): the timestamps go on, the sequence numbers do not."""

    def send(self) -> Iterator[tuple[float, bytes]]:
        sequence = self.sequence
        for place, payload in enumerate(self.payloads):
            if not self.is_sent(payload):
                continue
            packet = rtp.Packet(
                payload_type=self.payload_type,
                sequence=sequence & 0xFFFF,
                timestamp=(self.timestamp + place * self.frame) & 0xFFFFFFFF,
                ssrc=self.ssrc,
                payload=payload if self.wrap is None else self.wrap(place),
                level_dbov=None if self.levels_dbov is None else self.levels_dbov[place],
            )
            sequence += 1
            # A packet leaves when its last sample was spoken.
            spoken_s = (place + 1) * self.frame / RATE_HZ / (1 + self.drift_ppm * 1e-6)
            yield self.starts_s + spoken_s, rtp.build(packet, is_first=place == 0)


def make_mixer(speakers: Iterable[Speaker], settings: Settings | None = None, *, programs: int = 1) -> Mixer:
    """With program 1000 for all, and 1000 + n without the n-th speaker."""
    speakers = list(speakers)
    mixer = Mixer(settings or Settings(), opus=opus())
    mixer.add_program(1000, without=None)
    for number in range(1, programs):
        mixer.add_program(1000 + number, without=speakers[number - 1].ssrc)
    for speaker in speakers:
        mixer.add_voice(speaker.ssrc, is_open=True)
    return mixer


@dataclass
class Broadcast:
    """What a mixer sent: (when, packet), in order."""

    sent: list[tuple[float, rtp.Packet]]

    def of(self, ssrc: int = 1000) -> list[tuple[float, rtp.Packet]]:
        return [(at_s, packet) for at_s, packet in self.sent if packet.ssrc == ssrc]

    def listen(self, ssrc: int = 1000, *, seconds: float) -> Samples:
        """What a listener hears who plays each packet where its timestamp says: silence where none was due, concealment
        where the sequence says that one is missing. Place 0 is timestamp 0, the beginning of the mix."""
        out = np.zeros(round(seconds * RATE_HZ) + packets.MAX_PACKET_SAMPLES, np.float32)
        piece = np.zeros(packets.MAX_PACKET_SAMPLES, np.float32)
        decoder = opus().make_decoder(1)
        last: rtp.Packet | None = None
        until = 0
        for _, packet in self.of(ssrc):
            lost = 0 if last is None else (packet.sequence - last.sequence - 1) & 0xFFFF
            for _ in range(lost):
                written = decoder.conceal(piece.ctypes.data, samples=FRAME, room=len(piece))
                out[until : until + written] = piece[:written]
                until += written
            written = decoder.decode(packet.payload, piece.ctypes.data, room=len(piece))
            if packet.timestamp + written > len(out):
                break
            out[packet.timestamp : packet.timestamp + written] = piece[:written]
            last, until = packet, packet.timestamp + written
        return out[: round(seconds * RATE_HZ)]


def run(
    mixer: Mixer,
    deliveries: Iterable[Delivery],
    *,
    seconds: float,
    on_frame: Callable[[int], None] | None = None,
    phase_s: float = 0.0,
) -> Broadcast:
    """Frames at `phase_s`, 20 ms later and so on; before each, what arrived until then."""
    waiting = sorted(deliveries, key=lambda delivery: delivery.at_s)
    sent: list[tuple[float, rtp.Packet]] = []
    at = 0
    for number in range(round(seconds / FRAME_S)):
        now_s = number * FRAME_S + phase_s
        while at < len(waiting) and waiting[at].at_s <= now_s:
            mixer.on_datagram(waiting[at].datagram, waiting[at].at_s)
            at += 1
        if on_frame is not None:
            on_frame(number)
        for datagram in mixer.on_frame(now_s):
            packet = rtp.parse(datagram)
            assert packet is not None
            sent.append((now_s, packet))
    return Broadcast(sent)


def clicks(sound: Samples, *, over: float = 8.0) -> list[int]:
    """Where a click is: the energy above 4 kHz in 1 ms exceeds `over` times the greater of the 20 ms before and after
    it.

    Speech has such bursts (a t, a k), but they last longer than a millisecond on at least one side; a step in the
    waveform does not. The measure is to be compared with that of the source."""
    high = np.diff(sound.astype(np.float64), n=2)
    pieces = len(high) // 48
    energy = np.sum(high[: pieces * 48].reshape(pieces, 48) ** 2, axis=1) + 1e-7
    highest = np.lib.stride_tricks.sliding_window_view(energy, 19).max(axis=1)
    places = np.arange(20, pieces - 20)
    around = np.maximum(highest[places - 20], highest[places + 2])
    return [int(place) * 48 for place in places[energy[places] > over * around]]
