"""Redundant audio (RFC 2198) for a listener that reports loss, and for no other, end to end."""

from pathlib import Path

import pytest

from sfu.audio import red
from sfu.contract.messages import SessionConnected, SessionOpened
from tests.harness import rtp
from tests.harness.wire import Manner, WirePeer
from tests.sfu.live_sfu import PAYLOAD_TYPE, LiveSfu, answer_of

pytestmark = pytest.mark.live

RED = 63
PAYLOADS = [bytes([31 << 3, n]) * 30 for n in range(200)]
"""Each unlike any other, so that every block names its packet."""


async def listen(sfu: LiveSfu, name: str, *, red_payload_type: int | None) -> WirePeer:
    peer = await sfu.peer(name, Manner(sections=["recvonly"]))
    opened = await sfu.open(peer, "whep", red_payload_type=red_payload_type)
    assert isinstance(opened, SessionOpened), opened
    await peer.connect(answer_of(opened, peer))
    await sfu.signalling.hears(SessionConnected, session=f"session-of-{name}")
    return peer


def report_loss(peer: WirePeer, *, percent: int) -> None:
    """On the one stream that the peer hears."""
    ssrc = peer.ledger.heard[-1].packet.ssrc
    peer.send_rtcp(rtp.build_receiver_report(1, [rtp.ReportBlock(ssrc, 256 * percent // 100, 0, 0, 0, 0, 0)]))


async def hears(peer: WirePeer, packets: int) -> None:
    await peer.until(lambda: len(peer.ledger.heard) == packets, what=f"hearing {packets} packets")


async def test_only_who_reports_loss_and_understands_it_is_sent_older_packets_too(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path) as sfu:
        ana = await sfu.join("ana", "whip")
        lossy = await listen(sfu, "lossy", red_payload_type=RED)
        clean = await listen(sfu, "clean", red_payload_type=RED)
        plain = await listen(sfu, "plain", red_payload_type=None)
        everyone = [lossy, clean, plain]
        for payload in PAYLOADS[:100]:
            ana.say(payload=payload)
        for peer in everyone:
            await hears(peer, 100)
        report_loss(lossy, percent=15)
        report_loss(clean, percent=0)
        report_loss(plain, percent=15)
        for payload in PAYLOADS[100:]:
            ana.say(payload=payload)
        for peer in everyone:
            await hears(peer, 200)

    for peer in (clean, plain):
        assert [heard.packet.payload for heard in peer.ledger.heard] == PAYLOADS
    late = [heard.packet for heard in lossy.ledger.heard[102:]]
    assert {packet.payload_type for packet in late} == {RED}
    for n, packet in enumerate(late, start=102):
        blocks = red.parse(packet.payload)
        assert blocks is not None
        assert [(block.payload_type, block.offset, block.payload) for block in blocks] == [
            (PAYLOAD_TYPE, 1920, PAYLOADS[n - 2]),
            (PAYLOAD_TYPE, 960, PAYLOADS[n - 1]),
            (PAYLOAD_TYPE, 0, PAYLOADS[n]),
        ]
