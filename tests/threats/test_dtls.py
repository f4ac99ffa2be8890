"""T4 to T6 and T20: the handshake, raced, reflected, torn into pieces, and made with somebody else's certificate."""

import asyncio
import random
import struct

import pytest

from tests.harness.dtls import PROFILES, Handshake, make_certificate, shared_certificate, split_records
from tests.harness.path import open_path
from tests.harness.room import LISTENER, SPEAKER, Guest, Room, silent_after
from tests.harness.sdp import Direction
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live

HEADER = 12
"""Of a handshake message: type 1, length 3, sequence 2, fragment offset 3, fragment length 3 (RFC 6347 §4.2.2)."""


def client_hello(alpn: list[bytes] | None = None) -> list[bytes]:
    """A stranger's first flight, as datagrams."""
    handshake = Handshake(shared_certificate(), is_client=True, profiles=list(PROFILES), alpn=alpn)
    handshake.start()
    return handshake.take()


def alert(description: int) -> bytes:
    """A fatal alert in the clear, as anyone can forge during a handshake."""
    return struct.pack("!BHHIHH", 21, 0xFEFD, 0, 0, 7, 2) + bytes([2, description])


async def arrived(room: Room, name: str = "bob") -> Guest:
    """A listener that has passed ICE and not yet begun its handshake."""
    guest = await room.guest(name, room.token(name, **LISTENER), Manner(sections=["recvonly"]))
    assert (await room.offer(guest, "whep")).status_code == 201
    await guest.peer.reach(guest.answer)
    return guest


async def test_t04_clienthello_race_a_hello_from_elsewhere_changes_nothing(room: Room) -> None:
    """ES2023-01 to -03: the first hello to reach the port, from any address, took the association over."""
    ana, bob = await room.speaker("ana"), await arrived(room)
    racers = [await open_path("127.0.0.1") for _ in range(10)]
    for _ in range(20):
        for racer in racers:
            for datagram in client_hello():
                racer.send(datagram, bob.peer.server)
    await bob.peer.secure()
    await meet(ana.peer, bob.peer)
    assert not any(racer.received for racer in racers)
    for racer in racers:
        await racer.close()


async def test_t04_clienthello_race_before_the_victim_has_an_address(room: Room) -> None:
    """The session is offered, no check has passed: the port answers nobody."""
    guest = await room.guest("bob", room.token("bob"), Manner(sections=["recvonly"]))
    assert (await room.offer(guest, "whep")).status_code == 201
    guest.peer.accept(guest.answer)
    racer = await open_path("127.0.0.1")
    for _ in range(100):
        for datagram in client_hello():
            racer.send(datagram, guest.peer.server)
    await guest.peer.connect(guest.answer)
    assert not racer.received
    await racer.close()


