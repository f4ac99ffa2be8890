"""Which process mixes what, and that no fault of one costs another space its mix."""

from sfu.audio.contract import AddProgram, Assign, Beat, Failed, Ready, Release, RemoveVoice, Settings, SetVoice, Taps
from sfu.audio.fleet import (
    ASIDE_S,
    CALM_BEATS,
    END_S,
    HANG_S,
    IDLE_S,
    RESTART_S,
    STALL_S,
    Fleet,
)
from sfu.audio.orders import Effect, End, Kill, Mixed, Spawn, Tell, Unmixed

TAPS = Taps("/m", "/s")


class World:
    """A fleet with a hand-moved clock; every effect it had is in `done`, the latest in `last`."""

    def __init__(self, processes: int = 2) -> None:
        self.fleet = Fleet(processes)
        self.now_s = 100.0
        self.last: list[Effect] = []

    def note(self, effects: list[Effect]) -> list[Effect]:
        self.last = effects
        return effects

    def wake(self, after_s: float = 0.0) -> list[Effect]:
        self.now_s += after_s
        return self.note(self.fleet.on_wake(self.now_s))

    def ready(self, *processes: int) -> list[Effect]:
        return self.note([e for p in processes for e in self.fleet.on_message(p, Ready("x"), self.now_s)])

    def beat(self, process: int, *warm: str) -> list[Effect]:
        return self.note(self.fleet.on_message(process, Beat(warm), self.now_s))

    def open(self, name: str) -> list[Effect]:
        return self.note(self.fleet.open_space(name, taps=TAPS, settings=Settings(), now_s=self.now_s))

    def exit(self, process: int, space: str | None = None) -> list[Effect]:
        number = next((n for n in range(1, 100) if space is not None and self.fleet.name_of(n) == space), 0)
        return self.note(self.fleet.on_exited(process, number, self.now_s))

    def assigned(self) -> dict[str, int]:
        return {
            effect.message.space: effect.process
            for effect in self.last
            if isinstance(effect, Tell) and isinstance(effect.message, Assign)
        }

    def unmixed(self) -> list[str]:
        return [effect.space for effect in self.last if isinstance(effect, Unmixed)]


def make_world(*spaces: str, processes: int = 2) -> World:
    """All processes that so many spaces need are well, all spaces mixed."""
    world = World(processes)
    for space in spaces:
        world.open(space)
    world.ready(*range(min(processes, len(spaces))))
    for space in spaces:
        process = world.fleet.process_of(space)
        assert process is not None
        world.beat(process, space)
    return world


class TestPlacing:
    def test_without_a_space_there_is_no_process(self) -> None:
        world = World(3)
        assert world.wake() == []
        assert world.fleet.wakes_at_s is None

    def test_every_space_brings_a_process_up_to_their_number(self) -> None:
        world = World(2)
        assert [world.open(space) for space in "abc"] == [[Spawn(0)], [Spawn(1)], []]

    def test_a_space_opened_before_any_process_is_ready_waits_for_the_first(self) -> None:
        world = World()
        world.open("a")
        world.open("b")
        world.now_s += RESTART_S
        world.ready(1)
        assert world.assigned() == {"a": 1, "b": 1}

    def test_a_process_that_has_just_come_takes_its_share(self) -> None:
        world = World()
        for space in "abcd":
            world.open(space)
        world.now_s += RESTART_S
        world.ready(0)
        world.beat(0, *"abcd")
        world.ready(1)
        assert sorted(world.assigned().values()) == [1, 1]
        assert set(world.unmixed()) == set(world.assigned())
        released = [e.message.space for e in world.last if isinstance(e, Tell) and isinstance(e.message, Release)]
        assert sorted(released) == sorted(world.assigned())

    def test_spaces_are_spread_evenly(self) -> None:
        world = make_world("a", "b", "c", "d")
        assert sorted(world.fleet.process_of(space) or 0 for space in "abcd") == [0, 0, 1, 1]

    def test_a_space_said_twice_is_opened_once(self) -> None:
        assert make_world("a").open("a") == []

    def test_a_closed_space_is_released_and_forgotten(self) -> None:
        world = make_world("a")
        process = world.fleet.process_of("a")
        assert process is not None
        assert world.fleet.close_space("a", world.now_s) == [Tell(process, Release("a"))]
        assert world.fleet.close_space("a", world.now_s) == []
        assert world.fleet.set_voice("a", 1, is_open=True) == []
        world.exit(process)
        assert world.assigned() == {}


