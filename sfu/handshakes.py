"""Every peer's DTLS, from nothing through the handshake to the farewell: a machine over many `Handshake`s.

A peer that has not spoken DTLS yet costs a dictionary entry; OpenSSL's 80 kB are taken when its first datagram comes
from an address that ICE has validated, and given back when the keys are out.
"""

import heapq

from msgspec import Struct

from sfu.association import Association, Left, Send
from sfu.certificate import Expected
from sfu.contract.messages import Setup
from sfu.handshake import DtlsContexts, Established, Failed, Handshake, Role

Effect = Send | Established | Failed | Left


class _Peer(Struct):
    setup: Setup
    expected: Expected
    handshake: Handshake | None = None
    association: Association | None = None
    is_over: bool = False
    alarm_s: float | None = None
    """The one entry in the heap that counts."""


class Handshakes:
    """Peers are named by any number that is not used twice."""

    def __init__(self, contexts: DtlsContexts) -> None:
        self._contexts = contexts
        self._peers: dict[int, _Peer] = {}
        self._alarms: list[tuple[float, int]] = []
        """A heap; entries whose time is no longer the peer's are left in until they come up."""

    @property
    def under_way(self) -> int:
        """How many handshakes have begun and not ended."""
        return sum(peer.handshake is not None for peer in self._peers.values())

    @property
    def wakes_at_s(self) -> float | None:
        """When `on_timer` wants to be called next."""
        while self._alarms and not self._is_current(*self._alarms[0]):
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def on_opened(self, peer: int, *, setup: Setup, expected: Expected) -> None:
        self._peers[peer] = _Peer(setup=setup, expected=expected)

    def on_validated(self, peer: int, now_s: float) -> list[Effect]:
        """ICE has an address for the peer: where we are DTLS client, this is when to begin."""
        record = self._peers.get(peer)
        if record is None or record.setup == "passive" or record.is_over or record.handshake or record.association:
            return []
        return self._follow(peer, record, self._begin(record, now_s).start(now_s))

    def on_datagram(self, peer: int, datagram: bytes, now_s: float) -> list[Effect]:
        record = self._peers.get(peer)
        if record is None or record.is_over:
            return []
        if record.association is not None:
            return [*record.association.on_datagram(datagram)]
        handshake = record.handshake or self._begin(record, now_s)
        return self._follow(peer, record, handshake.on_datagram(datagram, now_s))

    def on_timer(self, now_s: float) -> list[tuple[int, Effect]]:
        """What those peers whose time has come want done."""
        effects: list[tuple[int, Effect]] = []
        while (wakes_at_s := self.wakes_at_s) is not None and wakes_at_s <= now_s:
            _, peer = heapq.heappop(self._alarms)
            record = self._peers[peer]
            record.alarm_s = None
            if record.handshake is not None:
                said = self._follow(peer, record, record.handshake.on_timer(now_s))
                effects += [(peer, effect) for effect in said]
        return effects

    def on_closed(self, peer: int) -> tuple[bytes, ...]:
        """Forgets the peer; the datagrams are our close_notify, if there is someone to say it to."""
        record = self._peers.pop(peer, None)
        if record is None or record.association is None:
            return ()
        return (record.association.close(),)

    def _begin(self, record: _Peer, now_s: float) -> Handshake:
        role: Role = "client" if record.setup == "active" else "server"
        record.handshake = Handshake(self._contexts, role=role, expected=record.expected, now_s=now_s)
        return record.handshake

    def _follow(self, peer: int, record: _Peer, effects: list[Send | Established | Failed]) -> list[Effect]:
        """Keeps what a handshake leaves behind, and its alarm."""
        for effect in effects:
            if isinstance(effect, Established):
                record.handshake, record.association = None, effect.association
            elif isinstance(effect, Failed):
                record.handshake, record.is_over = None, True
        wakes_at_s = None if record.handshake is None else record.handshake.wakes_at_s
        if wakes_at_s is not None and wakes_at_s != record.alarm_s:
            heapq.heappush(self._alarms, (wakes_at_s, peer))
        record.alarm_s = wakes_at_s
        return [*effects]

    def _is_current(self, wakes_at_s: float, peer: int) -> bool:
        record = self._peers.get(peer)
        return record is not None and record.alarm_s == wakes_at_s
