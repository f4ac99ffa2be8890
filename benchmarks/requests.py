"""`python -m benchmarks requests`: signalling under five hundred requests a second, and how fast a mute is. Edge.

Both processes on one core, SQLite on the disk, the askers on the other core. Requests leave at their times whatever the
answers do (an open loop), so that a server that stops is not asked less. A mute is measured at the packet: from the
call to when the speaker sent the last packet that was still forwarded, of one a millisecond.
"""

import argparse
import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec
from msgspec import Struct

from benchmarks.asking import Asked, Lines
from benchmarks.events import bearer, percentile
from benchmarks.measure import usage
from benchmarks.palco import Palco, RunningPalco
from tests.harness.wire import Manner, WirePeer

SPACE: Final = "town-hall"
PEOPLE: Final = 40
"""With a session each: one speaks, the others listen."""

SHARES: Final = {"read_space": 30, "read_people": 10, "hand": 24, "mute": 16, "react": 15, "link": 5}
"""Of a hundred requests. Hands, mutes and links are written to the disk before they are answered."""

CONSENT_EVERY_S: Final = 8.0
PACKET_EVERY_S: Final = 0.001
WATCH_S: Final = 0.1


class Requests(Struct, frozen=True, kw_only=True):
    """One pace of asking; times in milliseconds."""

    wanted_per_s: float
    answered_per_s: float
    measured_s: float
    latency_p50_ms: float
    latency_p99_ms: float
    latency_max_ms: float
    statuses: dict[str, int]
    latency_p99_ms_of: dict[str, float]
    signalling_cores: float
    sfu_cores: float


class Mutes(Struct, frozen=True, kw_only=True):
    """Milliseconds from the call."""

    mutes: int
    call_p50_ms: float
    call_p99_ms: float
    last_packet_p50_ms: float
    last_packet_p99_ms: float
    last_packet_max_ms: float
    packets_after_the_answer: int
    """A mute that is acknowledged is in force: none."""


class Run(Struct, frozen=True):
    started: str
    machine: dict[str, Any]
    requests: list[Requests]
    mutes: Mutes


class Hall:
    """A space with people in it."""

    def __init__(self, palco: RunningPalco, lines: Lines) -> None:
        self.palco = palco
        self._lines = lines
        self._path = f"/v1/spaces/{SPACE}"
        grants = {"room": SPACE, "roomJoin": True, "roomAdmin": True, "roomCreate": True, "canPublish": True}
        self._host = bearer(palco, "bench", grants)
        listening = {"room": SPACE, "roomJoin": True}
        self._listeners = [bearer(palco, _name(number), listening) for number in range(PEOPLE)]
        self._raised: set[int] = set()
        self._is_muted = False
        self._links: list[str] = []

    @contextlib.asynccontextmanager
    async def people(self) -> AsyncIterator[list[WirePeer]]:
        """The first speaks, by WHIP; the others listen, by WHEP."""
        async with contextlib.AsyncExitStack() as stack, httpx2.AsyncClient(trust_env=False) as http:
            peers: list[WirePeer] = []
            for number in range(PEOPLE):
                is_speaker = number == 0
                peer = WirePeer(_name(number), Manner(["sendonly" if is_speaker else "recvonly"]))
                await stack.enter_async_context(peer)
                video = {"room": SPACE, "roomJoin": True, "canPublish": is_speaker}
                answer = await http.post(
                    f"{self.palco.url}/{'whip' if is_speaker else 'whep'}/{SPACE}",
                    content=peer.offer().sdp(),
                    headers={"Content-Type": "application/sdp", **bearer(self.palco, _name(number), video)},
                )
                answer.raise_for_status()
                await peer.connect(answer.text)
                peers.append(peer)
            staying = asyncio.create_task(_stay(peers))
            try:
                yield peers
            finally:
                staying.cancel()

    def acts(self) -> dict[str, Callable[[], Awaitable[Asked]]]:
        return {
            "read_space": lambda: self._ask("GET", ""),
            "read_people": lambda: self._ask("GET", "/participants"),
            "hand": self._hand,
            "mute": self._mute,
            "react": lambda: self._ask("POST", "/reactions", {"emoji": "👏"}),
            "link": self._link,
        }

    async def _ask(self, method: str, path: str, body: object = None) -> Asked:
        return await self._lines.ask(method, self._path + path, self._host, body)

    async def mute(self, *, is_muted: bool) -> Asked:
        act = "mute" if is_muted else "unmute"
        return await self._ask("POST", f"/participants/{_name(0)}/{act}")

    async def _hand(self) -> Asked:
        number = random.randrange(1, PEOPLE)
        self._raised ^= {number}
        method = "POST" if number in self._raised else "DELETE"
        return await self._lines.ask(method, f"{self._path}/hand", self._listeners[number])

    async def _mute(self) -> Asked:
        self._is_muted = not self._is_muted
        return await self.mute(is_muted=self._is_muted)

    async def _link(self) -> Asked:
        if len(self._links) >= 3:
            return await self._ask("DELETE", f"/links/{self._links.pop(0)}")
        answer = await self._ask("POST", "/links", {"url": f"https://palco.example/{random.randrange(1000)}"})
        if answer.status == 201:
            self._links.append(msgspec.json.decode(answer.body)["id"])
        return answer


