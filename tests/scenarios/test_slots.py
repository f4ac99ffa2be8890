"""A listener's k sections carry the k loudest, each voice kept in its place, each stream unbroken."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.harness.room import Guest, Room, meet_all

pytestmark = pytest.mark.live

LOUD, QUIET = -10, -50
"""Far more apart than any hysteresis in use."""


async def test_with_as_many_sections_as_speakers_each_has_a_section_of_its_own(room: Room) -> None:
    speakers = [await room.speaker(f"speaker-{index}") for index in range(4)]
    bob = await room.listener("bob", sections=4)
    await meet_all(speakers, [bob])
    for _ in range(50):
        for speaker in speakers:
            last = speaker.peer.say()
        await bob.peer.hears(last)
    slots = bob.peer.ledger.slots()
    assert len(slots) == 4
    voices = [{heard.stamp.speaker for heard in slot if heard.stamp} for slot in slots.values()]
    assert sorted(map(list, voices)) == sorted([speaker.peer.number] for speaker in speakers)
    assert not bob.peer.ledger.breaks()


async def test_the_loudest_takes_over_a_single_section_and_the_stream_goes_on_unbroken(room: Room) -> None:
    """A standard WHEP client has one section: whoever dominates is heard, as one stream."""
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    bob = await room.listener("bob", sections=1)
    for loud, quiet in ((ana, ben), (ben, ana), (ana, ben)):
        async with choir([loud], [quiet]):
            await only_heard(bob, [loud])
    assert len(bob.peer.ledger.slots()) == 1
    assert not bob.peer.ledger.breaks()


async def test_two_sections_carry_the_two_loudest_of_five(room: Room) -> None:
    speakers = [await room.speaker(f"speaker-{index}") for index in range(5)]
    bob = await room.listener("bob", sections=2)
    async with choir([speakers[1], speakers[3]], [speakers[0], speakers[2], speakers[4]]):
        await only_heard(bob, [speakers[1], speakers[3]])
    assert not bob.peer.ledger.breaks()


async def test_a_voice_stays_in_its_section_when_the_other_section_changes_hands(room: Room) -> None:
    ana, ben, cem = [await room.speaker(name) for name in ("ana", "ben", "cem")]
    bob = await room.listener("bob", sections=2)
    async with choir([ana, ben], [cem]):
        await only_heard(bob, [ana, ben])
    before = slot_of(bob, ana)
    async with choir([ana, cem], [ben]):
        await only_heard(bob, [ana, cem])
    assert slot_of(bob, ana) == before
    assert slot_of(bob, cem) != before
    assert not bob.peer.ledger.breaks()


async def test_a_voice_barely_louder_does_not_take_a_section_away(room: Room) -> None:
    """Hysteresis: 1 dB of difference is what a breath makes, and must not cut words in two."""
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    bob = await room.listener("bob", sections=1)
    async with choir([ana], []):
        await only_heard(bob, [ana])
        async with ben.peer.speaking(level_dbov=LOUD + 1):
            await ben.peer.until(lambda: ben.peer.said >= 100, what="speaking for two seconds")
    assert not bob.peer.numbers(ben.peer)


async def test_a_latecomer_hears_whoever_dominates_already(room: Room) -> None:
    ana, ben = await room.speaker("ana"), await room.speaker("ben")
    bob = await room.listener("bob", sections=2)
    async with choir([ben], [ana]):
        await only_heard(bob, [ana, ben])
        late = await room.listener("late", sections=1)
        await only_heard(late, [ben])


@asynccontextmanager
async def choir(loud: list[Guest], quiet: list[Guest]) -> AsyncIterator[None]:
    """All of them speak, one packet every 20 ms each."""
    async with AsyncExitStack() as stack:
        for guest in loud:
            await stack.enter_async_context(guest.peer.speaking(level_dbov=LOUD))
        for guest in quiet:
            await stack.enter_async_context(guest.peer.speaking(level_dbov=QUIET))
        yield


async def only_heard(listener: Guest, speakers: list[Guest]) -> None:
    """Waits until the last 20 packets, ten frames where two voices are carried, are of exactly these speakers."""
    expected = {speaker.peer.number for speaker in speakers}

    def holds() -> bool:
        recent = listener.peer.ledger.heard[-20:]
        return len(recent) == 20 and {heard.stamp.speaker for heard in recent if heard.stamp} == expected

    await listener.peer.until(holds, what=f"hearing only {[speaker.identity for speaker in speakers]}")


def slot_of(listener: Guest, speaker: Guest) -> int:
    """The SSRC in which the speaker was heard last."""
    heard = listener.peer.ledger.heard
    return next(one.packet.ssrc for one in reversed(heard) if one.stamp and one.stamp.speaker == speaker.peer.number)
