"""`python -m benchmarks mix-loss`: what listeners under loss hear, through real servers and sockets. Edge.

One speaker says four voices one after another. Listeners lose 0 to 30 % of the RTP packets that reach them, drawn anew
for each, and say so in receiver reports as browsers do. Each decodes what it has: redundant copies (RED, RFC 2198)
where it is sent them, else in-band FEC, else concealment. The first seconds, in which a server learns of the loss, do
not count. PESQ wideband is against what was said; *made up* is the share of frames that no copy brought.
"""

import asyncio
import contextlib
import itertools
import random
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
from msgspec import Struct

from benchmarks.mixer_quality import Measure
from benchmarks.mixer_sources import FRAME, RATE_HZ, SPEAKER, Samples, decode, encode, find, make_opus, read_voices
from benchmarks.results import markdown
from benchmarks.servers import Server, Space
from sfu.audio import red
from tests.harness import rtp
from tests.harness.ledger import Heard, Ledger
from tests.harness.wire import Manner, WirePeer

OPUS, RED = 111, 63
LOSSES = (0.0, 0.1, 0.2, 0.3)
LEARNING_S = 5.0
REPORT_S = 1.0
FRAME_S = FRAME / RATE_HZ


class LossScore(Struct, frozen=True, kw_only=True):
    server: str
    loss: float
    is_red_offered: bool
    pesq: float
    made_up: float
    """Share of the frames."""
    bytes_per_s: float
    """Of RTP payload, sent to this listener."""


class Losing(Ledger):
    """A listener's ear: loses packets before it looks at them, and remembers what a receiver report must say."""

    def __init__(self, loss: float, seed: int) -> None:
        super().__init__()
        self._loss, self._chance = loss, random.Random(seed)
        self._first: int | None = None
        self._reported = (0, 0)
        self.payload_bytes = 0

    def on_packet(self, packet: rtp.Packet) -> Heard:
        self.payload_bytes += len(packet.payload)
        if self._chance.random() >= self._loss:
            return super().on_packet(packet)
        return Heard(packet, None, packet.sequence, packet.timestamp)

    def block(self) -> rtp.ReportBlock | None:
        """RFC 3550 §6.4.1, of the first stream that came."""
        heard = self.heard
        if not heard:
            return None
        sequences = [each.sequence for each in heard if each.packet.ssrc == heard[0].packet.ssrc]
        expected, received = max(sequences) - sequences[0] + 1, len(sequences)
        lately_expected, lately = expected - self._reported[0], received - self._reported[1]
        self._reported = expected, received
        fraction = max(0, 256 * (lately_expected - lately) // lately_expected) if lately_expected > 0 else 0
        return rtp.ReportBlock(
            ssrc=heard[0].packet.ssrc,
            fraction_lost=min(255, fraction),
            cumulative_lost=max(0, expected - received),
            highest_sequence=max(sequences) & 0xFFFFFFFF,
            jitter=0,
            last_sr=0,
            delay_since_last_sr=0,
        )

    def frames(self) -> dict[int, bytes]:
        """Opus payloads by timestamp: of what came, and of what came with it."""
        found: dict[int, bytes] = {}
        for heard in self.heard:
            if heard.packet.payload_type != RED:
                found[heard.timestamp] = heard.packet.payload
                continue
            for block in red.parse(heard.packet.payload) or []:
                if block.offset == 0 or heard.timestamp - block.offset not in found:
                    found[heard.timestamp - block.offset] = block.payload
        return found


@dataclass
class Listener:
    peer: WirePeer
    ear: Losing
    loss: float
    is_red_offered: bool


async def measure(server: Server, *, cpu: int, pesq: Measure) -> list[LossScore]:
    """All losses at once, each with RED offered and without."""
    opus = make_opus()
    said = np.concatenate([voice[: 5 * RATE_HZ] for voice in read_voices() * 2])
    payloads = encode(said, SPEAKER, opus=opus)
    with tempfile.TemporaryDirectory(prefix="palco-loss-") as workdir:
        running = await server.start(Path(workdir), cpu, speakers=1)
        try:
            async with _joined(await running.open_space("loss")) as (speaker, listeners):
                await _say(speaker, payloads, listeners)
        finally:
            await running.stop()
    return [_score(server.name, each, said, pesq) for each in listeners]


@contextlib.asynccontextmanager
async def _joined(space: Space) -> AsyncIterator[tuple[WirePeer, list[Listener]]]:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx2.AsyncClient(timeout=20))
        speaker = await stack.enter_async_context(WirePeer("speaker", Manner(sections=["sendonly"])))
        await _join(client, speaker, space.whip_url, space.speaker_token(0), has_red=False)
        speaker.say(payload=b"\xf8\xff\xfe")
        listeners = []
        for number, (loss, has_red) in enumerate(itertools.product(LOSSES, (False, True))):
            peer = await stack.enter_async_context(WirePeer(f"listener-{number}", Manner(sections=["recvonly"])))
            ear = Losing(loss, seed=number)
            peer.ledger = ear
            await _join(client, peer, space.whep_url, space.listener_token(number), has_red=has_red)
            listeners.append(Listener(peer, ear, loss, has_red))
        yield speaker, listeners