async def _stay(peers: Sequence[WirePeer]) -> None:
    """Says now and then that they are still there (RFC 7675), or the sfu lets them go after half a minute."""
    while True:
        await asyncio.sleep(CONSENT_EVERY_S)
        for peer in peers:
            await peer.check(nominates=True)


def _name(number: int) -> str:
    return f"person-{number}"


async def ask(hall: Hall, per_s: float, seconds: float) -> Requests:
    """So many requests a second, each at its time."""
    acts = hall.acts()
    names = random.choices(list(SHARES), weights=list(SHARES.values()), k=int(per_s * seconds))
    took_ms: dict[str, list[float]] = {name: [] for name in SHARES}
    statuses: Counter[str] = Counter()

    async def one(name: str, due_s: float) -> None:
        try:
            answer = await acts[name]()
            statuses[str(answer.status)] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
        took_ms[name].append((time.monotonic() - due_s) * 1000)

    signalling, sfu = hall.palco.pids[1], hall.palco.pids[0]
    before = usage([signalling]).cpu_s, usage([sfu]).cpu_s
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, name in enumerate(names):
            due_s = began_s + number / per_s
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            group.create_task(one(name, due_s))
    elapsed_s = time.monotonic() - began_s
    after = usage([signalling]).cpu_s, usage([sfu]).cpu_s
    everything = sorted(each for times in took_ms.values() for each in times)
    return Requests(
        wanted_per_s=per_s,
        answered_per_s=len(everything) / elapsed_s,
        measured_s=elapsed_s,
        latency_p50_ms=percentile(everything, 0.5),
        latency_p99_ms=percentile(everything, 0.99),
        latency_max_ms=percentile(everything, 1.0),
        statuses=dict(statuses),
        latency_p99_ms_of={name: percentile(sorted(times), 0.99) for name, times in took_ms.items()},
        signalling_cores=(after[0] - before[0]) / elapsed_s,
        sfu_cores=(after[1] - before[1]) / elapsed_s,
    )


