"""`python -m benchmarks events`: a space with ten thousand event streams, and a thousand that do not read. Edge.

Signalling on one core, the streams on the other. What is told is what a busy stage tells: captions, each stamped when
it was posted; reactions; changes of the title and of the links. Delay is from the caption's POST to the bytes at the
stream, the POST and the wait for the next tick included.
"""

import argparse
import asyncio
import contextlib
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import jwt
import msgspec
from msgspec import Struct

from benchmarks.measure import usage
from benchmarks.palco import KEY, Palco, RunningPalco
from benchmarks.subscribers import Job, Report

SPACE: Final = "crowd"
SETTLE_S: Final = 5.0

PACE_PER_S: Final = {
    "usual": {"caption": 2.0, "reaction": 5.0, "title": 0.2, "links": 0.2},
    "busiest": {"caption": 5.0, "reaction": 20.0, "title": 10.0, "links": 10.0},
}
"""Acts a second. The busiest is more than a feed lets through."""


class Phase(Struct, frozen=True, kw_only=True):
    """What a part of the run showed; times in milliseconds."""

    name: str
    streams: int
    stalled: int
    measured_s: float
    messages_per_s: float
    """To each stream that reads."""
    writes_per_s: float
    bytes_per_s: float
    """To each stream that reads, bytes of the WebSocket."""
    snapshots: int
    closed: int
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    signalling_cores: float
    load_cores: float
    resident_bytes: int
    kernel_bytes: int
    """Of all TCP sockets on this machine, both ends."""


class Run(Struct, frozen=True):
    started: str
    machine: dict[str, Any]
    phases: list[Phase]
    stalled_resident_bytes_each: float | None = None
    stalled_kernel_bytes_each: float | None = None
    stalled_delay_ratio_p50: float | None = None
    stalled_delay_ratio_p99: float | None = None
    """Of the others' delay with the stalled, to that without."""


class Crowd:
    """A process of `benchmarks.subscribers`."""

    def __init__(self, process: asyncio.subprocess.Process, streams: int) -> None:
        self.process = process
        self.streams = streams

    async def report(self) -> Report:
        """What came since the last call."""
        assert self.process.stdin
        self.process.stdin.write(b"mark\n")
        return msgspec.json.decode(await self._line(), type=Report)

    async def _line(self) -> bytes:
        assert self.process.stdout
        async with asyncio.timeout(400):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the streams' process ended; see above")
        return line

    async def opened(self) -> None:
        await self._line()


