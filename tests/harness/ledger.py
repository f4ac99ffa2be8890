"""What a listener received, by sequence number and by the stamp that each speaker put into its payload. Pure."""

import struct
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from tests.harness.rtp import Packet

STAMP = struct.Struct("!4sII")
_MAGIC = b"\xfcTST"
"""Begins with an Opus TOC of one 20 ms fullband CELT frame (RFC 6716 §3.1), so that it may pass for audio."""
PAYLOAD_BYTES = 80
"""32 kbit/s, what a browser sends for speech: 0.02 s * 32,000 bit/s / 8."""


@dataclass(frozen=True)
class Stamp:
    """Which speaker's packet, and the how-manieth that it sent."""

    speaker: int
    number: int


def build_payload(stamp: Stamp, *, size_bytes: int = PAYLOAD_BYTES) -> bytes:
    return STAMP.pack(_MAGIC, stamp.speaker, stamp.number).ljust(size_bytes, b"\xaa")


def parse_payload(payload: bytes) -> Stamp | None:
    if len(payload) < STAMP.size or not payload.startswith(_MAGIC):
        return None
    _, speaker, number = STAMP.unpack_from(payload)
    return Stamp(speaker, number)


@dataclass(frozen=True)
class Heard:
    """One packet as it came, with its sequence number and timestamp unwrapped."""

    packet: Packet
    stamp: Stamp | None
    sequence: int
    timestamp: int


class Ledger:
    """All packets that one peer received, in order of arrival, by slot."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._highest: dict[int, tuple[int, int]] = {}

    def on_packet(self, packet: Packet) -> Heard:
        sequence, timestamp = self._highest.get(packet.ssrc, (packet.sequence, packet.timestamp))
        sequence += _signed(packet.sequence - sequence, bits=16)
        timestamp += _signed(packet.timestamp - timestamp, bits=32)
        highest = self._highest.get(packet.ssrc)
        if highest is None or sequence > highest[0]:
            self._highest[packet.ssrc] = (sequence, timestamp)
        heard = Heard(packet, parse_payload(packet.payload), sequence, timestamp)
        self.heard.append(heard)
        return heard

    def slots(self) -> dict[int, list[Heard]]:
        """By SSRC, in order of arrival."""
        slots: dict[int, list[Heard]] = defaultdict(list)
        for heard in self.heard:
            slots[heard.packet.ssrc].append(heard)
        return dict(slots)

    def numbers(self, speaker: int) -> list[int]:
        """The stamps of one speaker in the order of their arrival, over all slots."""
        return [heard.stamp.number for heard in self.heard if heard.stamp and heard.stamp.speaker == speaker]

    def speakers(self) -> set[int]:
        return {heard.stamp.speaker for heard in self.heard if heard.stamp}

    def breaks(self) -> list[str]:
        """Every place where a slot's stream is not what one unbroken sender would have sent, for people to read."""
        found = []
        for ssrc, slot in self.slots().items():
            for before, after in pairwise(slot):
                step = after.sequence - before.sequence
                if step != 1:
                    found.append(f"slot {ssrc:08x}: sequence {before.sequence} then {after.sequence}")
                elif after.timestamp <= before.timestamp:
                    found.append(f"slot {ssrc:08x}: timestamp {before.timestamp} then {after.timestamp}")
        return found


def _signed(difference: int, *, bits: int) -> int:
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
