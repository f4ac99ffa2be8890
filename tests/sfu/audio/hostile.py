"""Packets that no encoder makes, of many kinds; seeded, so that what broke something can be had again.

A kind is a function from chance to a payload; `datagram` wraps one in RTP that may lie as well.
"""

import functools
import random
from collections.abc import Callable

from sfu.audio import red, rtp
from tests.sfu.audio.studio import FRAME, encode, voice

Kind = Callable[[random.Random], bytes]

MAX_BYTES = 1980
"""What a datagram carries on the way to a mixer (2,048 bytes are read) beside its RTP header."""

RED_PAYLOAD_TYPE = 63


@functools.cache
def speech() -> list[bytes]:
    return encode(voice(3)[48_000:96_000])


def random_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 2, 3, 10, 100, 400, 1275]))


def damaged(chance: random.Random) -> bytes:
    payload = bytearray(chance.choice(speech()))
    for _ in range(chance.randrange(1, 8)):
        payload[chance.randrange(len(payload))] = chance.randrange(256)
    return bytes(payload[: chance.randrange(1, len(payload) + 1)])


def truncated(chance: random.Random) -> bytes:
    payload = chance.choice(speech())
    return payload[: chance.randrange(1, len(payload))]


def disguised(chance: random.Random) -> bytes:
    """Real speech under the name of another mode, bandwidth, length or number of channels."""
    payload = chance.choice(speech())
    return bytes([chance.randrange(256) & 0xFC]) + payload[1:]


def lying(chance: random.Random) -> bytes:
    """A TOC of any kind, a count of frames, sizes and padding that do not add up."""
    head = bytes([chance.randrange(256) | 3, chance.randrange(256), chance.randrange(256), chance.randrange(256)])
    return head + chance.randbytes(chance.randrange(200))


def miscounted(chance: random.Random) -> bytes:
    """Code 3 that claims no frame, too many, or more than 120 ms (RFC 6716 §3.2.5)."""
    config = chance.randrange(32)
    count = chance.choice([0, 7, 13, 48, 49, 63])
    return bytes([config << 3 | 3, count | chance.choice([0, 0x80])]) + chance.randbytes(chance.randrange(300))


def padded(chance: random.Random) -> bytes:
    """Code 3 with chains of padding that end beyond the packet, at its end, or just before."""
    chain = b"\xff" * chance.randrange(8) + bytes([chance.randrange(255)])
    return bytes([chance.randrange(32) << 3 | 3, 0x41]) + chain + chance.randbytes(chance.choice([0, 3, 254, 1200]))


def oversized(chance: random.Random) -> bytes:
    """Frames of more than 1,275 bytes, and legal packets of as many frames as may be."""
    size = chance.randrange(1270, MAX_BYTES)
    toc = chance.randrange(256)
    return bytes([toc]) + (bytes([chance.randrange(1, 49)]) if toc & 3 == 3 else b"") + chance.randbytes(size)


def loud(chance: random.Random) -> bytes:
    """Legal packets of all modes whose content is noise."""
    return bytes([chance.randrange(32) << 3 | chance.choice([0, 4])]) + b"\xff" * chance.randrange(2, 200)


def redundant(chance: random.Random) -> bytes:
    """RED (RFC 2198) around any of the others, cut anywhere."""
    blocks = [
        red.Block(111, chance.randrange(1, red.MAX_OFFSET), any_kind(chance)[: red.MAX_LENGTH])
        for _ in range(chance.randrange(10))
    ]
    wrapped = red.build([*blocks, red.Block(111, 0, any_kind(chance))])
    return wrapped[: chance.randrange(1, len(wrapped) + 1)] if chance.random() < 0.5 else wrapped


KINDS: list[Kind] = [
    random_bytes,
    damaged,
    truncated,
    disguised,
    lying,
    miscounted,
    padded,
    oversized,
    loud,
]


def any_kind(chance: random.Random) -> bytes:
    return chance.choice(KINDS)(chance)


def datagram(chance: random.Random, payload: bytes, *, ssrc: int, number: int) -> bytes:
    """The `number`-th packet of a stream, in order or nearly; some come from elsewhere in time, some have a header that
    lies about its own length."""
    wild = chance.random() < 0.05
    packet = rtp.Packet(
        payload_type=chance.choice([111, RED_PAYLOAD_TYPE]),
        sequence=chance.randrange(1 << 16) if wild else number & 0xFFFF,
        timestamp=chance.randrange(1 << 32) if wild else number * FRAME & 0xFFFFFFFF,
        ssrc=ssrc,
        payload=payload[:MAX_BYTES],
        level_dbov=chance.choice([None, -127, -20, 0]),
    )
    built = bytearray(rtp.build(packet, is_first=chance.random() < 0.1))
    if chance.random() < 0.05:
        built[chance.randrange(min(16, len(built)))] = chance.randrange(256)
    return bytes(built[: chance.randrange(len(built) + 1)] if chance.random() < 0.02 else built)
