"""What both processes say of themselves: CPU, memory, files, and how late their event loop runs. Edge (loop)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector

EVERY_S: Final = 0.25

LAG_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


def process_metrics(registry: CollectorRegistry, prefix: str) -> Histogram:
    """Registers `process_*` (CPU, memory, open files) and the loop's lag, whose histogram `lag_observed` feeds."""
    ProcessCollector(registry=registry)
    return Histogram(
        f"{prefix}_event_loop_lag_seconds",
        "By how much the event loop was late, four times a second: everybody else's input waited as long.",
        buckets=LAG_BUCKETS_S,
        registry=registry,
    )


@contextlib.asynccontextmanager
async def lag_observed(observe: Callable[[float], None]) -> AsyncIterator[None]:
    """While the block runs, four times a second, `observe` is given the seconds by which the loop was late."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look(due_s: float) -> None:
        nonlocal timer
        observe(max(0.0, loop.time() - due_s))
        timer = arm()

    def arm() -> asyncio.TimerHandle:
        due_s = loop.time() + EVERY_S
        return loop.call_at(due_s, look, due_s)

    timer = arm()
    try:
        yield
    finally:
        timer.cancel()
