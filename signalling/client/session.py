"""Speaking into a space and listening to one, as context managers. Edge."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx2
from aiortc import (
    MediaStreamTrack,
    RTCInboundRtpStreamStats,
    RTCOutboundRtpStreamStats,
    RTCPeerConnection,
    RTCRemoteInboundRtpStreamStats,
    RTCStatsReport,
)

from signalling.client.peer import accept_answer, make_offer, new_peer
from signalling.client.resource import Kind, Place, Resource, ResourceClient

T = TypeVar("T")


@dataclass(frozen=True)
class Statistics:
    """Packets since the session began. For a speaker `lost` is what the server reports."""

    packets: int
    lost: int
    jitter_s: float = 0.0
    round_trip_s: float = 0.0

    @property
    def lost_fraction(self) -> float:
        expected = self.packets + max(self.lost, 0)
        return max(self.lost, 0) / expected if expected else 0.0


@dataclass(frozen=True)
class Speaking:
    """A WHIP session that stands."""

    peer: RTCPeerConnection
    resource: Resource

    async def statistics(self) -> Statistics:
        report = await self.peer.getStats()
        return Statistics(
            packets=sum(entry.packetsSent for entry in _entries(report, RTCOutboundRtpStreamStats)),
            lost=sum(entry.packetsLost for entry in _entries(report, RTCRemoteInboundRtpStreamStats)),
            round_trip_s=max(
                (entry.roundTripTime or 0.0 for entry in _entries(report, RTCRemoteInboundRtpStreamStats)), default=0.0
            ),
        )


@dataclass(frozen=True)
class Listening:
    """A WHEP session that stands; `tracks` has one for each slot, in the order of the offer."""

    peer: RTCPeerConnection
    resource: Resource
    tracks: tuple[MediaStreamTrack, ...]

    async def statistics(self) -> Statistics:
        received = _entries(await self.peer.getStats(), RTCInboundRtpStreamStats)
        return Statistics(
            packets=sum(entry.packetsReceived for entry in received),
            lost=sum(entry.packetsLost for entry in received),
            jitter_s=max((entry.jitter for entry in received), default=0) / 48_000,
        )


@asynccontextmanager
async def publish(
    place: Place,
    track: MediaStreamTrack,
    *,
    patience_s: float = 0.0,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Speaking]:
    """Speaks `track` into the space until the block is left. Raises RefusedError, ConnectFailedError."""
    peer = new_peer()
    peer.addTransceiver(track, direction="sendonly")
    async with _session(place, "whip", peer, patience_s=patience_s, transport=transport) as resource:
        yield Speaking(peer=peer, resource=resource)


@asynccontextmanager
async def listen(
    place: Place,
    *,
    slots: int = 1,
    patience_s: float = 0.0,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Listening]:
    """Hears the space: its mix or loudest speaker with one slot, its `slots` loudest with more. Raises as publish."""
    peer = new_peer()
    for _ in range(slots):
        peer.addTransceiver("audio", direction="recvonly")
    async with _session(place, "whep", peer, patience_s=patience_s, transport=transport) as resource:
        tracks = tuple(transceiver.receiver.track for transceiver in peer.getTransceivers())
        yield Listening(peer=peer, resource=resource, tracks=tracks)


@asynccontextmanager
async def _session(
    place: Place,
    kind: Kind,
    peer: RTCPeerConnection,
    *,
    patience_s: float,
    transport: httpx2.AsyncBaseTransport | None,
) -> AsyncIterator[Resource]:
    """One session from offer to DELETE; the peer is closed whatever happens."""
    try:
        async with ResourceClient(place.token, transport=transport) as client:
            offer = await make_offer(peer)
            resource = await client.create(place.endpoint(kind), offer, patience_s=patience_s)
            try:
                await accept_answer(peer, resource.answer)
                yield resource
            finally:
                await client.delete(resource)
    finally:
        await peer.close()


def _entries(report: RTCStatsReport, kind: type[T]) -> list[T]:
    return [entry for entry in report.values() if isinstance(entry, kind)]
