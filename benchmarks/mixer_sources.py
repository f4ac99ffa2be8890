"""Speakers for the mixer's benchmarks: recorded packets of synthesised voices. Edge (reads files, loads libopus).

The voices are those of the tests (`tests/media/README.md` says where they come from).
"""

import functools
import itertools
import time
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from sfu.audio import libopus
from sfu.audio.contract import Sound
from sfu.audio.opus import LOOKAHEAD, Decoder, Meter, Opus
from sfu.audio.packets import MAX_PACKET_SAMPLES, has_redundancy

Samples = NDArray[np.float32]

RATE_HZ = 48_000
FRAME = 960
FRAME_S = 0.020
VOICES = Path(__file__).parents[1] / "tests" / "media" / "voices"

SPEAKER = Sound(bitrate=32_000, application="voip")
"""What a browser sends by default."""


def make_opus() -> Opus:
    return Opus(libopus.load(), Meter(time.perf_counter))


def read_voices() -> list[Samples]:
    return [read(path) for path in sorted(VOICES.glob("*.flac"))]


def read(path: Path) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path)) as container:
        pieces = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.float32)


def encode(sound: Samples, settings: Sound, *, opus: Opus, frame: int = FRAME) -> list[bytes]:
    """Packets (of 20 ms) that decode to `sound`, where it was."""
    encoder = opus.make_encoder(settings)
    padded = np.concatenate([sound, np.zeros(LOOKAHEAD + frame, np.float32)])[LOOKAHEAD:].copy()
    return [encoder.encode(padded[at:].ctypes.data, samples=frame) for at in range(0, len(sound) - frame + 1, frame)]


@functools.cache
def recordings() -> list[list[str]]:
    """Every voice in packets of 20 ms, hexadecimal, as the load generator takes them."""
    opus = make_opus()
    return [[packet.hex() for packet in encode(voice, SPEAKER, opus=opus)] for voice in read_voices()]


def decode(payloads: Sequence[bytes | None], *, opus: Opus) -> Samples:
    """As a browser does: None is a packet that never came, recovered from the next one's copy of it, or concealed."""
    decoder = opus.make_decoder(1)
    pairs = itertools.zip_longest(payloads, payloads[1:])
    return np.concatenate([np.zeros(0, np.float32), *(_decode(decoder, payload, after) for payload, after in pairs)])


def _decode(decoder: Decoder, payload: bytes | None, following: bytes | None) -> Samples:
    out = np.zeros(MAX_PACKET_SAMPLES, np.float32)
    if payload is not None:
        written = decoder.decode(payload, out.ctypes.data, room=len(out))
    elif following is not None and has_redundancy(following):
        written = decoder.recover(following, out.ctypes.data, samples=FRAME, room=len(out))
    else:
        written = decoder.conceal(out.ctypes.data, samples=FRAME, room=len(out))
    return out[:written]


def find(needle: Samples, haystack: Samples) -> int:
    """Where in `haystack` the `needle` fits best, in samples: the cross-correlation's highest point."""
    size = 1 << (len(needle) + len(haystack)).bit_length()
    spectrum = np.fft.rfft(haystack, size) * np.conj(np.fft.rfft(needle, size))
    correlation = np.fft.irfft(spectrum, size)[: max(1, len(haystack) - len(needle) + 1)]
    return int(np.argmax(correlation))