async def test_t04_clienthello_race_alerts_from_elsewhere_close_nothing(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await arrived(room)
    stranger = await open_path("127.0.0.1")
    for description in (0, 10, 40, 80):
        stranger.send(alert(description), bob.peer.server)
    await bob.peer.secure()
    await meet(ana.peer, bob.peer)
    for description in (0, 10, 40, 80):
        stranger.send(alert(description), bob.peer.server)
        bob.peer.send(alert(description))
    await bob.peer.hears(ana.peer.say())
    assert not stranger.received
    await stranger.close()


async def test_t04_clienthello_race_a_second_hello_after_the_handshake_closes_nothing(room: Room) -> None:
    """From the victim's own address, as a spoofer would: no renegotiation, no new keys, no end."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    for _ in range(20):
        for datagram in client_hello():
            bob.peer.send(datagram)
    await bob.peer.hears(await ana.peer.talk(10))
    assert not bob.peer.dropped


INITIAL_BYTES = 800
"""What an address that has passed one check may get in all: the answer and three of our hellos, since a DTLS server
that sends one check of 80 bytes and misses our first hello (FFmpeg) would else never hear the next; or one flight as
server. Whoever named the address has had to send more than that first, over TCP."""


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_t05_dtls_amplification_stays_within_three_times_what_came(room: Room, setup: str) -> None:
    """One check and (where we are the client) one hello, then silence: the retransmissions too stay within the budget.

    RFC 9000 §8.1's factor of three. Watched for 3.5 s: a flight is repeated after 1 s, and after 2 s more.
    """
    guest = await room.guest("bob", room.token("bob"), Manner(sections=["recvonly"], setup=setup))
    assert (await room.offer(guest, "whep")).status_code == 201
    guest.peer.accept(guest.answer)
    guest.peer.handshake = None  # hears the server's flights and does not answer
    await guest.peer.check(nominates=True)
    if setup == "active":
        for datagram in client_hello():
            guest.peer.send(datagram)
    path = guest.peer.path
    await guest.peer.until(lambda: any(20 <= datagram[0] < 64 for datagram in path.received), what="the first flight")
    await asyncio.sleep(3.5)
    assert path.received_bytes <= max(3 * path.sent_bytes, INITIAL_BYTES)
    assert len(guest.peer.offer().sdp()) + len(guest.token) > INITIAL_BYTES


class Renumbered(Handshake):
    """Counts its records in the clear from 1,000 on, past those that a test made of its first one."""

    def take(self) -> list[bytes]:
        records = [record for datagram in super().take() for record in split_records(datagram)]
        return [self._renumbered(record) for record in records]

    def _renumbered(self, record: bytes) -> bytes:
        epoch, number = struct.unpack("!HQ", record[3:5] + bytes(2) + record[5:11])
        return record if epoch else record[:5] + struct.pack("!Q", number + 1000)[2:] + record[11:]


def fragments(hello: bytes, size: int, *, overlap: int = 0) -> list[bytes]:
    """One ClientHello record as many, each with up to `size` bytes of the message."""
    message = hello[13:]
    kind, body = message[:1], message[HEADER:]
    pieces = []
    for number, at in enumerate(range(0, len(body), size)):
        start = max(0, at - overlap)
        piece = body[start : at + size]
        header = kind + struct.pack("!I", len(body))[1:] + message[4:6]
        header += struct.pack("!I", start)[1:] + struct.pack("!I", len(piece))[1:]
        record = header + piece
        pieces.append(hello[:3] + bytes(2) + struct.pack("!Q", number)[2:] + struct.pack("!H", len(record)) + record)
    return pieces


@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled", "duplicated", "overlapping", "one datagram"])
async def test_t06_fragmented_clienthello_in_any_order(room: Room, order: str) -> None:
    ana, bob = await room.speaker("ana"), await arrived(room)
    handshake = Renumbered(shared_certificate(), is_client=True, profiles=list(PROFILES))
    handshake.start()
    (hello,) = handshake.take()
    pieces = fragments(hello, 40, overlap=15 if order == "overlapping" else 0)
    assert len(pieces) > 3
    if order == "reversed":
        pieces.reverse()
    if order == "shuffled":
        random.Random(6).shuffle(pieces)
    if order == "duplicated":
        pieces = [piece for piece in pieces for _ in range(2)]
    if order == "one datagram":
        pieces = [b"".join(pieces)]
    bob.peer.handshake = handshake
    for piece in pieces:
        bob.peer.send(piece)
    await bob.peer.until(lambda: handshake.is_done or bool(handshake.alerts), what="the handshake")
    assert not handshake.alerts
    await meet(ana.peer, bob.peer)


async def test_t06_clienthello_larger_than_a_datagram(room: Room) -> None:
    """As large as one with post-quantum key shares: 1,216 bytes of X25519MLKEM768 on top of some 300."""
    ana, bob = await room.speaker("ana"), await arrived(room)
    alpn = [b"x" * 200 for _ in range(10)]
    handshake = Handshake(shared_certificate(), is_client=True, profiles=list(PROFILES), alpn=alpn)
    handshake.start()
    datagrams = handshake.take()
    assert sum(map(len, datagrams)) > 2000
    assert len(datagrams) > 1
    bob.peer.handshake = handshake
    for datagram in datagrams:
        bob.peer.send(datagram)
    await bob.peer.until(lambda: handshake.is_done or bool(handshake.alerts), what="the handshake")
    await meet(ana.peer, bob.peer)


async def test_t06_fragments_that_contradict_each_other_end_nothing_but_themselves(room: Room) -> None:
    """Lengths that differ, offsets past the end: dropped, and the true hello still finds its way."""
    ana, bob = await room.speaker("ana"), await arrived(room)
    (hello,) = split_records(b"".join(client_hello()))
    pieces = fragments(hello, 40)
    lies = [_with_length(pieces[1], 0xFFFFFF), _with_offset(pieces[2], 0xFFFF00), pieces[0][:20], pieces[0][:13]]
    stranger = await open_path("127.0.0.1")
    for lie in lies:
        stranger.send(lie, bob.peer.server)
    await bob.peer.secure()
    await meet(ana.peer, bob.peer)
    await stranger.close()


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_t20_fingerprint_a_speaker_with_another_certificate_is_not_heard(room: Room, setup: str) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob", sections=2)
    await meet(ana.peer, bob.peer)
    mallory = await _impostor(room, ["sendonly"], setup)
    if mallory.peer.keys is not None:
        await silent_after(mallory, [bob], witness=ana, since=0)
    assert not (await room.participants()).get("mallory", {}).get("is_connected", False)


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_t20_fingerprint_a_listener_with_another_certificate_hears_nothing(room: Room, setup: str) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    mallory = await _impostor(room, ["recvonly"], setup)
    await bob.peer.hears(await ana.peer.talk(25))
    assert not any(128 <= datagram[0] < 192 for datagram in mallory.peer.path.received)


async def _impostor(room: Room, sections: list[Direction], setup: str) -> Guest:
    """Goes through ICE and the handshake with a certificate whose hash is not the one in its offer."""
    manner = Manner(
        sections=sections,
        setup=setup,
        certificate=make_certificate(),
        claimed_fingerprint=make_certificate().fingerprint,
    )
    mallory = await room.guest("mallory", room.token("mallory", **SPEAKER), manner)
    response = await room.offer(mallory, "whip" if sections == ["sendonly"] else "whep")
    assert response.status_code == 201
    await mallory.peer.reach(mallory.answer)
    handshake = mallory.peer.start_handshake()
    await mallory.peer.until(
        lambda: handshake.is_done or bool(handshake.alerts), what="the end of the handshake, good or bad"
    )
    return mallory


def _with_length(record: bytes, length: int) -> bytes:
    return record[:14] + struct.pack("!I", length)[1:] + record[17:]


def _with_offset(record: bytes, offset: int) -> bytes:
    return record[:19] + struct.pack("!I", offset)[1:] + record[22:]
