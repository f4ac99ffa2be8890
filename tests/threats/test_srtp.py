"""T8 to T12 and T14: media that is forged, replayed, or comes from where it should not."""

import random

import pytest

from tests.harness import ice
from tests.harness.ledger import Stamp
from tests.harness.path import Path, open_path
from tests.harness.room import Guest, Room, meet_all
from tests.harness.wire import meet

pytestmark = pytest.mark.live


def is_media(datagram: bytes) -> bool:
    return 128 <= datagram[0] < 192


async def pair(room: Room, **manner: object) -> tuple[Guest, Guest]:
    ana, bob = await room.speaker("ana", **manner), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    return ana, bob


async def only_hers(ana: Guest, bob: Guest, *, first: int) -> None:
    """Asserts that Bob heard every packet of Ana's since `first`, once, in order, and nothing else at all."""
    last = ana.peer.say()
    await bob.peer.hears(last)
    assert [number for number in bob.peer.numbers(ana.peer) if number >= first] == list(range(first, last.number + 1))
    assert {heard.stamp.speaker if heard.stamp else None for heard in bob.peer.ledger.heard} == {ana.peer.number}
    assert not bob.peer.ledger.breaks()
    assert not bob.peer.dropped


async def test_t08_forged_srtp_of_every_length_and_first_byte_is_dropped(room: Room) -> None:
    """From the speaker's own address. Every length up to an MTU, the first bytes of RTP and RTCP in turn."""
    ana, bob = await pair(room)
    chance = random.Random(8)
    first = ana.peer.said + 1
    for length in range(1, 1501):
        forged = bytearray(chance.randbytes(length))
        forged[0] = 128 + length % 64
        if length > 12:  # half of them with the speaker's SSRC, a fifth as RTCP
            forged[8:12] = ana.peer.ssrc.to_bytes(4) if length % 2 else forged[8:12]
            forged[1] = 200 if length % 5 == 0 else ana.peer.answer.sections[0].payload_types[0]  # type: ignore[union-attr]
        ana.peer.send(bytes(forged))
        if length % 50 == 0:
            await bob.peer.hears(ana.peer.say())
    await only_hers(ana, bob, first=first)


async def test_t08_forged_srtp_a_true_packet_with_any_one_byte_changed_is_dropped(room: Room) -> None:
    ana, bob = await pair(room)
    first = ana.peer.said + 2
    sealed = ana.peer.seal(ana.peer.build_packet())
    for at in range(len(sealed)):
        ana.peer.send(sealed[:at] + bytes([sealed[at] ^ 0x55]) + sealed[at + 1 :])
    for length in range(len(sealed)):
        if length:
            ana.peer.send(sealed[:length])
    last = ana.peer.say()
    await bob.peer.hears(last)
    assert [number for number in bob.peer.numbers(ana.peer) if number >= first - 1] == [last.number]
    assert not bob.peer.dropped


async def test_t09_address_learning_true_rtp_from_elsewhere_neither_is_heard_nor_moves_anyone(room: Room) -> None:
    """CVE-2025-53399, RTPbleed: only ICE moves an address, were the packet ever so authentic."""
    ana, bob = await pair(room)
    elsewhere = await open_path("127.0.0.1")
    for _ in range(50):
        elsewhere.send(ana.peer.seal(ana.peer.build_packet()), ana.peer.server)
        elsewhere.send(bob.peer.seal(bob.peer.build_packet()), bob.peer.server)
    stolen = ana.peer.said
    first = Stamp(ana.peer.number, stolen - 49)
    await bob.peer.hears(await ana.peer.talk(10))
    assert not [number for number in bob.peer.numbers(ana.peer) if first.number <= number <= stolen]
    assert not elsewhere.received
    await elsewhere.close()


async def test_t10_error_teardown_a_thousand_bad_packets_end_no_session(room: Room) -> None:
    """CVE-2021-41105: about a hundred ended the call."""
    ana, bob = await pair(room)
    first = ana.peer.said + 1
    sealed = ana.peer.seal(ana.peer.build_packet())
    ana.peer.say()
    bad = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for _ in range(10):
        for _ in range(100):
            ana.peer.send(bad)
            bob.peer.send(bad)
            ana.peer.send(bytes([0x80, 200]) + bad[2:])
        await bob.peer.hears(ana.peer.say())
    heard = [number for number in bob.peer.numbers(ana.peer) if number > first]
    assert heard == list(range(first + 1, ana.peer.said + 1))


async def test_t11_migration_reflector_a_check_without_nomination_brings_no_media(room: Room) -> None:
    ana, bob = await pair(room)
    victim = await open_path("127.0.0.1")
    victim.send(ice.build_check(bob.peer.local, bob.peer.remote, nominates=False), bob.peer.server)
    await bob.peer.hears(await ana.peer.talk(25))
    await _got_no_media(victim)


