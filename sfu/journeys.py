"""Each session's way to sound, opened, reached (ICE), secured (DTLS), first heard: what each step took. A machine."""

from typing import Literal

from msgspec import Struct

StepName = Literal["ice", "dtls", "first_packet"]


class Step(Struct, frozen=True):
    """One step done; times as they were given."""

    name: StepName
    session: str
    trace: str
    """The traceparent that came with the session (W3C Trace Context); empty where it is not traced."""
    began_s: float
    ended_s: float


class _Journey(Struct):
    trace: str
    speaks: bool
    since_s: float
    awaits: StepName = "ice"


class Journeys:
    """Remembers only those who are on the way; each input gives the step that it completes, if any."""

    def __init__(self) -> None:
        self._journeys: dict[str, _Journey] = {}

    def __len__(self) -> int:
        return len(self._journeys)

    def on_opened(self, session: str, *, trace: str, speaks: bool, now_s: float) -> None:
        self._journeys.setdefault(session, _Journey(trace=trace, speaks=speaks, since_s=now_s))

    def on_reached(self, session: str, now_s: float) -> Step | None:
        """A check nominated an address; again after a move, which completes nothing."""
        return self._complete(session, "ice", "dtls", now_s)

    def on_secured(self, session: str, now_s: float) -> Step | None:
        step = self._complete(session, "dtls", "first_packet", now_s)
        if step is not None and not self._journeys[session].speaks:
            del self._journeys[session]  # who only listens sends nothing that could be waited for
        return step

    def on_heard(self, session: str, now_s: float) -> Step | None:
        step = self._complete(session, "first_packet", "first_packet", now_s)
        if step is not None:
            del self._journeys[session]
        return step

    def on_gone(self, session: str) -> None:
        self._journeys.pop(session, None)

    def _complete(self, session: str, step: StepName, then: StepName, now_s: float) -> Step | None:
        journey = self._journeys.get(session)
        if journey is None or journey.awaits != step:
            return None
        done = Step(step, session, journey.trace, journey.since_s, now_s)
        journey.awaits, journey.since_s = then, now_s
        return done
