"""The sum of a frame's voices, for any number of programs at once. Pure.

    sound of the reels     -HISTORY ........ 0 ...... 312 ................. 1272 ..... 1512
    past (to prime with)           [------------------)
    mix                                               [--- one frame ------)[ ahead --)

A mix runs ahead of its packets by the encoder's lookahead: what a listener then decodes lies, to the sample, where the
speaker's own packet would have put it. So a program can change from the one to the other without a jump. The part ahead
is only for the limiter to look at; it is mixed again in the next frame, from what is true then."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sfu.audio import limiter
from sfu.audio.opus import LOOKAHEAD
from sfu.audio.reel import FRAME, HISTORY
from sfu.audio.voice import Voice

Samples = NDArray[np.float32]

RAMP = 120
"""2.5 ms: over which a voice joins, leaves, or changes its gain. No click, and no more than that of a muted one."""

_FALL = {
    channels: np.repeat(np.linspace(1, 0, RAMP, endpoint=False, dtype=np.float32), channels) for channels in (1, 2)
}
_MIX = (LOOKAHEAD, LOOKAHEAD + FRAME + limiter.LOOKAHEAD)
_PAST = (LOOKAHEAD - HISTORY, LOOKAHEAD)


class Blend:
    """`voices` are those that are heard in this frame, or were at its beginning."""

    def __init__(self, voices: Sequence[Voice], *, channels: int) -> None:
        self.voices = voices
        self._channels = channels
        self._sounds: Samples | None = None

    def mix(self, without: int | None) -> Samples:
        """A frame and what is ahead of it, of all but one voice; the caller's own."""
        now, before = self._gains(without)
        if self._sounds is None:
            self._sounds = np.stack([voice.reel.view(*_MIX) for voice in self.voices])
        mix: Samples = now @ self._sounds
        if not np.array_equal(now, before):
            ramp = RAMP * self._channels
            mix[:ramp] += ((before - now) @ self._sounds[:, :ramp]) * _FALL[self._channels]
        return mix

    def past(self, without: int | None) -> Samples | None:
        """The HISTORY before the frame at the gains of its beginning, None if nobody was heard."""
        _, before = self._gains(without)
        if not before.any():
            return None
        return before @ np.stack([voice.reel.view(*_PAST) for voice in self.voices])

    def _gains(self, without: int | None) -> tuple[Samples, Samples]:
        now = np.array([voice.gain * (voice.ssrc != without) for voice in self.voices], np.float32)
        before = np.array([voice.gain_before * (voice.ssrc != without) for voice in self.voices], np.float32)
        return now, before
