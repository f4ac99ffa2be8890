"""Plain RTP as it passes through taps: in from the stage, out to it. Pure.

Per packet; guarded by `benchmarks/mixer.py`. The audio level (RFC 6464) is extension 1 where it is known, in the
one-byte form (RFC 8285 §4.2), both ways. Strangers' bytes were checked by the data plane and are checked once more.
"""

import struct
from typing import NamedTuple

LEVEL_ID = 1

SILENCE_DBOV = -127

_FIXED = struct.Struct("!BBHII")
_WITH_LEVEL = struct.Struct("!BBHIIIBBxx")
_LEVEL_PROFILE = 0xBEDE << 16 | 1


class Packet(NamedTuple):
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    level_dbov: int | None = None
    """What the sender says of its loudness (RFC 6464), if it does."""


def parse(datagram: bytes) -> Packet | None:
    """None for what is not an RTP packet with a payload (RFC 3550 §5.1)."""
    if len(datagram) <= 12:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(datagram)
    if first & 0xC0 != 0x80:
        return None
    start, end = 12 + 4 * (first & 0x0F), len(datagram)
    level = None
    if first & 0x10:
        if start + 4 > end:
            return None
        words = datagram[start + 2] << 8 | datagram[start + 3]
        stop = start + 4 + 4 * words
        if stop > end:
            return None
        if datagram[start] == 0xBE and datagram[start + 1] == 0xDE:
            level = _find_level(datagram, start + 4, stop)
        start = stop
    if first & 0x20:
        end -= datagram[end - 1]
    if start >= end:
        return None
    return Packet(second & 0x7F, sequence, timestamp, ssrc, datagram[start:end], level)


def build(packet: Packet, *, is_first: bool) -> bytes:
    """`is_first` of a talkspurt sets the marker (RFC 7587 §4.1). Sequence and timestamp wrap as they must."""
    second = packet.payload_type | (0x80 if is_first else 0)
    sequence, timestamp = packet.sequence & 0xFFFF, packet.timestamp & 0xFFFFFFFF
    if packet.level_dbov is None:
        return _FIXED.pack(0x80, second, sequence, timestamp, packet.ssrc) + packet.payload
    is_voice = 0x80 if packet.level_dbov > SILENCE_DBOV else 0
    level = is_voice | min(127, max(0, -packet.level_dbov))
    head = _WITH_LEVEL.pack(0x90, second, sequence, timestamp, packet.ssrc, _LEVEL_PROFILE, LEVEL_ID << 4, level)
    return head + packet.payload


def _find_level(datagram: bytes, at: int, stop: int) -> int | None:
    while at < stop:
        element = datagram[at]
        if element == 0:
            at += 1
            continue
        size = (element & 0x0F) + 1
        if element >> 4 == 15 or at + 1 + size > stop:
            return None
        if element >> 4 == LEVEL_ID:
            return -(datagram[at + 1] & 0x7F)
        at += 1 + size
    return None
