"""`python -m benchmarks mixer`: how many spaces one mixer process serves, and how late its packets leave. Edge.

A mixer process as the sfu runs it, at real sockets, and a crowd in a process of its own. CPU is the mixer's, from
/proc, over the time measured; spaces per core follow from it, and are to be believed if no frame was skipped. Latency
is from a packet's arrival at the tap to the departure of the packet that carries its sound: the same payload where a
voice passes, and where it is mixed the packet in which correlation with the source finds it.
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks import mixer_crowd
from benchmarks.measure import usage
from benchmarks.mixer_crowd import Report, percentile_ms
from benchmarks.results import markdown
from sfu.audio.contract import Settings, Taps, Watched
from sfu.audio.supervisor import Supervisor

WARM_S = 8.0
"""The jitter buffers begin with 40 ms and have come down to 25 by then."""

SECONDS = 15.0


class Job(Struct, frozen=True):
    name: str
    spaces: int
    talking: int
    idle: int = 0
    """Open microphones that are silent and say so (RFC 6464)."""


JOBS = (
    Job("one voice alone", spaces=100, talking=1),
    Job("one voice, nine open microphones", spaces=50, talking=1, idle=9),
    Job("ten voices at once", spaces=15, talking=10),
    Job("latency: one voice", spaces=10, talking=1),
    Job("latency: two voices", spaces=5, talking=2),
)


class Result(Struct, frozen=True, kw_only=True):
    job: Job
    cores: float
    spaces_per_core: float
    latency_p50_ms: float
    latency_p99_ms: float
    skipped_frames: int
    lost_at_sockets: int
    crowd_behind_ms: float
    decode_share: float
    encode_share: float
    passed_share: float


class Watcher:
    """The sfu's part: all that it wants to know is when every space is mixed."""

    def __init__(self, spaces: int) -> None:
        self.all_mixed = asyncio.Event()
        self._wanted = spaces
        self._mixed: set[str] = set()

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        assert programs
        self._mixed.add(space)
        if len(self._mixed) == self._wanted:
            self.all_mixed.set()

    def on_unmixed(self, space: str) -> None:
        self._mixed.discard(space)

    def on_levels(self, space: str, levels: tuple[tuple[int, float], ...]) -> None:
        """Not looked at."""


async def measure(job: Job, seconds: float) -> Result:
    watcher = Watcher(job.spaces)
    with tempfile.TemporaryDirectory(prefix="palco-mixer-") as directory:
        supervisor = Supervisor(processes=1, directory=Path(directory), arguments=("--log-level", "warning"))
        supervisor.start(watcher)
        try:
            taps = _open_spaces(supervisor, job)
            await asyncio.wait_for(watcher.all_mixed.wait(), 60)
            ours, theirs = multiprocessing.Pipe()
            crowd = multiprocessing.get_context("spawn").Process(
                target=mixer_crowd.run,
                args=(taps,),
                kwargs={
                    "talking": job.talking,
                    "idle": job.idle,
                    "warm_s": WARM_S,
                    "seconds": seconds,
                    "to": theirs,
                },
            )
            crowd.start()
            result = await _watch(job, supervisor, ours, seconds)
            crowd.join()
        finally:
            await supervisor.stop()
    return result


def _open_spaces(supervisor: Supervisor, job: Job) -> list[Taps]:
    taps = []
    for number in range(job.spaces):
        taps.append(supervisor.open_space(f"space-{number}", Settings()))
        for voice in range(job.talking + job.idle):
            supervisor.set_voice(f"space-{number}", voice + 1, is_open=True)
    return taps


async def _watch(job: Job, supervisor: Supervisor, crowd: Connection, seconds: float) -> Result:
    await asyncio.to_thread(crowd.recv)
    crowd.send("speak")
    await asyncio.sleep(WARM_S)
    pid, before = supervisor.pids[0], supervisor.account.watched[0]
    cpu_s, from_s = usage([pid]).cpu_s, time.monotonic()
    await asyncio.sleep(seconds)
    cores = (usage([pid]).cpu_s - cpu_s) / (time.monotonic() - from_s)
    after = supervisor.account.watched[0]
    report: Report = await asyncio.to_thread(crowd.recv)
    return _result(job, report, cores=cores, before=before, after=after)


def _result(job: Job, report: Report, *, cores: float, before: Watched, after: Watched) -> Result:
    busy_s = max(1, after.frames - before.frames) * 0.020 * cores
    totals = after.spaces.values()
    return Result(
        job=job,
        cores=cores,
        spaces_per_core=job.spaces / cores,
        latency_p50_ms=percentile_ms(report.latencies_s, 50),
        latency_p99_ms=percentile_ms(report.latencies_s, 99),
        skipped_frames=after.skipped_frames - before.skipped_frames,
        lost_at_sockets=report.refused + after.unsent - before.unsent,
        crowd_behind_ms=report.behind_s * 1000,
        decode_share=(after.decode_s - before.decode_s) / busy_s,
        encode_share=(after.encode_s - before.encode_s) / busy_s,
        passed_share=sum(each.frames_voice for each in totals)
        / max(1, sum(each.frames_voice + each.frames_mix for each in totals)),
    )


def table(results: Sequence[Result]) -> str:
    rows = [
        (
            result.job.name,
            str(result.job.spaces),
            f"{result.cores:.2f}",
            f"{result.spaces_per_core:.0f}",
            f"{result.latency_p50_ms:.1f} / {result.latency_p99_ms:.1f}",
            f"{result.decode_share:.0%} / {result.encode_share:.0%}",
            f"{result.passed_share:.0%}",
            str(result.skipped_frames),
            str(result.lost_at_sockets),
            f"{result.crowd_behind_ms:.0f}",
        )
        for result in results
    ]
    return markdown(HEADINGS, rows)


HEADINGS = (
    "job",
    "spaces",
    "cores",
    "spaces per core",
    "p50 / p99 ms",
    "decode / encode",
    "passed",
    "skipped",
    "lost",
    "crowd late ms",
)


async def run(only: str, *, seconds: float, spaces: int | None) -> list[Result]:
    """Every job whose name has `only`, one after another; `spaces` instead of each job's own number."""
    jobs = [msgspec.structs.replace(job, spaces=spaces or job.spaces) for job in JOBS if only in job.name]
    return [await measure(job, seconds) for job in jobs]
