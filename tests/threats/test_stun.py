"""T1 to T3: what a stranger may try with STUN alone."""

import asyncio
import secrets
import struct
from dataclasses import replace

import pytest
from aioice import stun

from tests.harness import ice
from tests.harness.path import Path, open_path
from tests.harness.processes import Palco
from tests.harness.room import Guest, Room
from tests.harness.wire import WirePeer, meet

pytestmark = pytest.mark.live


async def settle(peer: WirePeer) -> None:
    """Two round trips: whatever the server had to say about earlier datagrams, to anyone, has been read by then."""
    await peer.check(nominates=False)
    await peer.check(nominates=False)
    await asyncio.sleep(0)


def forgeries(local: ice.Credentials, remote: ice.Credentials) -> dict[str, bytes]:
    """Binding requests that lack one thing each, with all that a stranger can see or guess."""
    right = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    right.attributes["USERNAME"] = f"{remote.ufrag}:{local.ufrag}"
    unsigned = bytes(right)
    right.add_fingerprint()
    signed = ice.build_check(local, remote, nominates=True)
    integrity_at = signed.index(struct.pack("!HH", 0x0008, 20))
    return {
        "empty": bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST)),
        "username alone": unsigned,
        "username and fingerprint": bytes(right),
        "wrong password": ice.build_check(local, remote, nominates=True, pwd="x" * 24),
        "empty password": ice.build_check(local, remote, nominates=True, pwd=""),
        "unknown name": ice.build_check(local, remote, nominates=True, username=f"nobody:{local.ufrag}"),
        "no colon": ice.build_check(local, remote, nominates=True, username=remote.ufrag),
        "integrity flipped": _flip(signed, integrity_at + 4),
        "fingerprint flipped": _flip(signed, len(signed) - 1),
        "integrity cut off": _shorten(signed, integrity_at),
        "allocate": bytes(stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)),
        "response": bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE)),
        "error": bytes(stun.Message(stun.Method.BINDING, stun.Class.ERROR)),
        "indication": bytes(stun.Message(stun.Method.BINDING, stun.Class.INDICATION)),
    }


async def test_t01_stun_reflection_nothing_is_answered_or_remembered(palco: Palco, room: Room) -> None:
    bob = await room.listener("bob")
    await settle(bob.peer)
    peers = palco.sfu_metric("palco_sfu_peers")
    lies = forgeries(bob.peer.local, bob.peer.remote)
    strangers = [await open_path("127.0.0.1") for _ in range(20)]
    for stranger in strangers:
        for lie in lies.values():
            stranger.send(lie, bob.peer.server)
    await settle(bob.peer)
    received = [datagram for stranger in strangers for datagram in stranger.received]
    await _close(*strangers)
    assert not received
    assert palco.sfu_metric("palco_sfu_peers") == peers


async def test_t01_stun_reflection_a_true_answer_is_no_larger_than_its_question(room: Room) -> None:
    bob = await room.listener("bob")
    request = ice.build_check(bob.peer.local, bob.peer.remote, nominates=False)
    await bob.peer.check(nominates=False)
    answer = next(datagram for datagram in reversed(bob.peer.path.received) if datagram[0] < 4)
    assert len(answer) <= len(request)


async def test_t01_stun_reflection_a_replayed_check_moves_nothing(room: Room) -> None:
    """Anyone on the path can repeat a check from elsewhere; it is answered there, and media stays where it is."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    thief = await open_path("127.0.0.1")
    for _ in range(10):
        thief.send(ice.build_check(bob.peer.local, bob.peer.remote, nominates=True), bob.peer.server)
    last = await ana.peer.talk(20)
    await bob.peer.hears(last)
    assert thief.received_bytes <= thief.sent_bytes
    assert all(datagram[0] < 4 for datagram in thief.received)
    await thief.close()


CRASHERS = {
    "js-libp2p CVE-2026-103936: an attribute that is longer than the message": b"\x00\x06\xff\xff" + b"a" * 8,
    "PJSIP CVE-2026-25994: a username of 60,000 bytes": b"\x00\x06\xea\x60" + b"a" * 1300,
    "PJSIP CVE-2022-23537: an error code without a body": b"\x00\x09\x00\x00",
    "PJSIP CVE-2022-31031: an address of no known family": b"\x00\x20\x00\x08\x00\x77" + bytes(6),
    "PJSIP CVE-2021-37706: an unknown comprehension-required attribute, its length off by one": b"\x00\x0a\x00\x03\x01",
    "sofia-sip CVE-2023-22741: a zero-length attribute without end": b"\x00\x06\x00\x00" * 200,
    "a header alone that promises more": b"",
    "integrity of one byte": b"\x00\x06\x00\x04abcd\x00\x08\x00\x01\x00\x00\x00\x00",
    "fingerprint first": b"\x80\x28\x00\x04\x00\x00\x00\x00\x00\x08\x00\x14" + bytes(20),
    "two usernames, two integrities": (b"\x00\x06\x00\x04abcd" + b"\x00\x08\x00\x14" + bytes(20)) * 2,
}


@pytest.mark.parametrize("crasher", CRASHERS)
async def test_t02_stun_crash_each_known_packet_is_dropped(palco: Palco, room: Room, crasher: str) -> None:
    bob = await room.listener("bob")
    stranger = await open_path("127.0.0.1")
    body = CRASHERS[crasher]
    pid = palco.sfu.pid
    for length in (len(body), len(body) + 4, 0, 0xFFFC):
        header = struct.pack("!HHI12s", 1, length & 0xFFFC, stun.COOKIE, secrets.token_bytes(12))
        for end in (len(header + body), 20, 21, 23):
            stranger.send((header + body)[:end], bob.peer.server)
            bob.peer.send((header + body)[:end])
    await settle(bob.peer)
    assert not stranger.received
    assert palco.sfu.is_running
    assert palco.sfu.pid == pid
    await stranger.close()


async def test_t03_ufrag_guessing_names_and_passwords_are_long_and_never_repeat(room: Room) -> None:
    """RFC 8445 §5.3: 24 bits of ufrag, 128 of password; an ice-char carries 6 bits."""
    guests = [await room.listener(f"listener-{index}") for index in range(10)]
    remotes = [guest.peer.remote for guest in guests]
    assert all(6 * len(remote.ufrag) >= 24 for remote in remotes)
    assert all(6 * len(remote.pwd) >= 128 for remote in remotes)
    assert len({remote.ufrag for remote in remotes}) == len({remote.pwd for remote in remotes}) == len(remotes)


async def test_t03_ufrag_guessing_wrong_integrity_is_silence_and_tears_nothing_down(room: Room) -> None:
    """The right name with a wrong password, from the peer's own address too (OvenMediaEngine, pion/ice#19)."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    before = _stun_answers(bob)
    for index in range(300):
        guessed = replace(bob.peer.remote, pwd=f"{index:024d}")
        bob.peer.send(ice.build_check(bob.peer.local, guessed, nominates=True))
    last = await ana.peer.talk(10)
    await bob.peer.hears(last)
    assert _stun_answers(bob) == before
    assert not bob.peer.ledger.breaks()


def _stun_answers(guest: Guest) -> int:
    return sum(datagram[0] < 4 for datagram in guest.peer.path.received)


def _flip(datagram: bytes, at: int) -> bytes:
    return datagram[:at] + bytes([datagram[at] ^ 1]) + datagram[at + 1 :]


def _shorten(datagram: bytes, end: int) -> bytes:
    return datagram[:2] + struct.pack("!H", end - 20) + datagram[4:end]


async def _close(*paths: Path) -> None:
    for path in paths:
        await path.close()
