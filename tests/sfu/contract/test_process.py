"""A loop that was held up says by how much."""

import asyncio
import time

from prometheus_client import CollectorRegistry, generate_latest

from sfu.contract.process import EVERY_S, lag_observed, process_metrics

HELD_UP_S = 0.2


async def test_the_loop_tells_how_late_it_was() -> None:
    lags: list[float] = []
    looked = asyncio.Event()

    def observe(lag_s: float) -> None:
        lags.append(lag_s)
        looked.set()

    async with lag_observed(observe):
        time.sleep(EVERY_S + HELD_UP_S)  # noqa: ASYNC251 - what a busy loop does
        await looked.wait()
    assert lags[0] >= HELD_UP_S * 0.9


async def test_it_stops_with_its_block() -> None:
    async with lag_observed(lambda _: None):
        pass
    assert len(asyncio.all_tasks()) == 1


def test_cpu_memory_and_files_are_told_under_the_names_that_everybody_uses() -> None:
    registry = CollectorRegistry()
    process_metrics(registry, "palco_test").observe(0.003)
    page = generate_latest(registry).decode()
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert f"\n{name} " in page
    assert "palco_test_event_loop_lag_seconds_count 1.0" in page
