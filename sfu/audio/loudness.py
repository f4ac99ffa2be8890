"""How loud a voice is, whether it speaks, and how much louder it should be. A machine each.

Levels are in dBov (RFC 6464 §3): 0 is full scale, -127 silence; a full-scale sine is -3. The frame is 20 ms.
"""

import math

import numpy as np
from numpy.typing import NDArray

SILENCE_DBOV = -127.0

FRAME_S = 0.020


def level_dbov(samples: NDArray[np.float32]) -> float:
    """NaN where a sample is not a number, or absurd; numpy may warn of that."""
    power = float(np.dot(samples, samples)) / max(1, len(samples))
    if power < 2e-13:
        return SILENCE_DBOV
    return 10 * math.log10(power) if math.isfinite(power) else math.nan


class Activity:
    """Whether someone speaks: well above the room's own noise, and for a while after.

    The floor follows the quietest moments: down at once, up by 1 dB a second, never above -45 dBov, so that music that
    never pauses stays active.
    """

    MARGIN_DB = 10.0
    LEAST_DBOV = -55.0
    HIGHEST_FLOOR_DBOV = -45.0
    HANGOVER_FRAMES = 50
    """A second: pauses between words are part of speech."""

    def __init__(self) -> None:
        self.is_active = False
        self._floor_dbov = -70.0
        self._frames_left = 0

    @property
    def threshold_dbov(self) -> float:
        return max(self.LEAST_DBOV, self._floor_dbov + self.MARGIN_DB)

    def on_frame(self, level_dbov: float) -> bool:
        if level_dbov > self.threshold_dbov:
            self._frames_left = self.HANGOVER_FRAMES
        elif self._frames_left:
            self._frames_left -= 1
        self.is_active = self._frames_left > 0
        if level_dbov < self._floor_dbov:
            self._floor_dbov += 0.2 * (max(level_dbov, -90.0) - self._floor_dbov)
        else:
            self._floor_dbov = min(self.HIGHEST_FLOOR_DBOV, self._floor_dbov + 1.0 * FRAME_S)
        return self.is_active

    def stop(self) -> None:
        self.is_active = False
        self._frames_left = 0


class Leveller:
    """A gentle automatic gain: moves a voice some way towards the level at which several sit well together.

    Only where several speak is it wanted (`on_frame`); a voice alone goes back to its own level, at which its packets
    can pass as they are.
    """

    TARGET_DBOV = -22.0
    MOST_DB = 6.0
    RATE_DB_PER_S = 3.0
    MEMORY_S = 5.0
    """Of speech, over which its power is averaged; a voice unheard so far counts as one at the target for a second."""

    def __init__(self) -> None:
        self.gain_db = 0.0
        self._power = 10 ** (self.TARGET_DBOV / 10)
        self._heard_s = 1.0

    def on_speech(self, level_dbov: float) -> None:
        """A frame in which the voice was above the threshold."""
        self._heard_s = min(self.MEMORY_S, self._heard_s + FRAME_S)
        self._power += (10 ** (level_dbov / 10) - self._power) * FRAME_S / self._heard_s

    def on_frame(self, *, is_wanted: bool, is_heard: bool) -> None:
        """What nobody hears moves at once, what is heard slowly."""
        short_db = self.TARGET_DBOV - 10 * math.log10(self._power)
        wanted_db = max(-self.MOST_DB, min(self.MOST_DB, short_db)) if is_wanted else 0.0
        step_db = self.RATE_DB_PER_S * FRAME_S if is_heard else 2 * self.MOST_DB
        self.gain_db += max(-step_db, min(step_db, wanted_db - self.gain_db))

    @property
    def gain(self) -> float:
        return 1.0 if self.gain_db == 0.0 else 10 ** (self.gain_db / 20)
