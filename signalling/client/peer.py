"""aiortc's peer connection, sending from exactly the addresses that lead to the server. Edge (sockets).

aioice gathers every address of the machine but loopback, asks a public STUN server by default, and only then learns
where the server is. A client of an ICE-lite server needs none of that: the server has said its addresses, so one socket
for each, bound to the address the kernel routes from, is enough. That works on loopback alone, and nothing leaves the
machine that need not.
"""

import asyncio
import socket

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import SessionDescription

CONNECT_TIMEOUT_S = 15.0


class ConnectFailedError(Exception):
    """The answer came but media cannot flow; the text says what to check."""


def new_peer() -> RTCPeerConnection:
    """A connection that gathers nothing itself: a relay-only policy with no relay (RFC 9429 §3.5.3)."""
    return RTCPeerConnection(
        RTCConfiguration(
            iceServers=[],
            iceTransportPolicy=RTCIceTransportPolicy.RELAY,
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
        )
    )


async def make_offer(peer: RTCPeerConnection) -> str:
    """An offer without candidates: the server learns the address from the first check (RFC 8445 §7.3.1.3)."""
    await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp.replace("a=end-of-candidates\r\n", "")


async def accept_answer(peer: RTCPeerConnection, answer: str) -> None:
    """Opens sockets towards the answer's candidates and connects. Raises ConnectFailedError."""
    candidates = read_candidates(answer)
    remotes = [(candidate.ip, candidate.port) for candidate in candidates]
    sources = sorted({source for host, port in remotes if (source := source_address(host, port))})
    if not sources:
        raise ConnectFailedError(
            f"No route to the server's media address {', '.join(host for host, _ in remotes) or '(none given)'}: "
            "check rtc.node_ip in the server's configuration."
        )
    # aiortc has no option that names the addresses; its aioice connection takes them, and must know of them to start.
    ice = peer.getTransceivers()[0].receiver.transport.transport.iceGatherer._connection
    ice._local_candidates += await ice.get_component_candidates(component=1, addresses=sources)
    await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    # Of a bundle aiortc reads the last section's candidates; they stand in the first alone (RFC 9143 §7.1.3).
    for candidate in candidates:
        await peer.addIceCandidate(candidate)
    await _connected(peer, remotes)


def read_candidates(answer: str) -> list[RTCIceCandidate]:
    """The UDP candidates of an answer, each address once, in its order. Raises ConnectFailedError."""
    try:
        sections = SessionDescription.parse(answer).media
    except (AssertionError, IndexError, KeyError, ValueError) as error:  # how aiortc's parser says no
        raise ConnectFailedError("The server's answer is no SDP that this client understands.") from error
    found: dict[tuple[str, int], RTCIceCandidate] = {}
    for section in sections:
        for candidate in section.ice_candidates:
            if candidate.protocol.lower() == "udp":
                candidate.sdpMid = sections[0].rtp.muxId
                found.setdefault((candidate.ip, candidate.port), candidate)
    return list(found.values())


def source_address(host: str, port: int) -> str | None:
    """The local address that the kernel would send from; None where there is no route. Sends nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((host, port))
            return str(probe.getsockname()[0])
    except OSError:
        return None


async def _connected(peer: RTCPeerConnection, remotes: list[tuple[str, int]]) -> None:
    settled: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @peer.on("connectionstatechange")
    def settle() -> None:
        if peer.connectionState in {"connected", "failed", "closed"} and not settled.done():
            settled.set_result(peer.connectionState)

    settle()
    try:
        state = await asyncio.wait_for(settled, CONNECT_TIMEOUT_S)
    except TimeoutError:
        state = "still connecting"
    if state != "connected":
        tried = ", ".join(f"{host} port {port}" for host, port in remotes)
        raise ConnectFailedError(
            f"The server answered, but no media connection to UDP {tried} came about ({state}, "
            f"{CONNECT_TIMEOUT_S:.0f} s): check the firewall and rtc.node_ip in the server's configuration."
        )
