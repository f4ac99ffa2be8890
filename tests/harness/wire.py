"""A WebRTC client in plain Python over one UDP socket, which can also do what no honest client does. Edge.

ICE by aioice's STUN codec, DTLS by pyOpenSSL, SRTP by libsrtp, RTP by `tests.harness.rtp`: nothing of the server's.
Every wait is for something to happen and says, when it does not, what was awaited.
"""

import asyncio
import itertools
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Self

import pylibsrtp
from aioice import stun

from tests.harness import ice, rtp, sdp
from tests.harness.dtls import PROFILES, Certificate, Handshake, Keys, shared_certificate
from tests.harness.ledger import Heard, Ledger, Stamp, build_payload
from tests.harness.path import Path, open_path
from tests.harness.tcp_path import open_tcp_path

WITHIN_S = 15.0
"""How long anything may take before its test fails: far above a loaded machine's worst, below a test's own limit."""
FRAME_S = 0.02
CHECK_RETRY_S = 0.25


@dataclass(frozen=True)
class Manner:
    """How a client sets up; the defaults are a browser's."""

    sections: list[sdp.Direction]
    setup: str = "actpass"
    profiles: list[bytes] = field(default_factory=lambda: list(PROFILES))
    level_extension: int = 1
    mid_extension: int = 4
    announces_ssrc: bool = True
    first_sequence: int | None = None
    ssrc: int | None = None
    host: str = "127.0.0.1"
    certificate: Certificate = field(default_factory=shared_certificate)
    claimed_fingerprint: str | None = None
    """Stands in the offer in place of the certificate's own."""


