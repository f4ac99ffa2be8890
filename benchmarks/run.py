"""One scenario on one server: started, joined, measured, stopped. Edge."""

import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import load, measure, namespace
from benchmarks.mixer_sources import recordings
from benchmarks.palco import Palco
from benchmarks.results import Ceiling, Row
from benchmarks.scenarios import Scenario
from benchmarks.screen import Screen
from benchmarks.servers import Running, Server


@dataclass(frozen=True, kw_only=True)
class Settings:
    program: Path
    server_cpu: int = 0
    load_cpu: int = 1
    settle_s: float = 2.0
    measure_s: float = 8.0
    sample: int = 20
    is_counted_at_ingress: bool = False
    joins_under_way: int = 32


async def run_scenario(server: Server, scenario: Scenario, settings: Settings, screen: Screen) -> Row:
    """Raises what the server's start or the load generator raises; the server is stopped in any case."""
    with tempfile.TemporaryDirectory(prefix="palco-bench-") as workdir:
        running = await server.start(Path(workdir), settings.server_cpu, speakers=scenario.speakers)
        try:
            idle = measure.usage(running.pids)
            return await _play(server, running, scenario, settings, idle=idle, screen=screen)
        finally:
            await running.stop()


async def _play(
    server: Server, running: Running, scenario: Scenario, settings: Settings, *, idle: measure.Usage, screen: Screen
) -> Row:
    is_counting = settings.is_counted_at_ingress and scenario.kind in {"fan-out", "mix"}
    shares_core = isinstance(server, Palco) and server.workers > 1
    job = await _job(running, scenario, settings, is_counting=is_counting, shares_core=shares_core)
    counting: AbstractContextManager[None] = namespace.sink() if is_counting else nullcontext()
    # `sink` opens when everybody has joined, so that each listener's first packet is really received.
    before = after = idle
    busy_before = busy_after = 0.0
    sunk_before = sunk_after = namespace.Sunk(0, 0)
    outcome: dict[str, Any] | None = None
    async with load.play(settings.program, job) as events:
        async for event in events:
            match event["event"]:
                case "progress":
                    screen.joining(server.name, scenario.name, event)
                case "settling":
                    counting.__enter__()
                case "measure_start":
                    screen.measuring(server.name, scenario.name, settings.measure_s)
                    before, busy_before = measure.usage(running.pids), measure.core_busy_s(settings.server_cpu)
                    sunk_before = namespace.sunk() if is_counting else sunk_before
                case "measure_stop":
                    after, busy_after = measure.usage(running.pids), measure.core_busy_s(settings.server_cpu)
                    sunk_after = namespace.sunk() if is_counting else sunk_after
                    counting.__exit__(None, None, None)
                case "result":
                    outcome = event
    if outcome is None:
        raise load.LoadFailedError("the load generator gave no result")
    sunk = namespace.Sunk(sunk_after.messages - sunk_before.messages, sunk_after.bytes - sunk_before.bytes)
    return Row(
        server=server.name,
        version=server.version() or "",
        scenario=scenario.name,
        is_mixed=scenario.kind == "mix",
        speakers=scenario.speakers,
        listeners=scenario.listeners * scenario.spaces,
        spaces=scenario.spaces,
        server_cpu_s=after.cpu_s - before.cpu_s,
        core_busy_s=busy_after - busy_before,
        delivered_packets=outcome["delivered_packets"] + sunk.datagrams_of(outcome["bytes_per_packet"]),
        resident_bytes_idle=idle.resident_bytes,
        resident_bytes_before=before.resident_bytes,
        resident_bytes=after.resident_bytes,
        **{name: outcome[name] for name in _TAKEN_OVER},
        latency_p50_s=outcome["latency_s"]["p50"],
        latency_p99_s=outcome["latency_s"]["p99"],
        latency_max_s=outcome["latency_s"]["max"],
        join_p50_s=outcome["join_s"]["p50"],
        join_p99_s=outcome["join_s"]["p99"],
        first_audio_p99_s=outcome["first_audio_s"]["p99"],
    )


_TAKEN_OVER = (
    "joined", "failed", "retried", "retries", "refused", "measured_s", "sent_packets", "bytes_per_packet",
    "sample_expected", "sample_lost", "sample_duplicates", "sample_wrong", "joins_per_s", "late", "failures",
)  # fmt: skip


async def _job(
    running: Running, scenario: Scenario, settings: Settings, *, is_counting: bool, shares_core: bool
) -> dict[str, Any]:
    spaces = [await running.open_space(f"bench-{space}") for space in range(scenario.spaces)]
    is_silent = scenario.kind == "half-open"
    speakers = [] if is_silent else [space.speaker(number) for space in spaces for number in range(scenario.speakers)]
    listeners = [space.listener(number) for number in range(scenario.listeners) for space in spaces]
    late = [spaces[number % scenario.spaces].listener(scenario.listeners + number) for number in range(scenario.late)]
    late_s = scenario.late / scenario.late_per_s + 2 if scenario.late_per_s else 0
    measure_s = max(settings.measure_s, scenario.lasts_s, late_s)
    return {
        "sessions": [*speakers, *listeners],
        "late": late,
        "late_per_s": scenario.late_per_s,
        "joins_per_s": scenario.joins_per_s,
        "churn_per_s": scenario.churn_per_s,
        "concurrency": 256 if scenario.kind == "storm" else settings.joins_under_way,
        "settle_s": settings.settle_s,
        "measure_s": measure_s,
        "sample": settings.sample,
        "payload_bytes": scenario.payload_bytes,
        "recordings": recordings() if scenario.kind == "mix" else [],
        "aligned": scenario.aligned,
        "first_port": namespace.FIRST_PORT if is_counting else 0,
        "cpu": settings.load_cpu,
        "half_open": is_silent,
        "spins": not shares_core,
    }


async def ceilings(settings: Settings, shapes: list[tuple[int, int]], packet_bytes: int) -> list[Ceiling]:
    """The raw limit for each (listeners, packets in a message), with the same sinks as the servers' listeners."""
    found = []
    counting: AbstractContextManager[None] = namespace.sink() if settings.is_counted_at_ingress else nullcontext()
    with counting:
        for listeners, packets in shapes:
            job = {
                "listeners": listeners, "packets_per_message": packets, "packet_bytes": packet_bytes, "measure_s": 2.0,
                "first_port": namespace.FIRST_PORT if settings.is_counted_at_ingress else 0, "cpu": settings.server_cpu,
            }  # fmt: skip
            async with load.play(settings.program, job, mode="ceiling") as events:
                found += [
                    Ceiling(listeners, packets, row["sealed"], row["gso"], row["cpu_us_per_packet"], row["paced"])
                    async for event in events
                    for row in event["rows"]
                ]
    return found
