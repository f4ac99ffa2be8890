"""Opus packets from the outside: what a payload's first bytes say, and the joining of several into one. Pure.

Every packet that a speaker sends passes here before anything else looks at it (guarded by `benchmarks/mixer.py`).
Nothing is believed: what RFC 6716 §3.4 [R1-R7] forbids is None, and libopus never sees it.

     0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    | config  |s| c |     the TOC byte: mode, bandwidth and frame size; stereo; how many frames follow
    +-+-+-+-+-+-+-+-+
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

RATE_HZ = 48_000
MAX_PACKET_SAMPLES = 5760
"""120 ms (RFC 6716 §3.2.5)."""

MAX_FRAME_BYTES = 1275
"""RFC 6716 §3.4 [R2]."""

Mode = Literal["silk", "hybrid", "celt"]

_SILK_SAMPLES = (480, 960, 1920, 2880)
_CELT_SAMPLES = (120, 240, 480, 960)
_FRAME_SAMPLES = (*_SILK_SAMPLES * 3, *(480, 960) * 2, *_CELT_SAMPLES * 4)
"""By config (RFC 6716 §3.1, table 2), at 48 kHz."""


class Layout(NamedTuple):
    """Where the frames of a packet are: `bounds` are (start, end) within the payload, an empty one being DTX."""

    toc: int
    bounds: Sequence[tuple[int, int]]

    @property
    def samples(self) -> int:
        return len(self.bounds) * _FRAME_SAMPLES[self.toc >> 3]

    @property
    def mode(self) -> Mode:
        config = self.toc >> 3
        if config < 12:
            return "silk"
        return "hybrid" if config < 16 else "celt"

    @property
    def is_stereo(self) -> bool:
        return bool(self.toc & 0x04)


def parse(payload: bytes) -> Layout | None:
    """RFC 6716 §3.2; None for what no encoder may send."""
    if not payload:
        return None
    toc = payload[0]
    code = toc & 0x03
    if code == 0:
        bounds: Sequence[tuple[int, int]] | None = _checked([(1, len(payload))])
    elif code == 1:
        middle, is_odd = divmod(len(payload) - 1, 2)
        bounds = None if is_odd else _checked([(1, 1 + middle), (1 + middle, len(payload))])
    elif code == 2:
        bounds = _two_of_their_own_size(payload)
    else:
        bounds = _any_number(payload, _FRAME_SAMPLES[toc >> 3])
    return None if bounds is None else Layout(toc, bounds)


def count_samples(payload: bytes) -> int:
    """How much a packet plays, at 48 kHz; 0 for what is no Opus packet. As `parse`, but cheap for the common one."""
    if payload and not payload[0] & 0x03:
        return _FRAME_SAMPLES[payload[0] >> 3] if len(payload) <= 1 + MAX_FRAME_BYTES else 0
    layout = parse(payload)
    return 0 if layout is None else layout.samples


def is_rest(payload: bytes) -> bool:
    """Whether the packet only says that the speaker is silent (DTX): no frame of it has more than a byte."""
    return len(payload) <= 2


def has_redundancy(payload: bytes) -> bool:
    """Whether the packet carries its predecessor once more, coarsely (LBRR: RFC 6716 §2.1.7, §4.2.4).

    The flags are the first bits of the first SILK frame, coded with even odds and hence legible as they stand:
    for each channel the voice activity of every 20 ms, then the LBRR flag.
    """
    layout = parse(payload)
    if layout is None or layout.mode == "celt":
        return False
    start, end = layout.bounds[0]
    if start == end:
        return False
    parts = max(1, _FRAME_SAMPLES[layout.toc >> 3] // 960)
    flags = payload[start]
    middle = flags >> (7 - parts) & 1
    side = flags >> (6 - 2 * parts) & 1 if layout.is_stereo else 0
    return bool(middle | side)


def join(payloads: Sequence[bytes]) -> bytes | None:
    """One packet with the frames of all, not a bit transcoded; None where they differ in kind or exceed 120 ms."""
    layouts = [parse(payload) for payload in payloads]
    frames: list[bytes] = []
    first = layouts[0] if layouts else None
    for payload, layout in zip(payloads, layouts, strict=True):
        if layout is None or first is None or layout.toc & 0xFC != first.toc & 0xFC:
            return None
        frames += [payload[start:end] for start, end in layout.bounds]
    if first is None or len(frames) * _FRAME_SAMPLES[first.toc >> 3] > MAX_PACKET_SAMPLES:
        return None
    return _build(first.toc & 0xFC, frames)


def rest_of(payload: bytes) -> bytes:
    """A packet of one byte that goes on from `payload` in silence: the same kind, with an empty frame."""
    return bytes([payload[0] & 0xFC])


def _build(kind: int, frames: Sequence[bytes]) -> bytes:
    sizes = [len(frame) for frame in frames]
    is_equal = len(set(sizes)) == 1
    if len(frames) == 1:
        head = bytes([kind])
    elif len(frames) == 2 and is_equal:
        head = bytes([kind | 1])
    elif len(frames) == 2:
        head = bytes([kind | 2]) + _size(sizes[0])
    elif is_equal:
        head = bytes([kind | 3, len(frames)])
    else:
        head = bytes([kind | 3, 0x80 | len(frames)]) + b"".join(_size(size) for size in sizes[:-1])
    return head + b"".join(frames)


def _size(size: int) -> bytes:
    """RFC 6716 §3.2.1."""
    if size < 252:
        return bytes([size])
    return bytes([252 + (size & 3), (size - (252 + (size & 3))) >> 2])


def _read_size(payload: bytes, at: int, end: int) -> tuple[int, int] | None:
    """The size written at `at`, and where reading goes on."""
    if at >= end:
        return None
    if payload[at] < 252:
        return payload[at], at + 1
    if at + 1 >= end:
        return None
    return 4 * payload[at + 1] + payload[at], at + 2


def _checked(bounds: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
    return bounds if all(0 <= end - start <= MAX_FRAME_BYTES for start, end in bounds) else None


def _two_of_their_own_size(payload: bytes) -> list[tuple[int, int]] | None:
    read = _read_size(payload, 1, len(payload))
    if read is None:
        return None
    size, start = read
    return _checked([(start, start + size), (start + size, len(payload))])


def _any_number(payload: bytes, frame_samples: int) -> list[tuple[int, int]] | None:
    """Code 3 (RFC 6716 §3.2.5): a byte with the count, padding, sizes where they vary, frames, the padding itself."""
    if len(payload) < 2:
        return None
    count = payload[1] & 0x3F
    if count == 0 or count * frame_samples > MAX_PACKET_SAMPLES:
        return None
    at, end = 2, len(payload)
    if payload[1] & 0x40:
        while True:
            if at >= end:
                return None
            more = payload[at]
            at += 1
            end -= min(more, 254)
            if more != 255:
                break
    if end < at:
        return None
    if payload[1] & 0x80:
        return _of_their_own_size(payload, count, at, end)
    size, remainder = divmod(end - at, count)
    return None if remainder else _checked([(at + size * each, at + size * (each + 1)) for each in range(count)])


def _of_their_own_size(payload: bytes, count: int, at: int, end: int) -> list[tuple[int, int]] | None:
    sizes = []
    for _ in range(count - 1):
        read = _read_size(payload, at, end)
        if read is None:
            return None
        size, at = read
        sizes.append(size)
    bounds = []
    for size in sizes:
        bounds.append((at, at + size))
        at += size
    bounds.append((at, end))
    return _checked(bounds)
