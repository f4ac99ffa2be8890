"""The client's media against aiortc as the server: what is spoken is heard, on loopback alone."""

import math
import re
from collections.abc import AsyncIterator

import httpx2
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from av import AudioFrame

from signalling.client.peer import ConnectFailedError, new_peer, read_candidates, source_address
from signalling.client.problem import RefusedError
from signalling.client.resource import Place
from signalling.client.session import listen, publish
from signalling.client.sound import SAMPLE_RATE_HZ
from signalling.client.sources import ToneTrack

PLACE = Place(url="http://palco.example", space="demo", token="token")


class Relay:
    """A WHIP and WHEP endpoint in this process: every listener's every section carries the one speaker."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._peers: list[RTCPeerConnection] = []
        self._spoken: MediaStreamTrack | None = None
        self.deleted: list[str] = []
        self.offers: list[str] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            self.deleted.append(request.url.path)
            return httpx2.Response(200)
        offer = request.content.decode()
        self.offers.append(offer)
        peer = new_peer()
        self._peers.append(peer)
        peer.on("track", self._keep)
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if request.url.path.startswith("/whep"):
            self._speak_to(peer)
        headers = {"location": f"{request.url.path}/{len(self._peers)}", "etag": '"one"'}
        return httpx2.Response(201, headers=headers, text=await self._answer(peer))

    def _keep(self, track: MediaStreamTrack) -> None:
        self._spoken = self._spoken or track

    def _speak_to(self, peer: RTCPeerConnection) -> None:
        assert self._spoken is not None
        for transceiver in peer.getTransceivers():
            transceiver.direction = "sendonly"
            transceiver.sender.replaceTrack(self._relay.subscribe(self._spoken))

    async def _answer(self, peer: RTCPeerConnection) -> str:
        """With one candidate on loopback, which aiortc would not gather, in the first section alone."""
        ice = peer.getTransceivers()[0].receiver.transport.transport.iceGatherer._connection
        ice._local_candidates += await ice.get_component_candidates(component=1, addresses=["127.0.0.1"])
        await peer.setLocalDescription(await peer.createAnswer())
        first, *others = peer.localDescription.sdp.split("m=")[1:]
        session = peer.localDescription.sdp.partition("m=")[0]
        bare = [re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", section) for section in others]
        return "m=".join([session, first, *bare])

    async def close(self) -> None:
        for peer in self._peers:
            await peer.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    yield relay
    await relay.close()


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE_HZ / len(samples)


async def hear(track: MediaStreamTrack, *, frames: int) -> np.ndarray:
    """The left channel of the next frames."""
    heard = []
    for _ in range(frames):
        frame = await track.recv()
        assert isinstance(frame, AudioFrame)
        heard.append(frame.to_ndarray().reshape(-1, 2)[:, 0])
    return np.concatenate(heard).astype(np.float64)


@pytest.mark.live
async def test_what_is_spoken_is_heard_in_every_slot(relay: Relay) -> None:
    transport = httpx2.MockTransport(relay)
    async with publish(PLACE, ToneTrack(440), transport=transport) as speaking:
        async with listen(PLACE, slots=2, transport=transport) as listening:
            for track in listening.tracks:
                heard = await hear(track, frames=60)
                # The first ten frames may be the encoder's start; 50 frames are 1 s: 1 Hz apart.
                assert math.isclose(loudest_hz(heard[9600:]), 440, abs_tol=2)
            received = await listening.statistics()
        sent = await speaking.statistics()
    assert received.packets >= 2 * 60
    assert received.lost == 0
    assert sent.packets >= 60


@pytest.mark.live
async def test_sessions_are_deleted_at_the_end(relay: Relay) -> None:
    transport = httpx2.MockTransport(relay)
    async with publish(PLACE, ToneTrack(440), transport=transport):
        assert relay.deleted == []
    assert relay.deleted == ["/whip/demo/1"]


@pytest.mark.live
async def test_the_offer_names_no_address_of_this_machine(relay: Relay) -> None:
    transport = httpx2.MockTransport(relay)
    async with publish(PLACE, ToneTrack(440), transport=transport):
        (offer,) = relay.offers
    assert "a=candidate" not in offer
    assert "a=end-of-candidates" not in offer


async def test_a_refused_offer_leaves_nothing_behind() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(403))
    track = ToneTrack(440)
    with pytest.raises(RefusedError):
        async with publish(PLACE, track, transport=transport):
            raise AssertionError("not reached")


async def test_an_answer_that_is_no_sdp_ends_the_session() -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.method)
        return httpx2.Response(201, headers={"location": "/whip/demo/1"}, text="m=audio nonsense")

    with pytest.raises(ConnectFailedError):
        async with publish(PLACE, ToneTrack(440), transport=httpx2.MockTransport(answer)):
            raise AssertionError("not reached")
    assert asked == ["POST", "DELETE"]


def test_the_candidates_of_an_answer_are_read_once_each() -> None:
    candidate = "a=candidate:1 1 udp 2130706431 127.0.0.1 7882 typ host\r\n"
    tcp = "a=candidate:2 1 tcp 2130706431 127.0.0.1 7881 typ host tcptype passive\r\n"
    section = f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n{candidate}{tcp}{candidate}"
    answer = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{section}{section}"
    assert [(candidate.ip, candidate.port) for candidate in read_candidates(answer)] == [("127.0.0.1", 7882)]


def test_loopback_is_reached_from_loopback() -> None:
    assert source_address("127.0.0.1", 7882) == "127.0.0.1"
