"""The RTP stream of one program: sequence numbers, timestamps, and several frames in a packet where wished. A
machine."""

from msgspec import Struct

from sfu.audio import packets, rtp
from sfu.audio.packets import RATE_HZ

MAX_GAP = 100
"""Sequence numbers left out for what a speaker's network lost; more would only look like a new stream."""


class Frame(Struct, frozen=True, gc=False):
    """An Opus packet on its way out. `lost` are those before it that never came, so that listeners make up for them;
    `is_first` of a talkspurt."""

    payload: bytes
    timestamp: int
    level_dbov: float
    lost: int = 0
    is_first: bool = False


class Outlet:
    """Numbers frames and joins up to `frames_per_packet` of them, of one kind and without a gap, into a packet."""

    def __init__(self, ssrc: int, *, payload_type: int, frames_per_packet: int) -> None:
        self._ssrc = ssrc
        self._payload_type = payload_type
        self._frames_per_packet = frames_per_packet
        self._sequence = 0
        self._waiting: list[Frame] = []

    def on_frame(self, frame: Frame) -> list[bytes]:
        """The datagrams that can go."""
        if self._frames_per_packet == 1:
            return [self._build(frame)]
        sent = [] if self._joins(frame) else self.flush()
        self._waiting.append(frame)
        if len(self._waiting) == self._frames_per_packet or packets.is_rest(frame.payload):
            sent += self.flush()
        return sent

    def flush(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        if len(waiting) <= 1:
            return [self._build(frame) for frame in waiting]
        joined = packets.join([frame.payload for frame in waiting])
        if joined is None:
            return [self._build(frame) for frame in waiting]
        level_dbov = max(frame.level_dbov for frame in waiting)
        first = waiting[0]
        return [self._build(Frame(joined, first.timestamp, level_dbov, lost=first.lost, is_first=first.is_first))]

    def _joins(self, frame: Frame) -> bool:
        if not self._waiting:
            return True
        last = self._waiting[-1]
        is_next = frame.timestamp == last.timestamp + packets.count_samples(last.payload)
        return is_next and not frame.lost and last.payload[0] & 0xFC == frame.payload[0] & 0xFC

    def _build(self, frame: Frame) -> bytes:
        self._sequence += 1 + min(frame.lost, MAX_GAP)
        packet = rtp.Packet(
            payload_type=self._payload_type,
            sequence=self._sequence,
            timestamp=frame.timestamp,
            ssrc=self._ssrc,
            payload=frame.payload,
            level_dbov=round(max(frame.level_dbov, rtp.SILENCE_DBOV)),
        )
        return rtp.build(packet, is_first=frame.is_first)


REST_EVERY = RATE_HZ * 2 // 5 // 960
"""Frames between two words of silence: 400 ms, as Opus encoders do it."""