class WirePeer:
    """One peer connection: `async with` opens its port, then `offer`, `connect` with the answer, `say` and `hears`."""

    def __init__(self, name: str, manner: Manner) -> None:
        self.name = name
        self.manner = manner
        self.number = secrets.randbits(32)
        """Stamped into every packet that this peer says."""
        self.ledger = Ledger()
        self.dropped: Counter[str] = Counter()
        """Datagrams that the server sent and that do not open, by libsrtp's reason: of an honest server, none."""
        self.reports: list[rtp.SenderReport | rtp.ReportBlock] = []
        self.said = 0
        self.ssrc = manner.ssrc if manner.ssrc is not None else secrets.randbits(32)
        self.sequence = manner.first_sequence if manner.first_sequence is not None else secrets.randbits(15)
        self.timestamp = secrets.randbits(32)
        self.local = ice.make_credentials()
        self.paths: list[Path] = []
        self.keys: Keys | None = None
        self.answer: sdp.Answer | None = None
        self._early: list[bytes] = []
        self._answers: dict[bytes, tuple[stun.Message, tuple[str, int]]] = {}
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.handshake: Handshake | None = None

    # Setting up

    def offer(self) -> sdp.Offer:
        manner = self.manner
        return sdp.Offer(
            sections=manner.sections,
            ufrag=self.local.ufrag,
            pwd=self.local.pwd,
            fingerprint=manner.claimed_fingerprint or manner.certificate.fingerprint,
            setup=manner.setup,
            ssrc=self.ssrc if manner.announces_ssrc else None,
            level_extension=manner.level_extension,
            mid_extension=manner.mid_extension,
        )

    async def connect(self, answer: str) -> None:
        """Checks, nominates and shakes hands; afterwards media may flow both ways."""
        await self.reach(answer)
        await self.secure()

    async def reach(self, answer: str) -> None:
        """ICE alone: the current path nominated."""
        self.accept(answer)
        await self.check(nominates=True)

    async def secure(self) -> None:
        """DTLS alone, over the current path; the server's certificate must be the one in its answer."""
        handshake = self.start_handshake()
        await self.until(lambda: handshake.is_done or bool(handshake.alerts), what="the DTLS handshake")
        assert handshake.is_done, f"{self.name}: the handshake failed: {handshake.alerts}"
        assert self.answer is not None
        assert self.answer.fingerprint.split(" ")[1] == handshake.peer_fingerprint()

    def accept(self, answer: str) -> None:
        self.answer = sdp.parse_answer(answer)
        if self.answer.setup == "active":
            self._make_handshake()

    def start_handshake(self) -> Handshake:
        """As client the first flight leaves now; as server it has been ready since the answer came."""
        handshake = self.handshake or self._make_handshake()
        handshake.start()
        self._flush_handshake()
        return handshake

    def _make_handshake(self) -> Handshake:
        assert self.answer is not None
        is_client = self.answer.setup == "passive"
        self.handshake = Handshake(self.manner.certificate, is_client=is_client, profiles=self.manner.profiles)
        return self.handshake

    async def open_path(self) -> Path:
        """A fresh local port, which becomes the current one."""
        path = await open_path(self.manner.host, self._on_datagram)
        self.paths.append(path)
        return path

    async def open_tcp_path(self, host: str, port: int) -> Path:
        """A connection in its place."""
        path = await open_tcp_path(host, port, self._on_datagram)
        self.paths.append(path)
        return path

    @property
    def path(self) -> Path:
        return self.paths[-1]

    @property
    def remote(self) -> ice.Credentials:
        assert self.answer is not None
        return ice.Credentials(self.answer.ufrag, self.answer.pwd)

    @property
    def server(self) -> tuple[str, int]:
        """The server's first candidate of this peer's family."""
        assert self.answer is not None
        version = ip_address(self.manner.host).version
        return next(pair for pair in self.answer.candidates if ip_address(pair[0]).version == version)

    async def check(self, *, nominates: bool, path: Path | None = None) -> stun.Message:
        """One authenticated check, repeated until it is answered; the answer, whose mapped address must be ours."""
        path = path or self.path
        transaction = secrets.token_bytes(12)
        request = ice.build_check(self.local, self.remote, nominates=nominates, transaction=transaction)
        async with self._repeating(lambda: path.send(request, self.server), every_s=CHECK_RETRY_S):
            await self.until(lambda: transaction in self._answers, what="an answer to the STUN check")
        message, mapped = self._answers[transaction]
        assert mapped == path.address, f"the server saw {mapped}, we are {path.address}"
        return message

    async def move(self) -> Path:
        """Changes the source port, as a NAT or a new network does, and nominates the new path."""
        path = await self.open_path()
        await self.check(nominates=True)
        return path

    def renew_credentials(self) -> ice.Credentials:
        """New names for an ICE restart; the DTLS association and the keys stay."""
        self.local = ice.make_credentials()
        return self.local

    def accept_restart(self, *, ufrag: str, pwd: str) -> None:
        assert self.answer is not None
        self.answer = replace(self.answer, ufrag=ufrag, pwd=pwd)

    # Speaking

    def build_packet(self, *, level_dbov: int = -20, payload: bytes | None = None) -> rtp.Packet:
        """The next packet in the clear, stamped unless a payload is given; with the extensions that the answer took."""
        section = self._sending_section()
        extensions = {}
        if number := section.extensions.get(sdp.LEVEL):
            extensions[number] = rtp.audio_level(level_dbov)
        if number := section.extensions.get(sdp.MID):
            extensions[number] = section.mid.encode()
        self.said += 1
        self.sequence += 1
        self.timestamp += rtp.FRAME_SAMPLES
        return rtp.Packet(
            payload_type=section.payload_types[0],
            sequence=self.sequence & 0xFFFF,
            timestamp=self.timestamp & 0xFFFFFFFF,
            ssrc=self.ssrc,
            marker=self.said == 1,
            extensions=extensions,
            payload=build_payload(Stamp(self.number, self.said)) if payload is None else payload,
        )

    def seal(self, packet: rtp.Packet) -> bytes:
        assert self.keys is not None, f"{self.name} has no SRTP keys yet"
        return self.keys.send.protect(rtp.build(packet))

    def say(self, *, level_dbov: int = -20, payload: bytes | None = None) -> Stamp:
        """Sends one packet now."""
        self.send(self.seal(self.build_packet(level_dbov=level_dbov, payload=payload)))
        return Stamp(self.number, self.said)

    def say_nothing(self) -> None:
        """Loses one packet on the way: the next one's sequence number shows the gap."""
        self.seal(self.build_packet())

    def send(self, datagram: bytes, *, path: Path | None = None) -> None:
        """Any bytes at all to the server's media port."""
        (path or self.path).send(datagram, self.server)

    def send_rtcp(self, compound: bytes) -> None:
        assert self.keys is not None
        self.send(self.keys.send.protect_rtcp(compound))

    @asynccontextmanager
    async def speaking(
        self, *, level_dbov: int = -20, payloads: Iterator[bytes | None] | None = None
    ) -> AsyncIterator[None]:
        """Says one packet every 20 ms for as long as the block runs: with a stamp, or what `payloads` have."""
        said = payloads or itertools.repeat(None)
        async with self._repeating(lambda: self.say(level_dbov=level_dbov, payload=next(said)), every_s=FRAME_S):
            yield

    async def talk(self, packets: int, *, level_dbov: int = -20) -> Stamp:
        """Says so many packets, one every 20 ms; the last one's stamp."""
        last = self.said + packets
        async with self.speaking(level_dbov=level_dbov):
            await self.until(lambda: self.said >= last, what=f"saying {packets} packets", within_s=packets)
        return Stamp(self.number, self.said)

    # Hearing

    async def hears(self, stamp: Stamp, *, within_s: float = WITHIN_S) -> Heard:
        """The packet with `stamp`, as soon as it has come."""
        await self.until(lambda: self._find(stamp) is not None, what=f"hearing {stamp}", within_s=within_s)
        found = self._find(stamp)
        assert found is not None
        return found

    def numbers(self, speaker: "WirePeer") -> list[int]:
        """Which of `speaker`'s packets have come, in order of arrival."""
        return self.ledger.numbers(speaker.number)

    async def until(self, holds: Callable[[], bool], *, what: str, within_s: float = WITHIN_S) -> None:
        """Waits until something that came or went makes `holds` true."""
        if holds():
            return
        future = asyncio.get_running_loop().create_future()
        self._waiters.append((holds, future))
        try:
            async with asyncio.timeout(within_s):
                await future
        except TimeoutError:
            raise AssertionError(
                f"{self.name}: {what} did not happen within {within_s} s; "
                f"{len(self.ledger.heard)} packets heard, drops {dict(self.dropped)}"
            ) from None
        finally:
            self._waiters.remove((holds, future))

    def leave(self) -> None:
        """Says goodbye by DTLS."""
        assert self.handshake is not None
        self.handshake.close()
        self._flush_handshake()

    async def __aenter__(self) -> Self:
        await self.open_path()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Vanishes without a goodbye."""
        if self._timer:
            self._timer.cancel()
        for path in self.paths:
            await path.close()

    # What comes in

    def _on_datagram(self, path: Path, datagram: bytes) -> None:
        first = datagram[0]
        if first < 4:
            self._on_stun(path, datagram)
        elif 20 <= first < 64:
            self._on_dtls(datagram)
        elif self.keys is None:
            self._early.append(datagram)
        else:
            self._on_srtp(self.keys, datagram)
        self._wake()

    def _on_stun(self, path: Path, datagram: bytes) -> None:
        message = stun.parse_message(datagram)
        if message.message_class == stun.Class.REQUEST:
            path.send(ice.build_answer(message, self.server, self.local), self.server)
            return
        message = ice.read_answer(datagram, self.remote.pwd)
        self._answers[message.transaction_id] = message, message.attributes["XOR-MAPPED-ADDRESS"]

    def _on_dtls(self, datagram: bytes) -> None:
        if self.handshake is None:
            return
        self.handshake.on_datagram(datagram)
        self._flush_handshake()
        if self.handshake.is_done and self.keys is None:
            self.keys = self.handshake.keys()
            for early in self._early:
                self._on_srtp(self.keys, early)

    def _on_srtp(self, keys: Keys, datagram: bytes) -> None:
        is_rtcp = 192 <= datagram[1] <= 223
        try:
            if is_rtcp:
                self.reports += rtp.parse_reports(keys.receive.unprotect_rtcp(datagram))
            else:
                self.ledger.on_packet(rtp.parse(keys.receive.unprotect(datagram)))
        except pylibsrtp.Error as error:
            self.dropped[str(error)] += 1

    def _flush_handshake(self) -> None:
        assert self.handshake is not None
        for datagram in self.handshake.take():
            self.send(datagram)
        if self._timer:
            self._timer.cancel()
        delay_s = self.handshake.retransmits_in_s
        if delay_s is not None and not self.handshake.is_done:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_handshake_timeout)

    def _on_handshake_timeout(self) -> None:
        assert self.handshake is not None
        self.handshake.on_timeout()
        self._flush_handshake()

    def _wake(self) -> None:
        for holds, future in self._waiters:
            if not future.done() and holds():
                future.set_result(None)

    def _find(self, stamp: Stamp) -> Heard | None:
        return next((heard for heard in reversed(self.ledger.heard) if heard.stamp == stamp), None)

    def _sending_section(self) -> sdp.AnswerSection:
        assert self.answer is not None
        return self.answer.sections[0]

    @asynccontextmanager
    async def _repeating(self, act: Callable[[], object], *, every_s: float) -> AsyncIterator[None]:
        async def repeat() -> None:
            loop = asyncio.get_running_loop()
            due_s = loop.time()
            while True:
                act()
                self._wake()
                due_s += every_s
                await asyncio.sleep(max(0.0, due_s - loop.time()))

        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def meet(speaker: WirePeer, *listeners: WirePeer) -> None:
    """Speaks until every listener has heard it; afterwards the way is open and no packet may be lost.

    The server learns the keys an instant after the client does, so that the very first packets may come too early.
    """
    async with speaker.speaking():
        for listener in listeners:
            await listener.until(
                lambda listener=listener: bool(listener.numbers(speaker)),  # type: ignore[misc]
                what=f"hearing {speaker.name} for the first time",
            )
