"""The process behind `benchmarks.peers.aiortc_relay`: python -m benchmarks.peers.aiortc_server PORT. Edge."""

import asyncio
import secrets
import sys
from collections import defaultdict
from fractions import Fraction

import aioice.ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.rtp import RtpPacket
from av.packet import Packet
from av.stream import Stream

from benchmarks.peers.doorway import Joined, serve

TIME_BASE = Fraction(1, 48_000)


class Undecoded(MediaStreamTrack):
    """The Opus packets of one speaker as they came."""

    kind = "audio"

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        super().__init__()
        self._packets: asyncio.Queue[Packet[Stream]] = asyncio.Queue()
        # aiortc has no public way to packets that are not decoded; this is where it hands them to its jitter buffer.
        receiver._handle_rtp_packet = self._take  # type: ignore[method-assign, assignment]

    async def recv(self) -> "Packet[Stream]":
        return await self._packets.get()

    async def _take(self, arrived: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG002  # aiortc's signature
        packet: Packet[Stream] = Packet(arrived.payload)
        packet.pts, packet.time_base = arrived.timestamp, TIME_BASE
        self._packets.put_nowait(packet)


class Relay:
    """Rooms of aiortc connections. Speakers join first: a listener gets those who are there."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._speakers: defaultdict[str, list[Undecoded]] = defaultdict(list)
        self._connections: dict[str, RTCPeerConnection] = {}

    async def open(self) -> None:
        """Nothing stands behind it."""

    async def publish(self, room: str, offer: str) -> Joined:
        connection = await self._connection(offer)
        self._speakers[room] += [Undecoded(line.receiver) for line in connection.getTransceivers()]
        return await self._answer(connection)

    async def listen(self, room: str, offer: str) -> Joined:
        connection = await self._connection(offer)
        for track in self._speakers[room]:
            connection.addTrack(self._relay.subscribe(track))
        return await self._answer(connection)

    async def leave(self, session: str) -> None:
        await self._connections.pop(session).close()

    async def _connection(self, offer: str) -> RTCPeerConnection:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        return connection

    async def _answer(self, connection: RTCPeerConnection) -> Joined:
        await connection.setLocalDescription(await connection.createAnswer())
        session = secrets.token_hex(8)
        self._connections[session] = connection
        return Joined(session, connection.localDescription.sdp)


if __name__ == "__main__":
    # aioice leaves the loopback addresses out.
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # noqa: ARG005
    serve(Relay(), int(sys.argv[1]))
