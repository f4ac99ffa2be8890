"""A decision is written, then told to the sfu, then to people, then acknowledged; what only restricts is told first."""

import asyncio
from typing import Any

import pytest

from sfu.contract.messages import Answer, Command, Done, Refused, SetMuted, SetOnStage
from signalling.effects import Announce, Effect, KeepStanding, Tell
from signalling.errors import CommandError
from signalling.events import Caption, Nothing
from signalling.outbox import Outbox
from signalling.records import StandingRecord
from signalling.resources import Counts

MUTED = KeepStanding(StandingRecord("bob", is_muted=True))
MUTE = Tell(SetMuted("hall", ["bob"], is_muted=True))
UNMUTED = KeepStanding(StandingRecord("bob"))
UNMUTE = Tell(SetMuted("hall", ["bob"], is_muted=False))
TOLD = Announce("space.host_back", Nothing())


class World:
    """What became of the effects, in order; `may_write` holds a write back, `is_away` fails it."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.is_away = False
        self.answer: Answer = Done()
        self.outbox = Outbox(keep=self.keep, tell=self.tell, publish=self.publish)

    async def keep(self, records: list[Any]) -> None:
        await self.may_write.wait()
        if self.is_away:
            raise CommandError("store_unavailable", "away")
        self.log.append(list(records))

    def tell(self, command: Command) -> "asyncio.Future[Answer]":
        self.log.append(command)
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(self.answer)
        return answer

    def publish(self, effects: Any) -> None:
        self.log += [effect for effect in effects if isinstance(effect, Announce)]

    async def put(self, *effects: Effect) -> list[Refused]:
        refusals = await self.outbox.put(effects)
        self.log.append("acknowledged")
        return refusals


async def test_written_then_told_then_published_then_acknowledged() -> None:
    world = World()
    await world.put(TOLD, UNMUTE, UNMUTED)
    assert world.log == [[UNMUTED.record], UNMUTE.command, TOLD, "acknowledged"]


async def test_a_restriction_is_told_while_it_is_written_and_acknowledged_after_both() -> None:
    world = World()
    world.may_write.clear()
    muting = asyncio.create_task(world.put(TOLD, MUTE, MUTED))
    await asyncio.sleep(0)
    assert world.log == [MUTE.command]
    world.may_write.set()
    await muting
    assert world.log == [MUTE.command, [MUTED.record], TOLD, "acknowledged"]


async def test_a_restriction_waits_for_no_one_elses_write() -> None:
    world = World()
    world.may_write.clear()
    others = Tell(SetMuted("hall", ["cleo"], is_muted=False))
    first = asyncio.create_task(world.put(KeepStanding(StandingRecord("cleo")), others))
    await asyncio.sleep(0)
    second = asyncio.create_task(world.put(MUTED, MUTE))
    await asyncio.sleep(0)
    assert world.log == [MUTE.command]
    world.may_write.set()
    await asyncio.gather(first, second)
    assert [entry for entry in world.log if isinstance(entry, SetMuted)] == [MUTE.command, others.command]


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_mute_never_overtakes_an_unmute_of_the_same_person(turns: int) -> None:
    """It would be lifted by what was decided before it. The unmute may wait for its turn, or be at the disk."""
    world = World()
    world.may_write.clear()
    first = asyncio.ensure_future(world.outbox.put([UNMUTED, UNMUTE]))
    for _ in range(turns):
        await asyncio.sleep(0)
    second = asyncio.ensure_future(world.outbox.put([MUTED, MUTE]))
    assert world.log == []
    world.may_write.set()
    await asyncio.gather(first, second)
    assert [entry for entry in world.log if isinstance(entry, SetMuted)] == [UNMUTE.command, MUTE.command]


async def test_what_mixes_a_restriction_with_a_permission_is_written_first() -> None:
    world = World()
    seat = Tell(SetOnStage("hall", "bob", is_on_stage=True))
    await world.put(MUTE, seat, MUTED)
    assert world.log == [[MUTED.record], MUTE.command, seat.command, "acknowledged"]


async def test_what_needs_no_write_goes_out_at_once_where_nobody_waits() -> None:
    world = World()
    done = world.outbox.put([MUTE])
    assert world.log == [MUTE.command]
    assert await done == []


async def test_decisions_stay_in_order_though_one_of_them_waits_for_the_disk() -> None:
    world = World()
    world.may_write.clear()
    first = asyncio.create_task(world.put(UNMUTED, UNMUTE))
    await asyncio.sleep(0)
    second = asyncio.create_task(world.put(Tell(SetOnStage("hall", "bob", is_on_stage=True))))
    await asyncio.sleep(0)
    assert world.log == []
    world.may_write.set()
    await asyncio.gather(first, second)
    assert [entry for entry in world.log if isinstance(entry, SetMuted | SetOnStage)] == [
        UNMUTE.command,
        SetOnStage("hall", "bob", is_on_stage=True),
    ]


async def test_a_caption_waits_for_no_decision_and_all_else_does() -> None:
    world = World()
    world.may_write.clear()
    deciding = asyncio.create_task(world.put(UNMUTED, TOLD))
    await asyncio.sleep(0)
    line = Announce("caption", Caption(text="and then she said"))
    counts = Announce("counts", Counts(speakers=0, listeners=0))
    world.outbox.put([counts])
    assert world.outbox.put([line]).done()
    assert world.log == [line]
    world.may_write.set()
    await deciding
    await world.outbox.idle()
    assert [entry for entry in world.log if entry != "acknowledged"] == [line, [UNMUTED.record], TOLD, counts]


async def test_what_gathers_during_a_write_is_written_together() -> None:
    world = World()
    world.may_write.clear()
    people = [StandingRecord(f"person {number}", is_muted=True) for number in range(5)]
    waiting = [asyncio.ensure_future(world.outbox.put([KeepStanding(person)])) for person in people]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = [StandingRecord(f"late {number}", is_muted=True) for number in range(5)]
    waiting += [asyncio.ensure_future(world.outbox.put([KeepStanding(person)])) for person in late]
    world.may_write.set()
    await asyncio.gather(*waiting)
    assert world.log == [people, late]


async def test_what_the_sfu_refuses_is_the_callers_to_know() -> None:
    world = World()
    world.answer = Refused("stage_full", "full")
    assert await world.put(MUTE) == [Refused("stage_full", "full")]


async def test_without_a_database_it_is_in_force_not_acknowledged_and_written_when_it_is_back() -> None:
    world = World()
    world.is_away = True
    with pytest.raises(CommandError, match="store_unavailable"):
        await world.put(MUTED, MUTE)
    assert world.log == [MUTE.command]

    world.is_away = False
    later = StandingRecord("cleo", is_muted=True)
    await world.put(KeepStanding(later))
    assert [MUTED.record, later] in world.log


async def test_whoever_waits_for_earlier_decisions_finds_them_in_force() -> None:
    world = World()
    world.may_write.clear()
    asyncio.get_running_loop().call_soon(world.may_write.set)
    world.outbox.put([MUTED, MUTE])
    await world.outbox.earlier()
    assert MUTE.command in world.log
    await world.outbox.idle()