class TestDismissal:
    def test_a_process_that_nobody_needs_any_more_is_told_to_end_after_a_while(self) -> None:
        world = make_world("a", processes=1)
        world.fleet.close_space("a", world.now_s)
        self.beat_for(world, IDLE_S - STALL_S / 2)
        assert world.wake() == []
        self.beat_for(world, STALL_S)
        assert End(0) in world.wake()
        assert world.exit(0) == []
        assert world.fleet.wakes_at_s is None

    def test_a_space_that_comes_in_between_keeps_it(self) -> None:
        world = make_world("a", processes=1)
        world.fleet.close_space("a", world.now_s)
        self.beat_for(world, IDLE_S / 2)
        world.open("b")
        assert world.assigned() == {"b": 0}
        self.beat_for(world, IDLE_S)
        assert world.wake() == []

    def test_one_that_comes_too_late_gets_a_new_process(self) -> None:
        world = make_world("a", processes=1)
        world.fleet.close_space("a", world.now_s)
        self.beat_for(world, IDLE_S)
        assert world.wake() == [End(0)]
        assert world.open("b") == []
        assert world.exit(0) == [Spawn(0)]
        world.ready(0)
        assert world.assigned() == {"b": 0}

    def test_one_that_does_not_go_is_killed(self) -> None:
        world = make_world("a", processes=1)
        world.fleet.close_space("a", world.now_s)
        self.beat_for(world, IDLE_S)
        world.wake()
        assert world.wake(END_S) == [Kill(0)]

    def test_one_that_died_while_nobody_needed_it_is_not_started_again(self) -> None:
        world = make_world("a", processes=1)
        world.fleet.close_space("a", world.now_s)
        world.exit(0)
        assert world.wake(RESTART_S) == []
        assert world.fleet.wakes_at_s is None

    @staticmethod
    def beat_for(world: World, seconds: float) -> None:
        world.now_s += seconds
        world.beat(0)


class TestMixing:
    def test_a_space_is_mixed_once_its_process_has_run_it_for_a_while(self) -> None:
        world = World(1)
        world.open("a")
        assert not any(isinstance(effect, Mixed) for effect in world.ready(0))
        assert world.beat(0) == []
        assert world.beat(0, "a") == [Mixed("a", {None: 1})]
        assert world.beat(0, "a") == []

    def test_voices_are_told_and_told_again_to_the_next_process(self) -> None:
        world = make_world("a")
        world.fleet.set_voice("a", 5, is_open=False)
        assert world.fleet.set_voice("a", 5, is_open=True) == [Tell(0, SetVoice("a", 5, True))]
        assert world.fleet.set_voice("a", 5, is_open=True) == []
        world.fleet.set_voice("a", 6, is_open=True)
        assert world.fleet.remove_voice("a", 6) == [Tell(0, RemoveVoice("a", 6))]
        world.exit(0)
        world.wake(RESTART_S)
        effects = world.ready(0)
        assert Tell(0, SetVoice("a", 5, True)) in effects
        assert Tell(0, SetVoice("a", 6, True)) not in effects

    def test_an_audience_of_its_own_is_added_and_announced(self) -> None:
        world = make_world("a")
        assert world.fleet.add_audience("a", 5) == [Tell(0, AddProgram("a", 2, 5)), Mixed("a", {None: 1, 5: 2})]
        assert world.fleet.add_audience("a", 5) == []

    def test_every_process_gives_its_programs_new_ssrcs(self) -> None:
        world = make_world("a")
        world.fleet.add_audience("a", 5)
        world.exit(0)
        world.wake(RESTART_S)
        world.ready(0)
        assert world.beat(0, "a") == [Mixed("a", {None: 3, 5: 4})]


