"""Keeps a mix below full scale by turning it down in time, not by cutting it off. A machine.

The frame is looked at in pieces of 1.25 ms, four of them beyond its end. Each needs a gain that keeps its peak below
the ceiling; the gain in force runs in straight lines between the pieces' borders, never above what the pieces on either
side need, comes down over the 5 ms before a peak and goes up again slowly. A mix that needs nothing is not touched."""

import numpy as np
from numpy.typing import NDArray

CEILING = 0.891
"""-1 dBFS: an Opus decoder's output exceeds what was encoded by a little."""

FRAME = 960
PIECE = 60
AHEAD_PIECES = 4
LOOKAHEAD = PIECE * AHEAD_PIECES

RELEASE_PER_PIECE = 10 ** (0.03 / 20)
"""0.03 dB in 1.25 ms: 24 dB a second, slow enough not to pump on speech."""

_PIECES = FRAME // PIECE
_RISE = np.linspace(0, 1, PIECE, endpoint=False, dtype=np.float32)


class Limiter:
    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._gain = 1.0
        self._is_new = True

    @property
    def is_idle(self) -> bool:
        return self._gain == 1.0

    def on_frame(self, mix: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first FRAME of `mix`, which is LOOKAHEAD longer, limited; `mix` itself may be changed and given back."""
        size = FRAME * self._channels
        highest = float(np.abs(mix).max())
        if highest <= CEILING and self._gain == 1.0:
            self._is_new = False
            return mix[:size]
        if not np.isfinite(highest):  # cannot come from finite voices; never let it into the encoder's memory
            return np.zeros(size, np.float32)
        peaks = np.abs(mix).reshape(_PIECES + AHEAD_PIECES, -1).max(axis=1)
        borders = self._borders([CEILING / peak if peak > CEILING else 1.0 for peak in peaks.tolist()])
        self._gain = borders[-1]
        starts, ends = np.array(borders[:-1], np.float32), np.array(borders[1:], np.float32)
        curve = (starts[:, None] + (ends - starts)[:, None] * _RISE).reshape(-1)
        out: NDArray[np.float32] = mix[:size]
        out *= curve if self._channels == 1 else np.repeat(curve, self._channels)
        # A voice that was let in since the last look ahead may be louder than foreseen.
        return np.clip(out, -1.0, 1.0, out=out)

    def _borders(self, needed: list[float]) -> list[float]:
        borders = [needed[0] if self._is_new else self._gain]  # the first frame of all was not foreseen
        self._is_new = False
        for border in range(1, _PIECES + 1):
            gain = min(1.0, borders[-1] * RELEASE_PER_PIECE, needed[border - 1])
            for ahead in range(AHEAD_PIECES):
                need = needed[border + ahead]
                gain = min(gain, need + (1 - need) * ahead / AHEAD_PIECES)
            borders.append(gain)
        return borders
