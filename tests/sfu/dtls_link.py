"""Two handshakes over a simulated network: seeded loss, delay, duplicates and a narrow path; a clock moved by hand."""

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime

from sfu.association import Send
from sfu.certificate import LocalCertificate, make_certificate, parse_expected
from sfu.handshake import DtlsContexts, Effect, Established, Failed, Handshake, Role
from sfu.records import HANDSHAKE, HANDSHAKE_HEADER_BYTES, HEADER_BYTES, Record, pack, parse_records, renumber

NOW = datetime(2026, 11, 1, tzinfo=UTC)

OURS = make_certificate(NOW)
THEIRS = make_certificate(NOW)
STRANGERS = make_certificate(NOW)


def handshake(
    role: Role,
    *,
    own: LocalCertificate = OURS,
    expected: LocalCertificate = THEIRS,
    contexts: DtlsContexts | None = None,
    now_s: float = 0.0,
) -> Handshake:
    return Handshake(
        contexts or DtlsContexts(own), role=role, expected=parse_expected([expected.fingerprint]), now_s=now_s
    )


def pair(*, profiles: list[bytes] | None = None) -> tuple[Handshake, Handshake]:
    """A server with every profile and a client with `profiles`, each expecting the other."""
    offered = {} if profiles is None else {"profiles": profiles}
    return (
        handshake("server", own=OURS, expected=THEIRS),
        handshake("client", contexts=DtlsContexts(THEIRS, **offered), expected=OURS),
    )


class Narrow:
    """Cuts handshake messages in the clear into fragments that fit `mtu_bytes` (RFC 6347 §4.2.3), as a peer may."""

    def __init__(self, mtu_bytes: int) -> None:
        self._mtu_bytes = mtu_bytes
        self._numbers = itertools.count()

    def __call__(self, datagram: bytes) -> list[bytes]:
        records = [piece for record in parse_records(datagram) for piece in self._cut(record)]
        return list(pack(records, max_datagram_bytes=self._mtu_bytes))

    def _cut(self, record: Record) -> list[Record]:
        if record.epoch:
            return [record]
        if record.content_type != HANDSHAKE:
            return [renumber(record, next(self._numbers))]
        room = self._mtu_bytes - HEADER_BYTES - HANDSHAKE_HEADER_BYTES
        header, body = record.fragment[:HANDSHAKE_HEADER_BYTES], record.fragment[HANDSHAKE_HEADER_BYTES:]
        offset = int.from_bytes(header[6:9], "big")
        pieces = []
        for start in range(0, max(len(body), 1), room):
            piece = body[start : start + room]
            fragment = header[:6] + (offset + start).to_bytes(3, "big") + len(piece).to_bytes(3, "big") + piece
            octets = record.octets[:11] + len(fragment).to_bytes(2, "big") + fragment
            pieces.append(renumber(Record(octets), next(self._numbers)))
        return pieces


class Link:
    """Carries datagrams between `ends` until both are done; the same seed gives the same run."""

    def __init__(
        self,
        ends: tuple[Handshake, Handshake],
        *,
        seed: int = 0,
        loss: float = 0.0,
        duplicates: float = 0.0,
        jitter_s: float = 0.0,
        mtu_bytes: int = 1200,
        meddle: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.ends = ends
        self.now_s = 0.0
        self.outcomes: list[Established | Failed | None] = [None, None]
        self.datagrams: list[bytes] = []
        self._random = random.Random(seed)
        self._loss, self._duplicates, self._jitter_s = loss, duplicates, jitter_s
        self._paths = (Narrow(mtu_bytes), Narrow(mtu_bytes))
        self._meddle = meddle
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, int, bytes]] = []

    def run(self, until_s: float = 60.0) -> tuple[Established | Failed | None, Established | Failed | None]:
        """The outcomes, the first end's first."""
        for end, machine in enumerate(self.ends):
            self._perform(end, machine.start(self.now_s))
        while (next_s := self._next_s()) is not None and next_s <= until_s:
            self.now_s = next_s
            self._turn()
        return self.outcomes[0], self.outcomes[1]

    def _next_s(self) -> float | None:
        times = [machine.wakes_at_s for machine in self.ends]
        if self._under_way:
            times.append(self._under_way[0][0])
        return min((time for time in times if time is not None), default=None)

    def _turn(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.now_s:
            _, _, end, datagram = heapq.heappop(self._under_way)
            outcome = self.outcomes[end]
            if isinstance(outcome, Established):
                for effect in outcome.association.on_datagram(datagram):
                    if isinstance(effect, Send):
                        self._send(end, effect.datagrams)
            else:
                self._perform(end, self.ends[end].on_datagram(datagram, self.now_s))
        for end, machine in enumerate(self.ends):
            if machine.wakes_at_s is not None and machine.wakes_at_s <= self.now_s:
                self._perform(end, machine.on_timer(self.now_s))

    def _perform(self, end: int, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(end, effect.datagrams)
            else:
                assert self.outcomes[end] is None
                self.outcomes[end] = effect

    def _send(self, end: int, datagrams: tuple[bytes, ...]) -> None:
        for datagram in datagrams:
            self.datagrams.append(datagram)
            for piece in self._paths[end](datagram):
                for _ in range(1 + (self._random.random() < self._duplicates)):
                    if self._random.random() >= self._loss:
                        arrival_s = self.now_s + 0.01 + self._random.random() * self._jitter_s
                        item = (arrival_s, next(self._order), 1 - end, self._meddle(piece))
                        heapq.heappush(self._under_way, item)