async def mute_at_the_packet(hall: Hall, speaker: WirePeer, listener: WirePeer, times: int) -> Mutes:
    calls_ms: list[float] = []
    last_ms: list[float] = []
    late = 0
    for _ in range(times):
        await hall.mute(is_muted=False)
        said_s: dict[int, float] = {}
        talking = asyncio.create_task(_talk(speaker, said_s))
        await asyncio.sleep(WATCH_S + random.random() * 0.02)
        called_s = time.monotonic()
        await hall.mute(is_muted=True)
        answered_s = time.monotonic()
        await asyncio.sleep(WATCH_S)
        talking.cancel()
        await asyncio.wait({talking})
        calls_ms.append((answered_s - called_s) * 1000)
        forwarded_s = [said_s[number] for number in listener.numbers(speaker) if number in said_s]
        last_ms.append((max(forwarded_s) - called_s) * 1000)
        late += sum(at_s > answered_s for at_s in forwarded_s)
    await hall.mute(is_muted=False)
    return Mutes(
        mutes=times,
        call_p50_ms=percentile(sorted(calls_ms), 0.5),
        call_p99_ms=percentile(sorted(calls_ms), 0.99),
        last_packet_p50_ms=percentile(sorted(last_ms), 0.5),
        last_packet_p99_ms=percentile(sorted(last_ms), 0.99),
        last_packet_max_ms=max(last_ms),
        packets_after_the_answer=late,
    )


async def _talk(speaker: WirePeer, said_s: dict[int, float]) -> None:
    due_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        said_s[speaker.say().number] = now_s
        due_s += PACKET_EVERY_S
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def measure(
    paces: Sequence[float], *, seconds: float, mutes: int, server_cpu: int
) -> tuple[list[Requests], Mutes]:
    with tempfile.TemporaryDirectory(prefix="palco-requests-", dir=Path.home()) as directory:
        palco = await Palco().start(Path(directory), server_cpu, speakers=10)
        try:
            await palco.open_space(SPACE)
            async with Lines(palco.url).open() as lines:
                hall = Hall(palco, lines)
                async with hall.people() as people:
                    muted = await mute_at_the_packet(hall, people[0], people[1], mutes)
                    print(line_of_mutes(muted), flush=True)
                    asked = []
                    for per_s in paces:
                        await ask(hall, per_s, 2.0)  # warm
                        asked.append(await ask(hall, per_s, seconds))
                        print(line_of(asked[-1]), flush=True)
                    return asked, muted
        finally:
            await palco.stop()


def line_of(asked: Requests) -> str:
    return (
        f"{asked.wanted_per_s:.0f} requests/s wanted, {asked.answered_per_s:.0f} answered: "
        f"p50 {asked.latency_p50_ms:.1f} p99 {asked.latency_p99_ms:.1f} max {asked.latency_max_ms:.0f} ms; "
        f"signalling {asked.signalling_cores:.2f} cores, sfu {asked.sfu_cores:.2f}; {asked.statuses}"
    )


def line_of_mutes(muted: Mutes) -> str:
    return (
        f"{muted.mutes} mutes: answered p50 {muted.call_p50_ms:.1f} p99 {muted.call_p99_ms:.1f} ms; "
        f"last packet p50 {muted.last_packet_p50_ms:.1f} p99 {muted.last_packet_p99_ms:.1f} "
        f"max {muted.last_packet_max_ms:.1f} ms "
        f"after the call; {muted.packets_after_the_answer} packets after the answer"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--per-second", type=float, action="append", help="requests a second (default: 500); repeat it")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured time of each pace (default: 20)")
    parser.add_argument("--mutes", type=int, default=100, help="mutes measured at the packet (default: 100)")
    parser.add_argument("--server-cpu", type=int, default=0, help="the core of the server (default: 0)")
    parser.add_argument("--load-cpu", type=int, default=1, help="the core of those who ask (default: 1)")
    parser.add_argument("--save", type=Path, help="where the JSON goes")


def main(arguments: argparse.Namespace, *, started: str, machine: Any, save: Path) -> int:
    os.sched_setaffinity(0, {arguments.load_cpu})
    asked, muted = asyncio.run(
        measure(
            arguments.per_second or [500.0],
            seconds=arguments.seconds,
            mutes=arguments.mutes,
            server_cpu=arguments.server_cpu,
        )
    )
    save.parent.mkdir(exist_ok=True)
    run = Run(started, msgspec.to_builtins(machine), asked, muted)
    save.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    print(f"\nsaved: {save}")
    return 0
