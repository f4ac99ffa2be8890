"""RTP and RTCP as the test clients write and read them, apart from the server's own code. Pure.

RTP: RFC 3550 §5.1. Header extensions: RFC 8285 §4.2 and §4.3. Audio level: RFC 6464 §3. Reports: RFC 3550 §6.4.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

CLOCK_HZ = 48_000
FRAME_SAMPLES = 960
"""20 ms of Opus, whose RTP clock is always 48 kHz (RFC 7587 §4.1)."""


@dataclass(frozen=True)
class Packet:
    """One RTP packet in the clear."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    extensions: Mapping[int, bytes] = field(default_factory=dict)


def build(packet: Packet) -> bytes:
    """The packet's bytes, extensions in the one-byte form."""
    header = struct.pack(
        "!BBHII",
        0x80 | (0x10 if packet.extensions else 0),
        (0x80 if packet.marker else 0) | packet.payload_type,
        packet.sequence & 0xFFFF,
        packet.timestamp & 0xFFFFFFFF,
        packet.ssrc,
    )
    if not packet.extensions:
        return header + packet.payload
    body = b"".join(bytes([(number << 4) | (len(value) - 1)]) + value for number, value in packet.extensions.items())
    body += bytes(-len(body) % 4)
    return header + struct.pack("!HH", 0xBEDE, len(body) // 4) + body + packet.payload


def parse(data: bytes) -> Packet:
    """The packet in `data`; ValueError for bytes that are none, a receiver's view of what the server may send."""
    if len(data) < 12 or data[0] >> 6 != 2:
        raise ValueError("not RTP")
    end = 12 + 4 * (data[0] & 0x0F)
    extensions: dict[int, bytes] = {}
    if data[0] & 0x10:
        profile, words = struct.unpack_from("!HH", data, end)
        start, end = end + 4, end + 4 + 4 * words
        if end > len(data):
            raise ValueError("the header extension is longer than the packet")
        extensions = dict(_extensions(data[start:end], is_two_byte=profile >> 4 == 0x100))
    padding = data[-1] if data[0] & 0x20 else 0
    if end + padding > len(data):
        raise ValueError("the padding is longer than the payload")
    return Packet(
        marker=bool(data[1] & 0x80),
        payload_type=data[1] & 0x7F,
        sequence=int.from_bytes(data[2:4]),
        timestamp=int.from_bytes(data[4:8]),
        ssrc=int.from_bytes(data[8:12]),
        extensions=extensions,
        payload=data[end : len(data) - padding],
    )


def _extensions(body: bytes, *, is_two_byte: bool) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        if body[at] == 0:
            at += 1
            continue
        if is_two_byte:
            number, size, at = body[at], body[at + 1], at + 2
        else:
            number, size, at = body[at] >> 4, (body[at] & 0x0F) + 1, at + 1
        yield number, body[at : at + size]
        at += size


def audio_level(level_dbov: int, *, is_voice: bool = True) -> bytes:
    """The RFC 6464 value of `level_dbov` (-127 to 0)."""
    return bytes([(0x80 if is_voice else 0) | -level_dbov])


@dataclass(frozen=True)
class SenderReport:
    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True)
class ReportBlock:
    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


def parse_reports(compound: bytes) -> Iterator[SenderReport | ReportBlock]:
    """The sender reports and report blocks of one compound RTCP packet."""
    at = 0
    while at + 8 <= len(compound):
        count, kind, words = compound[at] & 0x1F, compound[at + 1], int.from_bytes(compound[at + 2 : at + 4])
        body = compound[at + 4 : at + 4 + 4 * words]
        if kind == 200:
            yield SenderReport(*struct.unpack("!IQIII", body[:24]))
        if kind in {200, 201}:
            first = 24 if kind == 200 else 4
            for offset in range(first, first + 24 * count, 24):
                ssrc, loss, highest, jitter, last, delay = struct.unpack_from("!IIIIII", body, offset)
                yield ReportBlock(ssrc, loss >> 24, loss & 0xFFFFFF, highest, jitter, last, delay)
        at += 4 + 4 * words


def build_receiver_report(sender_ssrc: int, blocks: list[ReportBlock]) -> bytes:
    """One receiver report with its SDES, as RFC 3550 §6.1 wants every compound to be."""
    report = struct.pack("!BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), sender_ssrc)
    for block in blocks:
        report += struct.pack(
            "!IIIIII",
            block.ssrc,
            (block.fraction_lost << 24) | (block.cumulative_lost & 0xFFFFFF),
            block.highest_sequence,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        )
    name = b"\x01\x04wire"
    chunk = struct.pack("!I", sender_ssrc) + name + bytes(4 - len(name) % 4)
    return report + struct.pack("!BBH", 0x81, 202, len(chunk) // 4) + chunk
