"""What one audience hears: all voices, or all but one (for the speaker who listens to it). A machine.

Each frame comes from one of four sources, decided anew every 20 ms:

    silence    nobody is heard: nothing is encoded, one byte is sent every 400 ms
    voice      exactly one is active: its own packets, untouched
    mix        several are, or one that cannot pass or is fading: summed, limited, encoded here
    main       what this program would mix is just what the space's first program mixes: its packet

The change from one to another is inaudible because every source puts the same sound at the same place (see `blend`),
and because an encoder that takes over is first fed the 40 ms before, from which the listener's decoder comes."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sfu.audio import limiter, packets
from sfu.audio.blend import Blend
from sfu.audio.contract import Sound
from sfu.audio.limiter import Limiter
from sfu.audio.loudness import SILENCE_DBOV, level_dbov
from sfu.audio.opus import Encoder, Opus
from sfu.audio.outlet import REST_EVERY, Frame
from sfu.audio.reel import FRAME
from sfu.audio.voice import Piece, Voice

Source = Literal["silence", "voice", "mix", "main"]

SETTLE_FRAMES = 25
"""Half a second with one voice left before its own packets are sent: short words of others cause no to and fro."""

TAIL_FRAMES = 3
"""Silence encoded before sending stops, so that the listener's decoder ends in silence too."""


class Program:
    """`last` is what it sent in this frame, if that was one packet that another program can send as well."""

    def __init__(self, *, without: int | None, opus: Opus, sound: Sound) -> None:
        self.without = without
        self.source: Source = "silence"
        self.last: Frame | None = None
        self.frames: dict[Source, int] = dict.fromkeys(("silence", "voice", "mix", "main"), 0)
        self._opus = opus
        self._sound = sound
        self._encoder: Encoder | None = None
        self._limiter = Limiter(sound.channels)
        self._timestamp = 0
        self._sent_until = 0
        self._kind = b""
        self._frames_in_source = 0
        self._voice: Voice | None = None
        self._alone = 0
        self._tail = 0
        self._offset = 0
        self._epoch: int | None = None
        self._sequence: int | None = None

    def on_frame(self, blend: Blend, main: "Program | None") -> list[Frame]:
        """This frame's packets: none, one, or two where a passing voice has caught up. `main` has had its turn."""
        source = self._choose(blend, main)
        self._frames_in_source = self._frames_in_source + 1 if source == self.source else 0
        is_first = self.source == "silence" != source
        came_from, self.source = self.source, source
        self.frames[source] += 1
        self.last = None
        match source:
            case "silence":
                return self._be_silent()
            case "voice":
                sent = self._pass(is_new=came_from != "voice", is_first=is_first)
            case "main":
                sent = self._repeat(main, is_first=is_first)
            case "mix":
                sent = self._mix(blend, is_new=came_from != "mix", is_first=is_first)
        if sent:
            self._kind = sent[-1].payload[:1]
        return sent

    # Choosing

    def _choose(self, blend: Blend, main: "Program | None") -> Source:
        voices = [voice for voice in blend.voices if voice.ssrc != self.without]
        alone = voices[0] if len(voices) == 1 and voices[0].is_active else None
        self._alone = self._alone + 1 if alone is not None and alone is self._voice else 0
        self._voice = alone
        if alone is not None and self._may_pass(alone):
            return "voice"
        if voices:
            self._tail = TAIL_FRAMES
        elif self.source in {"silence", "voice"} or self._tail == 0:
            return "silence"
        else:
            self._tail -= 1
        is_as_main = main is not None and main.source == "mix" and len(voices) == len(blend.voices)
        return "main" if is_as_main else "mix"

    def _may_pass(self, voice: Voice) -> bool:
        piece = voice.present
        if piece is None:
            return False
        if self.source == "voice":
            return self._alone > 0
        if self.source == "silence":
            return True
        is_plain = voice.gain == voice.gain_before == 1.0
        return bool(piece.packets) and is_plain and self._alone >= SETTLE_FRAMES and self._limiter.is_idle

    # Sources

    def _be_silent(self) -> list[Frame]:
        at = self._timestamp
        self._timestamp += FRAME
        if not self._kind or self._frames_in_source % REST_EVERY:
            return []
        self._sent_until = self._timestamp
        return [Frame(packets.rest_of(self._kind), at, SILENCE_DBOV)]

    def _pass(self, *, is_new: bool, is_first: bool) -> list[Frame]:
        voice = self._voice
        piece = voice.present if voice is not None else None
        if is_new:
            self._epoch = None
        if voice is None or piece is None or not piece.packets:
            self._timestamp += FRAME
            return []
        self._place(piece)
        frames = []
        for packet in piece.packets:
            lost = 0 if self._sequence is None else max(0, packet.sequence - self._sequence - 1)
            self._sequence = packet.sequence
            at = self._offset + packet.timestamp
            frames.append(Frame(packet.payload, at, voice.level_dbov, lost, is_first))
            self._sent_until = self._timestamp = at + packet.samples
        return frames

    def _place(self, piece: Piece) -> None:
        """Lays the speaker's timestamps on ours: here, where they are new; never back over what was sent."""
        begins = piece.packets[0].timestamp
        if piece.epoch != self._epoch:
            self._epoch = piece.epoch
            self._offset = self._timestamp - begins
            self._sequence = None
        self._offset = max(self._offset, self._sent_until - begins)

    def _repeat(self, main: "Program | None", *, is_first: bool) -> list[Frame]:
        if main is None or main.last is None:
            return []
        return self._send(main.last.payload, main.last.level_dbov, is_first=is_first)

    def _mix(self, blend: Blend, *, is_new: bool, is_first: bool) -> list[Frame]:
        if self._encoder is None:
            self._encoder = self._opus.make_encoder(self._sound)
        if is_new:
            self._prime(self._encoder, blend)
        mix = blend.mix(self.without) if blend.voices else self._nothing()
        mix = self._limiter.on_frame(mix)
        payload = self._encoder.encode(mix.ctypes.data, samples=FRAME)
        sent = self._send(payload, level_dbov(mix), is_first=is_first)
        self.last = sent[0]
        return sent

    def _nothing(self) -> NDArray[np.float32]:
        return np.zeros((FRAME + limiter.LOOKAHEAD) * self._sound.channels, np.float32)

    def _prime(self, encoder: Encoder, blend: Blend) -> None:
        """Lets the encoder hear what listeners have just heard, whoever encoded that."""
        encoder.forget()
        self._limiter = Limiter(self._sound.channels)
        past = blend.past(self.without) if blend.voices else None
        if past is not None:
            for at in range(0, len(past), FRAME * self._sound.channels):
                encoder.encode(past[at:].ctypes.data, samples=FRAME)

    def _send(self, payload: bytes, level: float, *, is_first: bool) -> list[Frame]:
        at = self._timestamp
        self._timestamp += FRAME
        self._sent_until = self._timestamp
        return [Frame(payload, at, level, is_first=is_first)]
