"""The decoded sound of one voice around the present, in one piece of memory. Per packet: no allocation.

      <-- HISTORY -->|<------------- filled ------------->|<--- room --->
     +---------------+-------------------------------------+-------------+
     |  played       | present frame | read ahead          |             |
     +---------------+-------------------------------------+-------------+
                     0                                     filled

Samples are float32, interleaved; all counts are per channel. Pure.
"""

import numpy as np
from numpy.typing import NDArray

from sfu.audio.packets import MAX_PACKET_SAMPLES
from sfu.audio.stretch import MARGIN, stretch

Samples = NDArray[np.float32]

FRAME = 960
HISTORY = 2 * FRAME
AHEAD = 1528
"""Filled when a frame is mixed: a frame, shifted by the encoder's lookahead (312), and the limiter's (240), and the
margin of the stretching (16)."""

_ROOM = AHEAD + MAX_PACKET_SAMPLES


class Reel:
    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.filled = 0
        self._samples: Samples = np.zeros((HISTORY + _ROOM) * channels, np.float32)
        self._address = self._samples.ctypes.data

    @property
    def room(self) -> int:
        return _ROOM - self.filled

    def end_address(self) -> int:
        """Where the next samples go; then say how many with `append`."""
        return self._address + 4 * self.channels * (HISTORY + self.filled)

    def append(self, samples: int) -> None:
        self.filled += min(samples, self.room)

    def append_silence(self, samples: int) -> None:
        start = self.filled
        self.append(samples)
        self.view(start, self.filled)[:] = 0

    def view(self, start: int, stop: int) -> Samples:
        """Relative to the present; negative is what was played."""
        return self._samples[(HISTORY + start) * self.channels : (HISTORY + stop) * self.channels]

    def stretch(self, samples: int, into: int) -> None:
        """Plays the last `samples` (but for a margin, which gives the interpolation its footing) in `into` samples."""
        start = self.filled - samples - MARGIN
        source = self.view(start - MARGIN, self.filled).copy()
        self.view(start, start + into)[:] = stretch(source, samples, into=into, channels=self.channels)
        self.view(start + into, start + into + MARGIN)[:] = source[-MARGIN * self.channels :]
        self.filled += into - samples

    def fold(self, samples: int) -> None:
        """Lets the last `samples` but as many fade into the last `samples`: two pieces take the time of one."""
        first, second = (
            self.view(self.filled - 2 * samples, self.filled - samples),
            self.view(self.filled - samples, self.filled),
        )
        rise = np.repeat(np.linspace(0, 1, samples, dtype=np.float32), self.channels)
        first += (second - first) * rise
        self.filled -= samples

    def advance(self) -> None:
        """A frame was played."""
        shift = FRAME * self.channels
        end = (HISTORY + self.filled) * self.channels
        self._samples[: end - shift] = self._samples[shift:end]
        self.filled -= FRAME

    def clear(self) -> None:
        """Nothing was, nothing is to come."""
        self._samples[:] = 0
        self.filled = 0