class TestDeath:
    def test_its_spaces_fall_back_at_once_and_go_to_another_process(self) -> None:
        world = make_world("a", "b")
        dead, alive = world.fleet.process_of("a"), world.fleet.process_of("b")
        assert dead is not None
        world.exit(dead)
        assert world.unmixed() == ["a"]
        assert world.assigned() == {"a": alive}

    def test_it_is_restarted(self) -> None:
        world = make_world("a")
        world.exit(0)
        assert world.wake(RESTART_S) == [Spawn(0)]

    def test_one_that_keeps_dying_is_restarted_ever_more_slowly(self) -> None:
        world = make_world("a", processes=1)
        pauses = []
        for _ in range(4):
            world.exit(0)
            pauses.append((world.fleet.wakes_at_s or 0) - world.now_s)
            world.wake(pauses[-1])
            world.ready(0)
        assert [round(pause, 2) for pause in pauses] == [0.05, 0.1, 0.2, 0.4]

    def test_the_space_that_killed_it_waits_and_the_others_do_not(self) -> None:
        world = make_world("a", "b", "c", "d")
        process = world.fleet.process_of("a")
        others = [space for space in "bcd" if world.fleet.process_of(space) == process]
        assert process is not None
        world.exit(process, "a")
        assert sorted(world.assigned()) == others
        assert sorted(world.unmixed()) == sorted(["a", *others])
        world.wake(ASIDE_S - 0.01)
        world.ready(process)
        assert "a" not in world.assigned()
        world.wake(0.01)
        assert "a" in world.assigned()

    def test_a_space_that_kills_again_and_again_waits_twice_as_long_each_time(self) -> None:
        world = make_world("a", processes=1)
        waits = []
        for _ in range(3):
            began_s = world.now_s
            world.exit(0, "a")
            while "a" not in world.assigned():
                world.beat(0)
                if Spawn(0) in world.wake(0.02):
                    world.ready(0)
            waits.append(round(world.now_s - began_s))
        assert waits == [1, 2, 4]

    def test_a_fault_of_our_own_in_one_space_is_that_space_s_alone(self) -> None:
        world = make_world("a", "b", processes=1)
        assert world.fleet.on_message(0, Failed("a", "why"), world.now_s) == [Unmixed("a", "failed")]
        world.beat(0)
        world.now_s += ASIDE_S - STALL_S / 2
        world.beat(0)
        world.wake(STALL_S / 2)
        assert world.assigned() == {"a": 0}


class TestStall:
    def test_without_a_beat_for_70_ms_its_spaces_fall_back(self) -> None:
        world = make_world("a", processes=1)
        assert world.fleet.wakes_at_s == world.now_s + STALL_S
        assert world.wake(STALL_S) == [Unmixed("a", "hung")]

    def test_they_return_once_it_has_beaten_in_time_for_a_while(self) -> None:
        world = make_world("a", processes=1)
        world.wake(STALL_S)
        for _ in range(CALM_BEATS):
            assert world.beat(0) == []
            world.now_s += 0.02
        assert world.beat(0) == [Mixed("a", {None: 1})]

    def test_on_a_machine_that_lets_it_stall_again_and_again_they_stay_where_they_are(self) -> None:
        world = make_world("a", processes=1)
        world.wake(STALL_S)
        for beat in range(10 * CALM_BEATS):
            world.now_s += STALL_S if beat % CALM_BEATS == 0 else 0.02
            assert world.beat(0) == []

    def test_one_that_hangs_is_killed(self) -> None:
        world = make_world("a", processes=1)
        world.wake(STALL_S)
        assert world.wake(HANG_S - STALL_S) == [Kill(0)]

    def test_one_that_beats_is_left_alone(self) -> None:
        world = make_world("a", processes=1)
        for _ in range(100):
            world.now_s += 0.02
            assert world.beat(0) == []
            assert world.wake() == []
