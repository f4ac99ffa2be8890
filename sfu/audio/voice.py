"""One speaker in the mixer: packets in, a reel of sound around the present out. A machine.

Its stream is laid on the mixer's grid of 20 ms as whole packets, read one frame ahead. What plays now is known as
samples and, where it is exactly one frame, as the packets it came from (`present`), so that either can be sent on.

Per packet; guarded by `benchmarks/mixer.py`.
"""

import math
from collections import deque

from msgspec import Struct

from sfu.audio import red
from sfu.audio.jitter import Conceal, Decode, Held, Jitter, Merge, Recover, Rest, Step
from sfu.audio.loudness import SILENCE_DBOV, Activity, Leveller, level_dbov
from sfu.audio.opus import Opus
from sfu.audio.reel import AHEAD, FRAME, Reel
from sfu.audio.rtp import Packet

STRETCH = 4
"""Samples by which a frame is made shorter or longer: a whole frame is gained in 240 of them, 4.8 s."""

FADE_OUT_PER_FRAME = 0.1
"""A voice that has fallen silent leaves in 200 ms; one that is muted, at once."""

KEPT = 6
"""Packets of a voice asleep that are kept: what lies before a first syllable is played with it, as far as the delay has
room, and brings the decoder into step."""

ASLEEP_AFTER_FRAMES = 50


class Piece(Struct, frozen=True, gc=False):
    """What one step laid on the reel; `start` counts samples since the voice began."""

    start: int
    samples: int
    packets: tuple[Held, ...]
    timestamp: int
    epoch: int


