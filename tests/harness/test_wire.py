"""The test client against another's stack, aiortc's, so that a fault here is not taken for one of the server."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCIceTransportPolicy, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from aiortc.stats import RTCInboundRtpStreamStats

from tests.harness import sdp
from tests.harness.dtls import make_certificate
from tests.harness.wire import Manner, WirePeer

pytestmark = pytest.mark.live


@pytest.fixture
async def far() -> AsyncIterator[RTCPeerConnection]:
    """A peer that sends 20 ms frames of silence and gathers nothing by itself."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[], iceTransportPolicy=RTCIceTransportPolicy.RELAY))
    peer.addTrack(AudioStreamTrack())
    yield peer
    await peer.close()


async def answer(far: RTCPeerConnection, offer: str) -> str:
    """The far peer's answer, its only candidate on loopback, where aiortc does not look of its own accord."""
    await far.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
    ice = far.getTransceivers()[0].receiver.transport.transport.iceGatherer._connection
    ice._local_candidates += await ice.get_component_candidates(component=1, addresses=["127.0.0.1"])
    await far.setLocalDescription(await far.createAnswer())
    return str(far.localDescription.sdp)


async def received(far: RTCPeerConnection) -> RTCInboundRtpStreamStats:
    report = await far.getReceivers()[0].getStats()
    return next(stats for stats in report.values() if isinstance(stats, RTCInboundRtpStreamStats))


@pytest.mark.parametrize("setup", ["active", "passive", "actpass"])
async def test_speaks_and_hears_in_either_role(far: RTCPeerConnection, setup: str) -> None:
    directions: list[sdp.Direction] = ["sendrecv"]
    manner = Manner(sections=directions, setup=setup, certificate=make_certificate())
    async with WirePeer("near", manner) as peer:
        host, port = peer.path.address
        candidate = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"
        offer = replace(peer.offer(), extra_lines=[candidate, "a=end-of-candidates"])
        await peer.connect(await answer(far, offer.sdp()))
        await peer.talk(20)
        await peer.until(lambda: len(peer.ledger.heard) >= 20, what="hearing 20 packets of silence")
        inbound = await received(far)
    assert inbound.packetsReceived == peer.said
    assert inbound.packetsLost == 0
    assert not peer.ledger.breaks()
    assert not peer.dropped