@contextlib.asynccontextmanager
async def crowd(palco: RunningPalco, streams: int, *, name: str, reads: bool, cpu: int) -> AsyncIterator[Crowd]:
    host, _, port = palco.url.removeprefix("http://").partition(":")
    process = await asyncio.create_subprocess_exec(
        "taskset",
        "-c",
        str(cpu),
        sys.executable,
        "-m",
        "benchmarks.subscribers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    job = Job(
        host=host,
        port=int(port),
        space=SPACE,
        key=KEY,
        secret=palco.secret,
        streams=streams,
        reads=reads,
        name=name,
    )
    assert process.stdin
    process.stdin.write(msgspec.json.encode(job) + b"\n")
    try:
        made = Crowd(process, streams)
        await made.opened()
        yield made
    finally:
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Stage:
    """Those who make something happen."""

    def __init__(self, palco: RunningPalco, http: httpx2.AsyncClient) -> None:
        self._http = http
        grants = {"room": SPACE, "roomJoin": True, "roomAdmin": True, "roomCreate": True, "canPublish": True}
        self._host = bearer(palco, "bench", grants)
        self._scribe = bearer(palco, "scribe", {"room": SPACE}, palco={"captions": True})
        self._path = f"{palco.url}/v1/spaces/{SPACE}"
        self._links: list[str] = []
        self.refusals = 0

    async def set_up(self) -> None:
        for number in range(5):
            answer = await self._http.post(
                f"{self._path}/links", json={"url": f"https://palco.example/{number}"}, headers=self._host
            )
            answer.raise_for_status()
            self._links.append(answer.json()["id"])

    async def play(self, pace: dict[str, float]) -> None:
        """Until cancelled."""
        acts = {"caption": self._caption, "reaction": self._react, "title": self._rename, "links": self._order}
        async with asyncio.TaskGroup() as group:
            for name, per_s in pace.items():
                group.create_task(self._repeat(acts[name], per_s))

    async def _repeat(self, act: Callable[[], Awaitable[httpx2.Response]], per_s: float) -> None:
        due_s = time.monotonic()
        while True:
            answer = await act()
            self.refusals += answer.status_code >= 400
            # Not in step with the ticks: as people's acts, at random around their rate.
            due_s = max(due_s, time.monotonic() - 1.0) + random.uniform(0.5, 1.5) / per_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def _caption(self) -> httpx2.Response:
        body = {"text": f"at={time.monotonic_ns():019d} and then she said what everybody had been waiting for"}
        return await self._http.post(f"{self._path}/captions", json=body, headers=self._scribe)

    async def _react(self) -> httpx2.Response:
        body = {"emoji": random.choice("👏😂😮💯🔥")}
        return await self._http.post(f"{self._path}/reactions", json=body, headers=self._host)

    async def _rename(self) -> httpx2.Response:
        body = {"title": f"Town hall, part {random.randrange(1000)}"}
        return await self._http.patch(self._path, json=body, headers=self._host)

    async def _order(self) -> httpx2.Response:
        random.shuffle(self._links)
        return await self._http.patch(f"{self._path}/links", json={"order": self._links}, headers=self._host)


def bearer(running: RunningPalco, identity: str, video: dict[str, Any], **claims: Any) -> dict[str, str]:
    """The header with a token of these grants."""
    now_s = int(time.time())
    payload = {"iss": KEY, "sub": identity, "iat": now_s, "exp": now_s + 7200, "video": video, **claims}
    return {"Authorization": f"Bearer {jwt.encode(payload, running.secret, algorithm='HS256')}"}


