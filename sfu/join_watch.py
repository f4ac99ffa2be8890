"""Watches sessions on their way to sound, for metrics and traces. Edge (clock)."""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Histogram

from sfu.contract.messages import OpenSession
from sfu.contract.tracing import Tracing
from sfu.journeys import Journeys, Step

STEP_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class JoinWatch:
    """The relay tells it what happens; `clock` is any that only goes forward."""

    def __init__(
        self, registry: CollectorRegistry, tracing: Tracing, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._journeys = Journeys()
        self._tracing = tracing
        self._clock = clock
        self._seconds = Histogram(
            "palco_sfu_join_step_seconds",
            "Of a session on its way to sound: ice from the command to the first nominated address, dtls from there to "
            "the keys, first_packet from there to the first authentic packet of who may speak.",
            ["step"],
            buckets=STEP_BUCKETS_S,
            registry=registry,
        )
        for step in ("ice", "dtls", "first_packet"):
            self._seconds.labels(step)

    def opened(self, command: OpenSession) -> None:
        speaks = command.receive is not None and command.is_on_stage and not command.is_muted
        self._journeys.on_opened(command.session, trace=command.trace, speaks=speaks, now_s=self._clock())

    def reached(self, session: str) -> None:
        self._note(self._journeys.on_reached(session, self._clock()))

    def secured(self, session: str) -> None:
        self._note(self._journeys.on_secured(session, self._clock()))

    def heard(self, session: str) -> None:
        self._note(self._journeys.on_heard(session, self._clock()))

    def gone(self, session: str) -> None:
        self._journeys.on_gone(session)

    def _note(self, step: Step | None) -> None:
        if step is None:
            return
        took_s = step.ended_s - step.began_s
        self._seconds.labels(step.name).observe(took_s)
        self._tracing.record(step.name, parent=step.trace, took_s=took_s, session=step.session[:8])
