"""Who joins is heard, and hears."""

import pytest

from tests.harness import rtp, sdp
from tests.harness.dtls import PROFILES
from tests.harness.room import LISTENER, SPEAKER, Room, meet_all
from tests.harness.wire import meet

pytestmark = pytest.mark.live


async def test_three_listeners_hear_every_packet_of_one_speaker(room: Room) -> None:
    ana = await room.speaker("ana")
    listeners = [await room.listener(f"listener-{index}") for index in range(3)]
    await meet_all([ana], listeners)
    first = ana.peer.said + 1
    last = await ana.peer.talk(100)
    for listener in listeners:
        await listener.peer.hears(last)
        heard = [number for number in listener.peer.numbers(ana.peer) if number >= first]
        assert heard == list(range(first, last.number + 1))
        assert not listener.peer.ledger.breaks()
        assert not listener.peer.dropped


async def test_what_is_said_arrives_unchanged_with_its_level(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    packet = ana.peer.build_packet(level_dbov=-33)
    ana.peer.send(ana.peer.seal(packet))
    await bob.peer.until(lambda: bob.peer.ledger.heard[-1].packet.payload == packet.payload, what="hearing the packet")
    heard = bob.peer.ledger.heard[-1].packet
    section = sdp.parse_answer(bob.answer).sections[0]
    assert heard.extensions[section.extensions[sdp.LEVEL]] == rtp.audio_level(-33)
    assert heard.extensions[section.extensions[sdp.MID]] == section.mid.encode()
    assert heard.payload_type == section.payload_types[0]
    assert section.ssrcs == [heard.ssrc]


@pytest.mark.parametrize("profile", list(PROFILES), ids=bytes.decode)
async def test_every_srtp_profile_serves_both_directions(room: Room, profile: bytes) -> None:
    """The speaker has this profile alone and the listener another, so that the server opens one and seals the other."""
    others = [other for other in PROFILES if other != profile]
    ana, bob = await room.speaker("ana", profiles=[profile]), await room.listener("bob", profiles=others)
    cem = await room.listener("cem", profiles=[profile])
    await meet(ana.peer, bob.peer, cem.peer)
    last = await ana.peer.talk(10)
    for listener in (bob, cem):
        await listener.peer.hears(last)
        assert not listener.peer.dropped
    assert ana.peer.keys is not None
    assert ana.peer.keys.profile == profile


@pytest.mark.parametrize(("setup", "server"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")])
async def test_the_server_takes_either_dtls_role(room: Room, setup: str, server: str) -> None:
    ana, bob = await room.speaker("ana", setup=setup), await room.listener("bob", setup=setup)
    await meet(ana.peer, bob.peer)
    assert sdp.parse_answer(ana.answer).setup == server
    assert sdp.parse_answer(bob.answer).setup == server


async def test_people_are_heard_over_ipv6_and_across_families(room: Room) -> None:
    ana, bob = await room.speaker("ana", host="::1"), await room.listener("bob", host="::1")
    cem = await room.listener("cem", host="127.0.0.1")
    await meet(ana.peer, bob.peer, cem.peer)
    await bob.peer.hears(await ana.peer.talk(10))


async def test_a_client_without_any_header_extension_or_announced_ssrc_is_heard(room: Room) -> None:
    ana = await room.speaker("ana", level_extension=0, mid_extension=0, announces_ssrc=False)
    bob = await room.listener("bob", level_extension=0, mid_extension=0)
    await meet(ana.peer, bob.peer)
    assert bob.peer.ledger.heard[-1].packet.extensions == {}


async def test_two_on_stage_hear_each_other_and_not_themselves(room: Room) -> None:
    ana = await room.stage_guest("ana", grants=SPEAKER)
    ben = await room.stage_guest("ben", grants=SPEAKER)
    cem = await room.stage_guest("cem", grants=LISTENER)
    await meet_all([ana], [ben, cem])
    await meet_all([ben], [ana, cem])
    for _ in range(20):
        ana.peer.say()
        last = ben.peer.say()
        await cem.peer.hears(last)
    await ana.peer.hears(last)
    assert ana.peer.ledger.speakers() == {ben.peer.number}
    assert ben.peer.ledger.speakers() == {ana.peer.number}
    assert not cem.peer.ledger.breaks()


async def test_sender_reports_place_each_slot_on_one_clock(room: Room) -> None:
    """RFC 3550 §6.4.1: the report names the slot's own SSRC and a timestamp on its own RTP clock."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)

    def reports() -> list[rtp.SenderReport]:
        return [report for report in bob.peer.reports if isinstance(report, rtp.SenderReport)]

    async with ana.peer.speaking():
        await bob.peer.until(lambda: len(reports()) >= 2, what="two sender reports")
    first, second = reports()[:2]
    heard = bob.peer.ledger.heard
    assert {report.ssrc for report in reports()} == {heard[0].packet.ssrc}
    elapsed_s = (second.ntp - first.ntp) / 2**32
    elapsed_ticks = (second.rtp_timestamp - first.rtp_timestamp) & 0xFFFFFFFF
    # Packets come every 20 ms at best; a report may stand up to one frame, and the scheduler, off the media clock.
    assert abs(elapsed_ticks / rtp.CLOCK_HZ - elapsed_s) < 0.2
    assert second.packets > first.packets
    assert second.octets - first.octets == 80 * (second.packets - first.packets)


async def test_a_speaker_is_told_how_its_stream_arrives(room: Room) -> None:
    """Ten packets are lost on the way; the server's receiver report counts them (RFC 3550 §6.4.1)."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    for _ in range(10):
        ana.peer.say_nothing()

    def lost() -> int:
        blocks = [block for block in ana.peer.reports if isinstance(block, rtp.ReportBlock)]
        return max((block.cumulative_lost for block in blocks if block.ssrc == ana.peer.ssrc), default=0)

    async with ana.peer.speaking():
        await ana.peer.until(lambda: lost() >= 10, what="a report of ten lost packets")
    assert lost() == 10


async def test_loss_on_the_way_in_stays_a_gap_of_the_same_size_on_the_way_out(room: Room) -> None:
    """A listener's decoder conceals what is missing only if the sequence numbers say so."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    before = await bob.peer.hears(ana.peer.say())
    for _ in range(3):
        ana.peer.say_nothing()
    after = await bob.peer.hears(ana.peer.say())
    assert after.sequence - before.sequence == 4
    assert after.timestamp - before.timestamp == 4 * rtp.FRAME_SAMPLES


async def test_who_leaves_is_gone_from_the_roster_and_hears_nothing_more(room: Room) -> None:
    ana, bob, cem = await room.speaker("ana"), await room.listener("bob"), await room.listener("cem")
    await meet_all([ana], [bob, cem])
    await room.leave(bob)
    received = len(bob.peer.path.received)
    await cem.peer.hears(await ana.peer.talk(10))
    assert len(bob.peer.path.received) == received
    assert "bob" not in await room.participants()