async def run_phase(
    name: str, palco: RunningPalco, stage: Stage, readers: Crowd, *, pace: str, stalled: int, seconds: float
) -> Phase:
    playing = asyncio.create_task(stage.play(PACE_PER_S[pace]))
    await asyncio.sleep(SETTLE_S)
    signalling, load = palco.pids[1], readers.process.pid
    await readers.report()
    server_s, load_s = usage([signalling]).cpu_s, usage([load]).cpu_s
    began_s = time.monotonic()
    await asyncio.sleep(seconds)
    elapsed_s = time.monotonic() - began_s
    after = usage([signalling])
    load_s = usage([load]).cpu_s - load_s
    got = await readers.report()
    playing.cancel()
    await asyncio.wait({playing})
    return Phase(
        name=name,
        streams=readers.streams,
        stalled=stalled,
        measured_s=elapsed_s,
        messages_per_s=got.messages / got.seconds / readers.streams,
        writes_per_s=got.reads / got.seconds / readers.streams,
        bytes_per_s=got.bytes / got.seconds / readers.streams,
        snapshots=got.snapshots,
        closed=got.closed,
        delay_p50_ms=percentile(got.delays_ms, 0.5),
        delay_p99_ms=percentile(got.delays_ms, 0.99),
        delay_max_ms=percentile(got.delays_ms, 1.0),
        signalling_cores=(after.cpu_s - server_s) / elapsed_s,
        load_cores=load_s / elapsed_s,
        resident_bytes=after.resident_bytes,
        kernel_bytes=tcp_bytes(),
    )


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def tcp_bytes() -> int:
    """What all TCP sockets of this machine hold in the kernel."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            words = line.split()
            return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


async def measure(*, streams: int, stalled: int, seconds: float, server_cpu: int, load_cpu: int) -> list[Phase]:
    phases: list[Phase] = []
    with tempfile.TemporaryDirectory(prefix="palco-events-") as directory:
        palco = await Palco().start(Path(directory), server_cpu, speakers=10)
        try:
            await palco.open_space(SPACE)
            async with httpx2.AsyncClient(timeout=30.0, trust_env=False) as http:
                stage = Stage(palco, http)
                await stage.set_up()
                async with crowd(palco, streams, name="reader", reads=True, cpu=load_cpu) as readers:
                    for pace in PACE_PER_S:
                        phases.append(
                            await run_phase(
                                f"{pace} stage", palco, stage, readers, pace=pace, stalled=0, seconds=seconds
                            )
                        )
                        print(line_of(phases[-1]), flush=True)
                    if stalled:
                        phases += await _with_stalled(palco, stage, readers, stalled, seconds=seconds, cpu=load_cpu)
            if stage.refusals:
                print(f"{stage.refusals} acts were refused")
        finally:
            await palco.stop()
    return phases


async def _with_stalled(
    palco: RunningPalco, stage: Stage, readers: Crowd, stalled: int, *, seconds: float, cpu: int
) -> list[Phase]:
    """The busiest stage once more, which fills their buffers; they are cut off after twenty seconds of not reading."""
    async with crowd(palco, stalled, name="stalled", reads=False, cpu=cpu):
        within_s = min(seconds, 12.0)
        made = await run_phase(
            "busiest stage, with stalled readers",
            palco,
            stage,
            readers,
            pace="busiest",
            stalled=stalled,
            seconds=within_s,
        )
        print(line_of(made), flush=True)
        return [made]


def line_of(phase: Phase) -> str:
    return (
        f"{phase.name}: {phase.streams} streams, {phase.stalled} stalled; {phase.messages_per_s:.1f} messages/s each "
        f"in {phase.writes_per_s:.1f} writes/s; delay p50 {phase.delay_p50_ms:.0f} p99 {phase.delay_p99_ms:.0f} max "
        f"{phase.delay_max_ms:.0f} ms; signalling {phase.signalling_cores:.2f} cores, load {phase.load_cores:.2f}; "
        f"{phase.resident_bytes / 1e6:.0f} MB resident, {phase.kernel_bytes / 1e6:.0f} MB in TCP; "
        f"{phase.snapshots} snapshots, {phase.closed} closed"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=10_000, help="event streams that read (default: 10,000)")
    parser.add_argument("--stalled", type=int, default=1_000, help="streams that do not read (default: 1,000)")
    parser.add_argument("--seconds", type=float, default=15.0, help="measured time of each part (default: 15)")
    parser.add_argument("--server-cpu", type=int, default=0, help="the core of the server (default: 0)")
    parser.add_argument("--load-cpu", type=int, default=1, help="the core of the streams (default: 1)")
    parser.add_argument("--save", type=Path, help="where the JSON goes")


def main(arguments: argparse.Namespace, *, started: str, machine: Any, save: Path) -> int:
    os.sched_setaffinity(0, {arguments.load_cpu})
    phases = asyncio.run(
        measure(
            streams=arguments.streams,
            stalled=arguments.stalled,
            seconds=arguments.seconds,
            server_cpu=arguments.server_cpu,
            load_cpu=arguments.load_cpu,
        )
    )
    run = summary(started, msgspec.to_builtins(machine), phases)
    save.parent.mkdir(exist_ok=True)
    save.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    print(f"\nsaved: {save}")
    return 0


def summary(started: str, machine: dict[str, Any], phases: list[Phase]) -> Run:
    alone = next((phase for phase in phases if phase.name == "busiest stage"), None)
    beside = next((phase for phase in phases if phase.stalled), None)
    if alone is None or beside is None:
        return Run(started, machine, phases)
    return Run(
        started,
        machine,
        phases,
        stalled_resident_bytes_each=(beside.resident_bytes - alone.resident_bytes) / beside.stalled,
        stalled_kernel_bytes_each=(beside.kernel_bytes - alone.kernel_bytes) / beside.stalled,
        stalled_delay_ratio_p50=beside.delay_p50_ms / alone.delay_p50_ms,
        stalled_delay_ratio_p99=beside.delay_p99_ms / alone.delay_p99_ms,
    )
