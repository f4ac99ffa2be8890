"""Plain RTP through taps: RFC 3550 §5.1, RFC 8285 §4.2, RFC 6464."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.audio import rtp
from sfu.audio.rtp import Packet

packets = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(min_size=1, max_size=40),
    level_dbov=st.none() | st.integers(-127, 0),
)


@given(packets, st.booleans())
def test_what_is_built_is_parsed(packet: Packet, is_first: bool) -> None:
    assert rtp.parse(rtp.build(packet, is_first=is_first)) == packet


@given(st.binary(max_size=60))
def test_any_bytes_give_a_payload_within_them_or_none(datagram: bytes) -> None:
    packet = rtp.parse(datagram)
    assert packet is None or (packet.payload and packet.payload in datagram)


def test_every_truncation_is_refused_or_shortens_the_payload() -> None:
    datagram = rtp.build(Packet(111, 1, 2, 3, b"payload", -30), is_first=False)
    for length in range(len(datagram)):
        packet = rtp.parse(datagram[:length])
        assert packet is None or b"payload".startswith(packet.payload)


def test_sequence_and_timestamp_wrap() -> None:
    packet = rtp.parse(rtp.build(Packet(111, 0x1_0001, 0x1_0000_0002, 3, b"x"), is_first=False))
    assert packet is not None
    assert (packet.sequence, packet.timestamp) == (1, 2)


def test_the_marker_begins_a_talkspurt() -> None:
    packet = Packet(111, 1, 2, 3, b"x")
    assert [rtp.build(packet, is_first=is_first)[1] for is_first in (False, True)] == [111, 0x80 | 111]


def test_sources_padding_and_other_extensions_are_stepped_over() -> None:
    csrc = bytes(4)
    extensions = bytes([0xBE, 0xDE, 0, 2]) + bytes([0x31, 7, 7, 0x00, 0x10, 0x80 | 42, 0, 0])
    datagram = bytes([0xB1, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]) + csrc + extensions + b"sound" + bytes([0, 0, 3])
    assert rtp.parse(datagram) == Packet(111, 1, 2, 3, b"sound", -42)


def test_nothing_but_padding_is_no_packet() -> None:
    datagram = bytes([0xA0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 3])
    assert rtp.parse(datagram) is None


def test_padding_longer_than_the_packet_is_refused() -> None:
    datagram = bytes([0xA0, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 255])
    assert rtp.parse(datagram) is None


def test_another_version_is_refused() -> None:
    assert rtp.parse(bytes([0x40, 111]) + bytes(20)) is None
