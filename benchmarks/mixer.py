"""`python -m benchmarks.mixer`: how many spaces one mixer process serves, and how late its packets leave. Edge.

A mixer process as the sfu runs it, at real sockets; this process speaks into all taps and reads what comes back. CPU is
the mixer's own, from /proc, over the time measured; spaces per core follow from it, and are to be believed if no frame
was skipped. Latency is from a packet's arrival at the tap to the departure of the packet that carries its sound: the
same payload where a voice passes, and where it is mixed the packet in which correlation with the source finds it.
"""

import argparse
import asyncio
import contextlib
import json
import socket
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.measure import usage
from benchmarks.mixer_sources import FRAME, FRAME_S, SPEAKER, decode, encode, find, make_opus, read_voices
from sfu.audio import rtp
from sfu.audio.contract import Settings, Taps
from sfu.audio.supervisor import Supervisor

WARM_S = 8.0
"""The jitter buffers begin with 40 ms and have come down to 25 by then."""

SECONDS = 15.0


@dataclass(frozen=True)
class Job:
    name: str
    spaces: int
    talking: int
    idle: int = 0
    """Open microphones that are silent and say so (RFC 6464)."""


JOBS = (
    Job("one voice", spaces=100, talking=1),
    Job("one voice, nine open microphones", spaces=50, talking=1, idle=9),
    Job("ten voices at once", spaces=15, talking=10),
    Job("latency: one voice", spaces=10, talking=1),
    Job("latency: two voices", spaces=5, talking=2),
)


@dataclass(frozen=True)
class Result:
    job: Job
    cores: float
    spaces_per_core: float
    latency_p50_ms: float
    latency_p99_ms: float
    skipped_frames: int
    lost_at_sockets: int
    decode_share: float
    encode_share: float
    passed_share: float


@dataclass
class Space:
    """Its packets in, by place, and what came back."""

    tap: Taps
    voices: list[list[bytes]]
    starts_s: list[float]
    socket: socket.socket
    sent: list[dict[int, float]] = field(default_factory=list)
    heard: list[tuple[float, rtp.Packet]] = field(default_factory=list)


class Crowd:
    """Is told nothing that it needs: it only speaks."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.spaces: list[Space] = []
        self.refused = 0
        self._mixed: set[str] = set()
        self._all_mixed = asyncio.Event()

    def on_mixed(self, space: str, programs: dict[int | None, int]) -> None:
        assert programs
        self._mixed.add(space)
        if len(self._mixed) == self.job.spaces:
            self._all_mixed.set()

    def on_unmixed(self, space: str) -> None:
        self._mixed.discard(space)

    def on_levels(self, space: str, levels: tuple[tuple[int, float], ...]) -> None:
        """Not looked at."""

    async def gather(self, supervisor: Supervisor, recordings: list[list[bytes]], settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self.job.spaces):
            name = f"space-{number}"
            taps = supervisor.open_space(name, settings)
            tap = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            tap.bind(taps.sfu)
            talking = [recordings[(number + voice) % len(recordings)] for voice in range(self.job.talking)]
            # A silent microphone's packets: CELT, 20 ms, three bytes.
            idle = [[b"\xf8\xff\xfe"] * 100] * self.job.idle
            space = Space(taps, [*talking, *idle], [], tap)
            space.starts_s = [((number * 7 + voice * 3) % 20) / 1000 for voice in range(len(space.voices))]
            space.sent = [{} for _ in space.voices]
            self.spaces.append(space)
            for voice in range(len(space.voices)):
                supervisor.set_voice(name, voice + 1, is_open=True)
            loop.add_reader(tap.fileno(), self._hear, space)
        await asyncio.wait_for(self._all_mixed.wait(), 60)

    def _hear(self, space: Space) -> None:
        with contextlib.suppress(BlockingIOError):
            while (packet := rtp.parse(space.socket.recv(2048))) is not None:
                space.heard.append((time.monotonic(), packet))

    async def speak(self, seconds: float, began_s: float) -> None:
        """Every voice's packets when they are due, each at its own place in the 20 ms."""
        order = sorted(
            (start_s, number, voice)
            for number, space in enumerate(self.spaces)
            for voice, start_s in enumerate(space.starts_s)
        )
        for place in range(int(seconds / FRAME_S)):
            await asyncio.sleep(0)
            for start_s, space, voice in order:
                due_s = began_s + place * FRAME_S + start_s
                if (wait_s := due_s - time.monotonic()) > 0.0005:
                    await asyncio.sleep(wait_s)
                self._send(self.spaces[space], voice, place)

    def _send(self, space: Space, voice: int, place: int) -> None:
        recording = space.voices[voice]
        is_idle = voice >= self.job.talking
        packet = rtp.Packet(
            payload_type=111,
            sequence=place,
            timestamp=place * FRAME,
            ssrc=voice + 1,
            payload=recording[place % len(recording)],
            level_dbov=-127 if is_idle else None,
        )
        try:
            space.socket.sendto(rtp.build(packet, is_first=False), space.tap.mixer)
        except BlockingIOError:
            self.refused += 1
        space.sent[voice][place] = time.monotonic()

    def close(self) -> None:
        for space in self.spaces:
            asyncio.get_running_loop().remove_reader(space.socket.fileno())
            space.socket.close()


