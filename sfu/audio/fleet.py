"""Which mixer process mixes which space, and what becomes of a space whose process died, hangs or fails. A machine.

The fleet holds what is wanted of every space and says it all again to whichever process gets the space next. A space is
*mixed* from when its process has run it for a while until that process ends, misses its beats or gives the space up;
what is not mixed is the sfu's to forward (`Unmixed`).

There are as many processes as spaces, up to a number that is given; without any space there is none, after a while. A
process that has just come takes its share of the spaces of those that are there, each of which is forwarded meanwhile.

A process that dies leaves the number of the space it was working on. That one alone waits, twice as long each time, for
it may hold a packet that kills; the others go on at once. Without a number nobody is to blame.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from sfu.audio.contract import (
    AddProgram,
    Assign,
    Beat,
    Failed,
    FromMixer,
    Ready,
    Release,
    RemoveProgram,
    RemoveVoice,
    Settings,
    SetVoice,
    Taps,
    ToMixer,
)
from sfu.audio.orders import Effect, End, Kill, Mixed, Reason, Spawn, Tell, Unmixed

STALL_S = 0.070
"""Without a beat, which comes every 20 ms: with a timer's and a follow's time, under 100 ms to the fallback."""

CALM_BEATS = 10
"""In time, after it was without: its mixes are followed again. On a machine that is short of CPU they would otherwise
come and go by the beat."""

HANG_S = 5.0
"""Without a beat: it is killed. It may just be starved of CPU, so not at once."""

START_S = 15.0
"""The same, for one that was started and is not ready."""

END_S = 2.0
"""For one that was told to end."""

IDLE_S = 60.0
"""Without a space: it is told to."""

ASIDE_S, MOST_ASIDE_S = 1.0, 300.0
RESTART_S, MOST_RESTART_S = 0.05, 10.0

FORGIVEN_AFTER_S = 60.0
"""Well for so long, a process or a space starts again with the least wait."""


ProcessState = Literal["off", "waiting", "starting", "well", "stalled", "ending"]
"""Not wanted; to be started again in a moment; not ready yet; beating; not beating; told to end."""


class Process(Struct):
    state: ProcessState = "off"
    since_s: float = 0.0
    """When it came into that state, or last beat."""
    idle_since_s: float = 0.0
    calm_beats: int = 0
    """In time, since it stalled."""
    well_since_s: float = 0.0
    starts_at_s: float = 0.0
    pause_s: float = RESTART_S
    spaces: set[str] = field(default_factory=set)


class Space(Struct):
    number: int
    taps: Taps
    settings: Settings
    voices: dict[int, SetVoice] = field(default_factory=dict)
    audiences: list[int | None] = field(default_factory=lambda: [None])
    programs: dict[int | None, int] = field(default_factory=dict)
    """Empty without a process."""
    process: int | None = None
    is_warm: bool = False
    is_mixed: bool = False
    aside_until_s: float = 0.0
    aside_s: float = ASIDE_S
    taken_at_s: float = 0.0


class Fleet:
    """Inputs are `on_…` and the commands of the sfu; each returns effects in the order to perform."""

    def __init__(self, processes: int) -> None:
        self._processes = {number: Process() for number in range(processes)}
        self._spaces: dict[str, Space] = {}
        self._by_number: dict[int, str] = {}
        self._last_number = 0
        self._last_ssrc = 0

    @property
    def wakes_at_s(self) -> float | None:
        times = [space.aside_until_s for space in self._spaces.values() if space.process is None and self._well()]
        for process in self._processes.values():
            if process.state == "waiting":
                times.append(process.starts_at_s)
            elif process.state != "off":
                times.append(process.since_s + _PATIENCE_S[process.state])
            if self._is_spare(process):
                times.append(process.idle_since_s + IDLE_S)
        return min(times, default=None)

    def census(self) -> dict[int, tuple[str, int]]:
        """Of each process: its state, and how many spaces it has."""
        return {number: (process.state, len(process.spaces)) for number, process in self._processes.items()}

    def is_well(self, process: int) -> bool:
        return self._processes[process].state == "well"

    def name_of(self, number: int) -> str | None:
        """The space that a process noted; None for none, or one that is closed."""
        return self._by_number.get(number)

    def process_of(self, space: str) -> int | None:
        known = self._spaces.get(space)
        return None if known is None else known.process

    # Commands

    def open_space(self, name: str, *, taps: Taps, settings: Settings, now_s: float) -> list[Effect]:
        """With a program of all."""
        if name in self._spaces:
            return []
        self._last_number = self._last_number % 0xFFFFFFFF + 1
        self._spaces[name] = Space(number=self._last_number, taps=taps, settings=settings)
        self._by_number[self._last_number] = name
        return [*self._hire(now_s), *self._place(now_s)]

    def close_space(self, name: str, now_s: float) -> list[Effect]:
        """The sfu knows; nothing is said of it being no longer mixed."""
        space = self._spaces.pop(name, None)
        if space is None:
            return []
        del self._by_number[space.number]
        if space.process is None:
            return []
        self._leave(name, self._processes[space.process], now_s)
        return [Tell(space.process, Release(name))]

    def set_voice(self, name: str, ssrc: int, *, is_open: bool, red_payload_type: int | None = None) -> list[Effect]:
        space = self._spaces.get(name)
        if space is None:
            return []
        voice = SetVoice(name, ssrc, is_open, red_payload_type)
        if space.voices.get(ssrc) == voice:
            return []
        space.voices[ssrc] = voice
        return _tell(space, voice)

    def remove_voice(self, name: str, ssrc: int) -> list[Effect]:
        space = self._spaces.get(name)
        if space is None or space.voices.pop(ssrc, None) is None:
            return []
        return _tell(space, RemoveVoice(name, ssrc))

    def add_audience(self, name: str, without: int | None) -> list[Effect]:
        """One more program, for the speaker who must not hear himself; or that of all, which comes before any other."""
        space = self._spaces.get(name)
        if space is None or without in space.audiences:
            return []
        space.audiences.append(without)
        if space.process is None:
            return []
        effects = _tell(space, self._program(name, space, without))
        return [*effects, Mixed(name, dict(space.programs))] if space.is_mixed else effects

    def remove_audience(self, name: str, without: int | None) -> list[Effect]:
        space = self._spaces.get(name)
        if space is None or without not in space.audiences:
            return []
        space.audiences.remove(without)
        ssrc = space.programs.pop(without, None)
        return [] if ssrc is None else _tell(space, RemoveProgram(name, ssrc))

    # What happens to processes

    def on_message(self, process: int, message: FromMixer, now_s: float) -> list[Effect]:
        known = self._processes[process]
        match message:
            case Ready() if known.state == "starting":
                known.state, known.since_s, known.well_since_s = "well", now_s, now_s
                known.idle_since_s = now_s
                return [*self._share_out(process, now_s), *self._place(now_s)]
            case Beat(warm) if known.state in {"well", "stalled"}:
                return self._on_beat(known, warm, now_s)
            case Failed(name):
                return self._on_failed(process, name, now_s)
            case _:
                return []

    def on_exited(self, process: int, number: int, now_s: float) -> list[Effect]:
        """`number` is what it had noted, 0 for nothing."""
        known = self._processes[process]
        if known.state == "ending":
            known.state = "off"
            return self._hire(now_s)
        if known.state in {"off", "waiting"}:
            return []
        if known.state != "starting" and now_s - known.well_since_s > FORGIVEN_AFTER_S:
            known.pause_s = RESTART_S
        known.state, known.starts_at_s = "waiting", now_s + known.pause_s
        known.pause_s = min(MOST_RESTART_S, 2 * known.pause_s)
        blamed = self._by_number.get(number)
        effects: list[Effect] = []
        for name in sorted(known.spaces):
            effects += self._take_away(name, now_s, reason="died", is_blamed=name == blamed)
        known.spaces.clear()
        return [*effects, *self._place(now_s)]

    def on_wake(self, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        for number, process in self._processes.items():
            match process.state:
                case "off":
                    pass
                case "waiting":
                    if now_s >= process.starts_at_s:
                        effects += self._start_again(number, process, now_s)
                case state:
                    if now_s >= process.since_s + _PATIENCE_S[state]:
                        effects += self._on_silence(number, process, now_s)
                    elif self._is_spare(process) and now_s >= process.idle_since_s + IDLE_S:
                        process.state, process.since_s = "ending", now_s
                        effects.append(End(number))
        return [*effects, *self._place(now_s)]

    # How many

    def _staff(self) -> int:
        return sum(process.state not in {"off", "ending"} for process in self._processes.values())

    def _is_spare(self, process: Process) -> bool:
        return process.state == "well" and not process.spaces and self._staff() > len(self._spaces)

    def _hire(self, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        for number, process in self._processes.items():
            if process.state == "off" and self._staff() < len(self._spaces):
                process.state, process.since_s = "starting", now_s
                effects.append(Spawn(number))
        return effects

    def _start_again(self, number: int, process: Process, now_s: float) -> list[Effect]:
        if self._staff() > len(self._spaces):
            process.state = "off"
            return []
        process.state, process.since_s = "starting", now_s
        return [Spawn(number)]

    # Steps

    def _on_beat(self, process: Process, warm: tuple[str, ...], now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        if process.state == "stalled":
            process.calm_beats = 0 if now_s >= process.since_s + STALL_S else process.calm_beats + 1
            if process.calm_beats >= CALM_BEATS:
                process.state = "well"
                effects += [effect for name in sorted(process.spaces) for effect in self._show(name)]
        process.since_s = now_s
        for name in warm:
            if name in process.spaces:
                self._spaces[name].is_warm = True
                effects += self._show(name) if process.state == "well" else []
        return effects

    def _on_silence(self, number: int, process: Process, now_s: float) -> list[Effect]:
        if process.state == "well":
            process.state, process.calm_beats = "stalled", 0
            return [effect for name in sorted(process.spaces) for effect in self._hide(name, "hung")]
        # `on_exited` follows, with the number of the space that it hangs on, if it does.
        process.since_s = now_s
        return [Kill(number)]

    def _on_failed(self, process: int, name: str, now_s: float) -> list[Effect]:
        space = self._spaces.get(name)
        if space is None or space.process != process:
            return []
        self._leave(name, self._processes[process], now_s)
        return self._take_away(name, now_s, reason="failed", is_blamed=True)

    def _leave(self, name: str, process: Process, now_s: float) -> None:
        process.spaces.discard(name)
        if not process.spaces:
            process.idle_since_s = now_s

    def _take_away(self, name: str, now_s: float, *, reason: Reason, is_blamed: bool) -> list[Effect]:
        space = self._spaces[name]
        effects = self._hide(name, reason)
        space.process, space.is_warm = None, False
        space.programs.clear()
        space.aside_until_s = now_s
        if is_blamed:
            if now_s - space.taken_at_s > FORGIVEN_AFTER_S:
                space.aside_s = ASIDE_S
            space.aside_until_s = now_s + space.aside_s
            space.aside_s = min(MOST_ASIDE_S, 2 * space.aside_s)
        return effects

    def _share_out(self, newcomer: int, now_s: float) -> list[Effect]:
        """Spaces of the busiest go to one that has just come, those first that were taken last."""
        effects: list[Effect] = []
        mine = self._processes[newcomer]
        while True:
            busiest = max(self._well().values(), key=lambda process: len(process.spaces))
            if len(busiest.spaces) - len(mine.spaces) < 2:
                return effects
            name = max(busiest.spaces, key=lambda each: (self._spaces[each].taken_at_s, each))
            effects += _tell(self._spaces[name], Release(name))
            self._leave(name, busiest, now_s)
            effects += self._take_away(name, now_s, reason="moved", is_blamed=False)
            effects += self._give(name, newcomer, now_s)

    def _place(self, now_s: float) -> list[Effect]:
        """Gives every space that has no process, and is not aside, to the one with the fewest."""
        well = self._well()
        effects: list[Effect] = []
        for name, space in self._spaces.items():
            if space.process is not None or now_s < space.aside_until_s or not well:
                continue
            effects += self._give(name, min(well, key=lambda each: len(well[each].spaces)), now_s)
        return effects

    def _well(self) -> dict[int, Process]:
        return {number: process for number, process in self._processes.items() if process.state == "well"}

    def _give(self, name: str, process: int, now_s: float) -> list[Effect]:
        space = self._spaces[name]
        self._processes[process].spaces.add(name)
        space.process, space.taken_at_s = process, now_s
        effects = _tell(space, Assign(name, space.number, space.taps, space.settings))
        for voice in space.voices.values():
            effects += _tell(space, voice)
        for without in space.audiences:
            effects += _tell(space, self._program(name, space, without))
        return effects

    def _program(self, name: str, space: Space, without: int | None) -> AddProgram:
        self._last_ssrc = self._last_ssrc % 0xFFFFFFFF + 1
        space.programs[without] = self._last_ssrc
        return AddProgram(name, self._last_ssrc, without)

    def _show(self, name: str) -> list[Effect]:
        space = self._spaces[name]
        if space.is_mixed or not space.is_warm:
            return []
        space.is_mixed = True
        return [Mixed(name, dict(space.programs))]

    def _hide(self, name: str, reason: Reason) -> list[Effect]:
        space = self._spaces[name]
        was_mixed, space.is_mixed = space.is_mixed, False
        return [Unmixed(name, reason)] if was_mixed else []


def _tell(space: Space, message: ToMixer) -> list[Effect]:
    return [] if space.process is None else [Tell(space.process, message)]


_PATIENCE_S: Mapping[ProcessState, float] = {"starting": START_S, "well": STALL_S, "stalled": HANG_S, "ending": END_S}
"""How long each may go on without a beat."""