class Voice:
    """`gain_before` and `gain` hold at the beginning and at the end of this frame's ramp."""

    def __init__(self, ssrc: int, *, opus: Opus, channels: int, red_payload_type: int | None) -> None:
        self.ssrc = ssrc
        self.red_payload_type = red_payload_type
        self.is_open = True
        self.level_dbov = SILENCE_DBOV
        self.is_told = False
        """Whether the speaker's own packets say how loud they are."""
        self.is_mixed = False
        """Whether any program needs its samples; told by the mixer after each frame. A voice that only passes, or is
        not heard, is free to gain or lose a frame."""
        self.gain_before = 0.0
        self.gain = 0.0
        self.refused = 0
        self.slept = 0
        """Packets that came while it was asleep and were let go, counting up."""
        self.jitter = Jitter()
        self.reel = Reel(channels)
        self._decoder = opus.make_decoder(channels)
        self._activity = Activity()
        self._leveller = Leveller()
        self._share = 0.0
        self._owed = 0
        self._played = 0
        self._pieces: deque[Piece] = deque()
        self._kept: deque[tuple[Packet, float]] = deque(maxlen=KEPT)
        self._silent_frames = 0

    @property
    def is_active(self) -> bool:
        return self._activity.is_active

    @property
    def _is_quiet(self) -> bool:
        """Between words, too."""
        return self.level_dbov <= self._activity.threshold_dbov

    @property
    def is_heard(self) -> bool:
        return self.gain > 0 or self.gain_before > 0

    @property
    def present(self) -> Piece | None:
        """The piece that plays in this frame, if it is just that frame and unstretched."""
        if self._owed or not self._pieces:
            return None
        piece = self._pieces[0]
        return piece if piece.start == self._played and piece.samples == FRAME else None

    @property
    def is_asleep(self) -> bool:
        """Long silent, and its packets say so (RFC 6464): they are neither decoded nor laid on the reel. An open
        microphone costs next to nothing."""
        return self._silent_frames >= ASLEEP_AFTER_FRAMES

    # Inputs

    def on_packet(self, packet: Packet, now_s: float) -> None:
        if not self.is_open:
            return
        self.is_told = packet.level_dbov is not None
        if not self.is_asleep:
            self._take(packet, now_s)
            return
        self.slept += len(self._kept) == KEPT
        self._kept.append((packet, now_s))
        if packet.level_dbov is not None and packet.level_dbov <= self._activity.threshold_dbov:
            self.level_dbov = packet.level_dbov
        else:
            self._wake()

    def _wake(self) -> None:
        self._silent_frames = 0
        for packet, arrived_s in self._kept:
            self._take(packet, arrived_s)
        self._kept.clear()

    def _take(self, packet: Packet, now_s: float) -> None:
        if packet.payload_type != self.red_payload_type:
            self._take_opus(packet, packet.payload, now_s)
        elif (blocks := red.parse(packet.payload)) is None:
            self.jitter.counts.malformed += 1
        else:
            self._take_opus(packet, blocks[-1].payload, now_s)
            for distance, block in enumerate(reversed(blocks[:-1]), 1):
                self.jitter.on_copy(
                    (packet.sequence - distance) & 0xFFFF,
                    (packet.timestamp - block.offset) & 0xFFFFFFFF,
                    payload=block.payload,
                    now_s=now_s,
                )

    def _take_opus(self, packet: Packet, payload: bytes, now_s: float) -> None:
        self.jitter.on_packet(
            packet.sequence, packet.timestamp, payload=payload, level_dbov=packet.level_dbov, now_s=now_s
        )

    def on_gate(self, *, is_open: bool) -> None:
        """Closed: it is faded out at the start of the next frame, and not there in the one after."""
        if is_open == self.is_open:
            return
        self.is_open = is_open
        if not is_open:
            self.jitter.reset()
            self._activity.stop()
            self._kept.clear()
            self._silent_frames = 0

    def on_frame(self, now_s: float) -> None:
        """Reads ahead as far as the frame that is due needs; not to be called while it is asleep."""
        if not self.is_open:
            self.level_dbov = SILENCE_DBOV
            return
        if self.reel.filled == 0:  # nothing was before
            self._lay_silence(FRAME, (), 0)
        while self.reel.filled < AHEAD:
            self._do(self.jitter.on_due(now_s, is_quiet=self._is_quiet, is_heard=self.is_mixed))
        self._look()

    def on_gain(self, *, is_levelled: bool) -> None:
        """How much of it is in this frame; `is_levelled` where several speak and the space wants them alike."""
        self._leveller.on_frame(is_wanted=is_levelled, is_heard=self.is_heard)
        if self.is_active:
            self._share = 1.0
        else:
            self._share = max(0.0, round(self._share - FADE_OUT_PER_FRAME, 3)) if self.is_open else 0.0
        self.gain_before = self.gain
        self.gain = self._share * self._leveller.gain

    def on_played(self) -> None:
        """The frame is over."""
        if not self.is_open:
            if self.reel.filled:
                self._forget()
            return
        if self._silent_frames >= ASLEEP_AFTER_FRAMES:
            self.jitter.rest()
            self._forget()
            return
        self.reel.advance()
        self._played += FRAME
        while self._pieces and self._pieces[0].start + self._pieces[0].samples <= self._played:
            self._pieces.popleft()

    def _forget(self) -> None:
        self.reel.clear()
        self._pieces.clear()
        self._decoder.reset()
        self._owed = self._played = 0

    # Steps

    def _do(self, step: Step) -> None:
        match step:
            case Decode(packet):
                self._decode(packet)
            case Merge(first, second):
                self._merge(first, second)
            case Recover(following, samples, timestamp):
                written = self._decoder.recover(
                    following.payload, self.reel.end_address(), samples=samples, room=self.reel.room
                )
                self._lay(written, (), timestamp)
            case Conceal(samples, timestamp):
                self._lay(self._conceal(samples), (), timestamp)
            case Rest(timestamp):
                self._rest(timestamp)

    def _decode(self, packet: Held) -> None:
        self._begin_stretch()
        if not self._write(packet):
            self._lay(self._conceal(packet.samples), (), packet.timestamp)
            return
        self._lay(packet.samples, (packet,), packet.timestamp)
        if self._owed and packet.samples == FRAME:
            self._stretch()

    def _merge(self, first: Held, second: Held) -> None:
        """Both have a frame; so has what is laid down."""
        packets = []
        for packet in (first, second):
            if self._write(packet):
                packets.append(packet)
                self.reel.append(FRAME)
        if not packets:
            self._lay(self._conceal(FRAME), (), first.timestamp)
            return
        if len(packets) == 2:
            self.reel.fold(FRAME)
        self._note(self.reel.filled - FRAME, FRAME, tuple(packets), first.timestamp)

    def _write(self, packet: Held) -> bool:
        """Decodes it to the reel's end without laying it down; false if libopus refuses it."""
        is_written = self._decoder.decode(packet.payload, self.reel.end_address(), room=self.reel.room) > 0
        self.refused += not is_written
        return is_written

    def _conceal(self, samples: int) -> int:
        return self._decoder.conceal(self.reel.end_address(), samples=samples, room=self.reel.room)

    def _rest(self, timestamp: int) -> None:
        """Up to the next multiple of a frame, so that packets lie on the grid again."""
        samples = FRAME + -self.reel.filled % FRAME
        if self.is_heard:
            written = self._conceal(-(-samples // 120) * 120)
            self._lay(min(samples, written), (), timestamp)
        else:
            self._lay_silence(samples, (), timestamp)
        self._owed = 0

    def _lay(self, samples: int, packets: tuple[Held, ...], timestamp: int) -> None:
        """What was written at the reel's end, or silence if libopus wrote nothing, or nothing finite."""
        if samples <= 0:
            self._lay_silence(FRAME, packets, timestamp)
            return
        start = self.reel.filled
        self.reel.append(samples)
        if math.isnan(level_dbov(self.reel.view(start, start + samples))):
            self.reel.view(start, start + samples)[:] = 0
            self._decoder.reset()
            self.refused += 1
        self._note(start, samples, packets, timestamp)

    def _lay_silence(self, samples: int, packets: tuple[Held, ...], timestamp: int) -> None:
        start = self.reel.filled
        self.reel.append_silence(samples)
        self._note(start, samples, packets, timestamp)

    def _note(self, start: int, samples: int, packets: tuple[Held, ...], timestamp: int) -> None:
        self._pieces.append(Piece(self._played + start, samples, packets, timestamp, self.jitter.epoch))

    # Stretching

    def _begin_stretch(self) -> None:
        """One at a time, and from a frame's edge to a frame's edge."""
        if self._owed == 0 and self.jitter.wish and self.present is not None:
            self._owed = self.jitter.wish * FRAME

    def _stretch(self) -> None:
        by = STRETCH if self._owed > 0 else -STRETCH
        self.reel.stretch(FRAME, FRAME + by)
        piece = self._pieces.pop()
        self._pieces.append(Piece(piece.start, FRAME + by, piece.packets, piece.timestamp, piece.epoch))
        self._owed -= by

    # Loudness

    def _look(self) -> None:
        """Judges the frame that is read ahead, so that a first syllable is let in before it plays."""
        stop = min(self.reel.filled, 2 * FRAME)
        self.level_dbov = level_dbov(self.reel.view(stop - FRAME, stop))
        if self.level_dbov > self._activity.threshold_dbov:
            self._leveller.on_speech(self.level_dbov)
        self._activity.on_frame(self.level_dbov)
        is_silent = self.is_told and not self._activity.is_active and not self.is_heard
        self._silent_frames = self._silent_frames + 1 if is_silent else 0