async def _join(client: httpx2.AsyncClient, peer: WirePeer, url: str, token: str, *, has_red: bool) -> None:
    offer = peer.offer().sdp()
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    response = await client.post(url, content=with_red(offer) if has_red else offer, headers=headers)
    response.raise_for_status()
    await peer.connect(response.text)


def with_red(offer: str) -> str:
    """Prefers RED, as a browser that was told to."""
    offer = offer.replace(f"UDP/TLS/RTP/SAVPF {OPUS}", f"UDP/TLS/RTP/SAVPF {RED} {OPUS}")
    mapped = f"a=rtpmap:{OPUS} opus/48000/2"
    return offer.replace(mapped, f"a=rtpmap:{RED} red/48000/2\r\na=fmtp:{RED} {OPUS}/{OPUS}\r\n{mapped}")


async def _say(speaker: WirePeer, payloads: list[bytes], listeners: list[Listener]) -> None:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for place, payload in enumerate(payloads):
        await asyncio.sleep(max(0.0, began_s + place * FRAME_S - loop.time()))
        speaker.say(payload=payload, level_dbov=-25)
        if place % round(REPORT_S / FRAME_S) == 0:
            for listener in listeners:
                if (block := listener.ear.block()) is not None:
                    listener.peer.send_rtcp(rtp.build_receiver_report(listener.peer.ssrc, [block]))
    await asyncio.sleep(0.5)


def _score(name: str, listener: Listener, said: Samples, pesq: Measure) -> LossScore:
    frames = listener.ear.frames()
    first, last = min(frames), max(frames)
    timeline = [frames.get(at) for at in range(first, last + 1, FRAME)]
    heard = decode(timeline, opus=make_opus())
    skipped = round(LEARNING_S * RATE_HZ)
    piece = said[skipped : len(said) - RATE_HZ]
    at = find(piece[: 2 * RATE_HZ], heard)
    size = min(len(piece), len(heard) - at)
    counted = timeline[at // FRAME : (at + size) // FRAME]
    # PESQ looks at no more than some ten seconds well.
    step = 10 * RATE_HZ
    scores = [
        pesq(piece[begin : begin + step], heard[at + begin : at + begin + step])
        for begin in range(0, size - step + 1, step)
    ]
    return LossScore(
        server=name,
        loss=listener.loss,
        is_red_offered=listener.is_red_offered,
        pesq=float(np.mean(scores)),
        made_up=sum(payload is None for payload in counted) / len(counted),
        bytes_per_s=listener.ear.payload_bytes / (len(said) / RATE_HZ),
    )


def table(scores: list[LossScore]) -> str:
    rows = [
        (
            score.server,
            f"{score.loss:.0%}",
            "RED" if score.is_red_offered else "–",
            f"{score.pesq:.2f}",
            f"{score.made_up:.2%}",
            f"{score.bytes_per_s * 8 / 1000:.0f}",
        )
        for score in scores
    ]
    return markdown(("server", "loss", "offered", "PESQ", "made up", "kbit/s"), rows)
