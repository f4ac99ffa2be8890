"""The sfu is told the same thing twice, as by a signalling that lost an answer: the second finds the work done."""

from pathlib import Path

import pytest

from sfu.contract.messages import (
    CloseSession,
    CloseSpace,
    Describe,
    Done,
    OpenSpace,
    RemoveParticipant,
    SessionOpened,
    SetMuted,
    SetOnStage,
    Snapshot,
)
from tests.harness.wire import Manner, WirePeer, meet
from tests.sfu.live_sfu import LiveSfu, answer_of

pytestmark = pytest.mark.live


async def heard_is_all_of(speaker: WirePeer, listener: WirePeer, *, since: int) -> None:
    """Asserts that nothing which `speaker` said after `since` is missing or came twice."""
    last = await speaker.talk(10)
    await listener.hears(last)
    assert [one for one in listener.numbers(speaker) if one > since] == list(range(since + 1, last.number + 1))
    assert not listener.ledger.breaks()


async def test_a_session_opened_twice_is_one_session_with_the_answers_alike(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path) as sfu:
        ana = await sfu.peer("ana", Manner(sections=["sendonly"]))
        first, second = [await sfu.open(ana, "whip") for _ in range(2)]
        assert isinstance(first, SessionOpened)
        assert first == second
        await ana.connect(answer_of(first, ana))
        bob = await sfu.join("bob", "whep")
        await meet(ana, bob)
        since = ana.said
        third = await sfu.open(ana, "whip")
        assert isinstance(third, SessionOpened)
        assert (third.ufrag, third.ssrcs) == (first.ufrag, first.ssrcs)
        await heard_is_all_of(ana, bob, since=since)
        assert len((await snapshot(sfu)).sessions) == 2


async def test_muting_promoting_and_opening_twice_changes_nothing_more(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path) as sfu:
        ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whip")
        bob = await sfu.join("bob", "whep", sections=2)
        await meet(ana, bob)
        await meet(ben, bob)
        before = await snapshot(sfu)
        since = ben.said
        for command in (
            OpenSpace("lounge"),
            SetOnStage("lounge", "ana", is_on_stage=True),
            SetMuted("lounge", ["ana"], is_muted=False),
        ):
            assert [await sfu.signalling.ask(command) for _ in range(2)] == [Done(), Done()]
        assert await snapshot(sfu) == before
        for is_muted in (True, True, False, False):
            assert await sfu.signalling.ask(SetMuted("lounge", ["ana"], is_muted=is_muted)) == Done()
        await bob.hears(ana.say())
        await heard_is_all_of(ben, bob, since=since)


async def test_closing_removing_and_ending_twice_is_answered_as_done_both_times(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path) as sfu:
        ana, ben, bob = await sfu.join("ana", "whip"), await sfu.join("ben", "whip"), await sfu.join("bob", "whep")
        await meet(ana, bob)
        for command in (
            CloseSession("session-of-ana"),
            RemoveParticipant("lounge", "ben"),
            RemoveParticipant("lounge", "nobody"),
            CloseSpace("lounge"),
        ):
            answers = [type(await sfu.signalling.ask(command)) for _ in range(2)]
            assert answers == [Done, Done], command
        after = await snapshot(sfu)
        assert (after.spaces, after.sessions) == ([], [])
        assert ben.said == 0


async def snapshot(sfu: LiveSfu) -> Snapshot:
    answer = await sfu.signalling.ask(Describe())
    assert isinstance(answer, Snapshot)
    return answer