async def measure(job: Job, seconds: float, settings: Settings) -> Result:
    opus = make_opus()
    recordings = [encode(voice, SPEAKER, opus=opus) for voice in read_voices()]
    crowd = Crowd(job)
    with tempfile.TemporaryDirectory(prefix="palco-mixer-") as directory:
        supervisor = Supervisor(
            processes=1, directory=Path(directory), listener=crowd, arguments=("--log-level", "warning")
        )
        supervisor.start()
        try:
            await crowd.gather(supervisor, recordings, settings)
            began_s = time.monotonic() + 0.1
            speaking = asyncio.create_task(crowd.speak(WARM_S + seconds, began_s))
            await asyncio.sleep(WARM_S)
            pid, before = supervisor.pids[0], supervisor.watched[0]
            cpu_s, from_s = usage([pid]).cpu_s, time.monotonic()
            await speaking
            cpu_s, elapsed_s = usage([pid]).cpu_s - cpu_s, time.monotonic() - from_s
            await asyncio.sleep(1.1)
            after = supervisor.watched[0]
        finally:
            await supervisor.stop()
            crowd.close()
    latencies = [each for space in crowd.spaces[:10] for each in _latencies(space, job, from_s)]
    totals = list(after.spaces.values())
    frames = sum(total.frames_voice + total.frames_mix for total in totals)
    cores = cpu_s / elapsed_s
    return Result(
        job=job,
        cores=cores,
        spaces_per_core=job.spaces / cores,
        latency_p50_ms=float(np.percentile(latencies, 50)) * 1000,
        latency_p99_ms=float(np.percentile(latencies, 99)) * 1000,
        skipped_frames=after.skipped_frames - before.skipped_frames,
        lost_at_sockets=crowd.refused + after.unsent - before.unsent,
        decode_share=(after.decode_s - before.decode_s) / elapsed_s / cores,
        encode_share=(after.encode_s - before.encode_s) / elapsed_s / cores,
        passed_share=sum(total.frames_voice for total in totals) / max(1, frames),
    )


def _latencies(space: Space, job: Job, from_s: float) -> list[float]:
    heard = [(at_s, packet) for at_s, packet in space.heard if at_s > from_s]
    return _latencies_by_payload(space, heard) if job.talking == 1 else _latencies_by_sound(space, heard)


def _latencies_by_payload(space: Space, heard: list[tuple[float, rtp.Packet]]) -> list[float]:
    """A recording repeats itself: the latest time that a payload was sent is meant."""
    sent: dict[bytes, list[float]] = {}
    for place, sent_s in space.sent[0].items():
        sent.setdefault(space.voices[0][place % len(space.voices[0])], []).append(sent_s)
    found = []
    for at_s, packet in heard:
        before = [sent_s for sent_s in sent.get(packet.payload, []) if sent_s < at_s]
        if before:
            found.append(at_s - max(before))
    return found


def _latencies_by_sound(space: Space, heard: list[tuple[float, rtp.Packet]]) -> list[float]:
    """Of the first voice in the mix. Its recording repeats itself, so that one piece of 2 s is looked for."""
    opus = make_opus()
    out = decode([packet.payload for _, packet in heard], opus=opus)
    recording = space.voices[0]
    first = min(place for place, sent_s in space.sent[0].items() if sent_s > heard[25][0])
    piece = [recording[place % len(recording)] for place in range(first - 25, first + 100)]
    sound = decode(piece, opus=opus)[25 * FRAME :]
    at = find(sound, out[: 250 * FRAME])
    latencies = []
    for place in range(first, first + 100):
        packet = (at + (place - first) * FRAME) // FRAME
        latencies.append(heard[packet][0] - space.sent[0][place])
    return latencies


def show(results: list[Result]) -> str:
    lines = [
        "| job | spaces | cores | spaces per core | p50 / p99 (ms) | decode / encode | passed | skipped | lost |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        latency = f"{result.latency_p50_ms:.1f} / {result.latency_p99_ms:.1f}"
        shares = f"{result.decode_share:.0%} / {result.encode_share:.0%}"
        lines.append(
            f"| {result.job.name} | {result.job.spaces} | {result.cores:.2f} | {result.spaces_per_core:.0f} "
            f"| {latency} | {shares} | {result.passed_share:.0%} | {result.skipped_frames} | {result.lost_at_sockets} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mixer", description="Measure one mixer process.")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="measured, after the warming up")
    parser.add_argument("--only", default="", help="jobs whose name has this")
    parser.add_argument("--spaces", type=int, help="instead of each job's own number")
    parser.add_argument("--json", type=Path, help="also write the results there")
    arguments = parser.parse_args()
    jobs = [job for job in JOBS if arguments.only in job.name]
    if arguments.spaces:
        jobs = [Job(job.name, arguments.spaces, job.talking, job.idle) for job in jobs]
    results = [asyncio.run(measure(job, arguments.seconds, Settings())) for job in jobs]
    print(show(results))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