async def test_t11_migration_reflector_a_nomination_without_authentic_media_brings_no_media(room: Room) -> None:
    """pion/ice#21: an authenticated peer names a victim's address as its own; the victim gets at most what it sent."""
    ana, bob = await pair(room)
    victim = await open_path("127.0.0.1")
    for _ in range(5):
        victim.send(ice.build_check(bob.peer.local, bob.peer.remote, nominates=True), bob.peer.server)
        await bob.peer.hears(await ana.peer.talk(5))
    for datagram in (b"\x80" + bytes(40), b"\x16\xfe\xfd" + bytes(40), bytes([0x80, 200]) + bytes(40)):
        victim.send(datagram, bob.peer.server)
    await bob.peer.hears(await ana.peer.talk(10))
    await _got_no_media(victim)


async def test_t11_migration_reflector_at_most_eight_addresses_and_media_stays_where_it_was(room: Room) -> None:
    ana, bob = await pair(room)
    victims = [await open_path("127.0.0.1") for _ in range(40)]
    first = ana.peer.said + 1
    for victim in victims:
        victim.send(ice.build_check(bob.peer.local, bob.peer.remote, nominates=True), bob.peer.server)
        await bob.peer.hears(ana.peer.say())
    await only_hers(ana, bob, first=first)
    for victim in victims:
        await _got_no_media(victim)


async def test_t12_srtp_replay_every_packet_is_heard_once(room: Room) -> None:
    ana, bob = await pair(room)
    first = ana.peer.said + 1
    sent: list[bytes] = []
    for _ in range(100):
        sealed = ana.peer.seal(ana.peer.build_packet())
        sent.append(sealed)
        for _ in range(3):
            ana.peer.send(sealed)
        if len(sent) % 20 == 0:
            for old in sent:
                ana.peer.send(old)
            await bob.peer.hears(ana.peer.say())
    await only_hers(ana, bob, first=first)


async def test_t12_rollover_with_loss_around_it_loses_nothing_else(room: Room) -> None:
    """Sequence numbers 65,500 to 40: the packets before and after the wrap are lost in both places."""
    ana, bob = await pair(room, first_sequence=65_440)
    while ana.peer.sequence < 65_530:
        await bob.peer.hears(ana.peer.say())
    for _ in range(12):
        ana.peer.say_nothing()
    assert ana.peer.sequence > 65_536
    for _ in range(60):
        await bob.peer.hears(ana.peer.say())
    numbers = bob.peer.numbers(ana.peer)
    missing = set(range(numbers[0], ana.peer.said + 1)) - set(numbers)
    assert len(missing) == 12
    assert len(numbers) == len(set(numbers))
    assert not bob.peer.dropped


async def test_t12_reordered_packets_are_all_heard(room: Room) -> None:
    ana, bob = await pair(room)
    first = ana.peer.said + 1
    sealed = [ana.peer.seal(ana.peer.build_packet()) for _ in range(40)]
    random.Random(12).shuffle(sealed)
    for packet in sealed:
        ana.peer.send(packet)
    await bob.peer.hears(ana.peer.say())
    assert sorted(number for number in bob.peer.numbers(ana.peer) if number >= first) == list(
        range(first, ana.peer.said + 1)
    )


async def test_t14_ssrc_hijack_two_speakers_with_one_ssrc_are_told_apart(room: Room) -> None:
    """SSRCs are bound to their transport; what goes out has the server's."""
    ana = await room.speaker("ana", ssrc=0x14141414)
    mallory = await room.speaker("mallory", ssrc=0x14141414)
    bob = await room.listener("bob", sections=2)
    await meet_all([ana, mallory], [bob])
    for _ in range(20):
        ana.peer.say()
        await bob.peer.hears(mallory.peer.say())
    slots = bob.peer.ledger.slots()
    assert 0x14141414 not in slots
    assert sorted(len({heard.stamp for heard in slot if heard.stamp}) for slot in slots.values()) != [0]
    assert all(len({heard.stamp.speaker for heard in slot if heard.stamp}) == 1 for slot in slots.values())
    assert not bob.peer.ledger.breaks()


async def test_t14_ssrc_hijack_a_second_stream_in_a_session_is_not_heard(room: Room) -> None:
    """One section, one stream: the first that came has it."""
    ana, bob = await pair(room)
    true_ssrc, hijacked = ana.peer.ssrc, []
    for _ in range(25):
        ana.peer.ssrc = 0x41414141
        hijacked.append(ana.peer.say().number)
        ana.peer.ssrc = true_ssrc
        await bob.peer.hears(ana.peer.say())
    assert not set(hijacked) & set(bob.peer.numbers(ana.peer))


async def _got_no_media(victim: Path) -> None:
    assert not any(map(is_media, victim.received))
    assert victim.received_bytes <= victim.sent_bytes
    await victim.close()
