"""Samples: levels, tones, and the timeline that turns packets' timestamps into a recording without gaps. Pure."""

import math

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = 960
"""20 ms, the usual Opus packet."""

SILENCE_DBOV = -127.0
"""The floor of RFC 6464 §3."""

Samples = NDArray[np.int16]
"""Shape (frames,) for mono, (frames, 2) for stereo."""


def level_dbov(samples: Samples) -> float:
    """The root mean square relative to full scale, -127 to 0 (RFC 6464 §3, RFC 6465 appendix A)."""
    if samples.size == 0:
        return SILENCE_DBOV
    mean_square = float(np.mean(np.square(samples, dtype=np.float64)))
    if mean_square == 0.0:
        return SILENCE_DBOV
    return max(SILENCE_DBOV, min(0.0, 10.0 * math.log10(mean_square / 32767.0**2)))


def tone(frequency_hz: float, *, start: int, count: int = FRAME_SAMPLES, amplitude: float = 0.25) -> Samples:
    """`count` mono samples of a sine from sample number `start`; frames put side by side join without a click."""
    # The phase is reduced before the sine so that an endless tone stays exact in float64.
    turns = np.mod(np.arange(start, start + count, dtype=np.float64) * (frequency_hz / SAMPLE_RATE_HZ), 1.0)
    return (np.sin(2.0 * np.pi * turns) * amplitude * 32767.0).astype(np.int16)


class Timeline:
    """Lays what several slots say into one stereo stream, silence where nobody spoke.

    Each slot keeps its own clock: its first frame lands where it arrived, later ones by their timestamps, so that a
    lost packet leaves a hole of its own length. Written out is only what lies `margin_s` in the past, since slots run a
    little apart.
    """

    def __init__(self, *, margin_s: float = 1.0) -> None:
        self._margin = round(margin_s * SAMPLE_RATE_HZ)
        self._offsets: dict[int, int] = {}
        self._written = 0
        self._pending: NDArray[np.int32] = np.zeros((0, 2), np.int32)

    def on_frame(self, slot: int, samples: Samples, *, timestamp: int, now_s: float) -> None:
        """`timestamp` counts samples and does not wrap; `now_s` is the time since the recording began."""
        now = round(now_s * SAMPLE_RATE_HZ)
        position = self._offsets.setdefault(slot, now - timestamp) + timestamp
        if abs(position - now) > 10 * self._margin:  # the sender's clock jumped: believe the arrival
            self._offsets[slot] = now - timestamp
            position = now
        stereo = samples if samples.ndim == 2 else np.repeat(samples[:, None], 2, axis=1)
        late = max(0, self._written - position)
        self._add(position + late, stereo[late:])

    def take(self, now_s: float) -> Samples:
        """The finished stretch up to `margin_s` ago; call with the final time plus the margin for the rest."""
        upto = max(round(now_s * SAMPLE_RATE_HZ) - self._margin, self._written)
        self._reach(upto)
        count = upto - self._written
        finished, self._pending = self._pending[:count], self._pending[count:]
        self._written = upto
        return np.clip(finished, -32768, 32767).astype(np.int16)

    def _add(self, position: int, stereo: Samples) -> None:
        end = position + len(stereo)
        self._reach(end)
        self._pending[position - self._written : end - self._written] += stereo

    def _reach(self, end: int) -> None:
        missing = end - self._written - len(self._pending)
        if missing > 0:
            self._pending = np.concatenate([self._pending, np.zeros((missing, 2), np.int32)])
