"""The listener under loss: what it reports, and what it makes of redundant copies."""

import pytest

from benchmarks.mix_loss import RED, Losing, with_red
from sfu.audio import red
from tests.harness import rtp, sdp

FRAME = 960


def packet(number: int, payload: bytes = b"\xf8abc", *, payload_type: int = 111) -> rtp.Packet:
    return rtp.Packet(payload_type=payload_type, sequence=number, timestamp=number * FRAME, ssrc=7, payload=payload)


def test_it_reports_what_it_lost_since_the_last_time_and_in_all() -> None:
    ear = Losing(0.0, seed=1)
    for number in (1, 2, 4):
        ear.on_packet(packet(number))
    first = ear.block()
    assert first is not None
    # One of four: 256 / 4.
    assert (first.fraction_lost, first.cumulative_lost, first.highest_sequence) == (64, 1, 4)
    for number in (5, 6):
        ear.on_packet(packet(number))
    second = ear.block()
    assert second is not None
    assert (second.fraction_lost, second.cumulative_lost) == (0, 1)


def test_it_loses_its_share() -> None:
    ear = Losing(0.2, seed=3)
    for number in range(5000):
        ear.on_packet(packet(number))
    # The deviation of a share of 0.2 over 5,000 draws is sqrt(0.2 x 0.8 / 5000) = 0.0057.
    assert 1 - len(ear.heard) / 5000 == pytest.approx(0.2, abs=0.02)


def test_a_copy_stands_in_only_where_the_packet_itself_is_missing() -> None:
    ear = Losing(0.0, seed=1)
    ear.on_packet(packet(1, b"\xf8first"))
    older = [red.Block(111, 2 * FRAME, b"\xf8copy1"), red.Block(111, FRAME, b"\xf8copy2")]
    copies = [*older, red.Block(111, 0, b"\xf8third")]
    ear.on_packet(packet(3, red.build(copies), payload_type=RED))
    assert ear.frames() == {FRAME: b"\xf8first", 2 * FRAME: b"\xf8copy2", 3 * FRAME: b"\xf8third"}


def test_its_offer_prefers_redundancy() -> None:
    offer = sdp.Offer(sections=["recvonly"], ufrag="u", pwd="p", fingerprint="f").sdp()
    lines = with_red(offer).split("\r\n")
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 63 111" in lines
    assert "a=rtpmap:63 red/48000/2" in lines
    assert "a=fmtp:63 111/111" in lines
