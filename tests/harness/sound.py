"""Real sound for the tests: tones and Opus to send, and how alike two recordings are. Pure but for reading files.

Samples are float arrays, mono, 48 kHz, full scale 1.0.
"""

import wave
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATE_HZ = 48_000
FRAME = 960


def make_tone(frequency_hz: float, seconds: float) -> Samples:
    """A sine at half of full scale."""
    return 0.5 * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def read_sound(path: Path) -> Samples:
    """Any file that FFmpeg's libraries read."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    chunks = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            chunks += [resampled.to_ndarray()[0] for resampled in resampler.resample(frame)]
    chunks += [resampled.to_ndarray()[0] for resampled in resampler.resample(None)]
    return np.concatenate(chunks).astype(np.float64) / 32768


def write_wav(path: Path, samples: Samples) -> None:
    """16 bits, mono, 48 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def read_pcm(data: bytes) -> Samples:
    """Signed 16-bit little-endian."""
    return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float64) / 32768


def encode_opus(samples: Samples) -> list[bytes]:
    """Opus payloads of 20 ms, mono."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 64_000, Fraction(1, RATE_HZ)
    payloads = []
    for at in range(0, len(samples) - FRAME + 1, FRAME):
        pcm = (samples[at : at + FRAME] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, at, Fraction(1, RATE_HZ)
        payloads += [bytes(packet) for packet in encoder.encode(frame)]
    return payloads


def decode_opus(payloads: Iterable[bytes]) -> Samples:
    """What a listener would hear, the channels averaged."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = RATE_HZ
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    chunks = [np.zeros(0, np.int16)]
    for payload in payloads:
        for frame in decoder.decode(av.Packet(payload)):
            chunks += [resampled.to_ndarray()[0] for resampled in resampler.resample(frame)]
    return np.concatenate(chunks).astype(np.float64) / 32768


def peak_hz(samples: Samples) -> float:
    """The frequency that carries the most energy; 0 where next to nothing is heard (below -60 dBFS)."""
    if len(samples) == 0 or np.sqrt(np.mean(samples**2)) < 1e-3:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE_HZ / len(samples)


def find(needle: Samples, haystack: Samples) -> tuple[int, float]:
    """Where in `haystack` the `needle` fits best, in samples, and the correlation there (1: identical but for volume).

    Cross-correlation by FFT; the score is normalised with the energy of the piece of haystack that it covers.
    """
    size = 1 << (len(needle) + len(haystack)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(haystack, size) * np.conj(np.fft.rfft(needle, size)), size)
    last = max(1, len(haystack) - len(needle) + 1)
    energy = np.concatenate([[0.0], np.cumsum(haystack**2)])
    covered = energy[np.minimum(np.arange(last) + len(needle), len(haystack))] - energy[:last]
    score = correlation[:last] / np.sqrt(np.maximum(covered, 1e-9) * np.sum(needle**2))
    at = int(np.argmax(score))
    return at, float(score[at])


def likeness(source: Samples, recording: Samples, *, piece_s: float = 1.0) -> list[float]:
    """How well each second of the source that is not silence is found in the recording, within ±100 ms of its place.

    The place follows from where the whole source fits best. A score c of identical sound plus independent noise means a
    signal-to-noise ratio of c² / (1 - c²): 0.9 is 4.3, or 6.3 dB, what a speech codec at the least keeps; unrelated
    speech of one second scores about 1 / sqrt(2 · 4 kHz · 1 s) = 0.01, at best over a search of 200 ms some 0.3.
    """
    start, _ = find(source, recording)
    step, slack = round(piece_s * RATE_HZ), RATE_HZ // 10
    scores = []
    for at in range(0, len(source) - step + 1, step):
        piece = source[at : at + step]
        if np.sqrt(np.mean(piece**2)) < 0.01:
            continue
        around = recording[max(0, start + at - slack) : start + at + step + slack]
        scores.append(find(piece, around)[1] if len(around) >= step else 0.0)
    return scores
