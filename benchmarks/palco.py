"""Palco as a server under measurement: both of its processes, on one core. Edge."""

import asyncio
import importlib.metadata
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import jwt
import yaml

from benchmarks.servers import Space

KEY = "bench"
START_S = 20.0
STOP_S = 10.0


class Palco:
    """`packet_ms` is of what listeners get. One mixer process makes mixes, on the server's core as all the rest."""

    how_to_install = "make build"

    def __init__(
        self,
        name: str = "Palco",
        *,
        workers: int = 1,
        audience: Literal["forward", "mix"] = "forward",
        packet_ms: int = 20,
    ) -> None:
        self.name = name
        self.workers = workers
        self._audience = audience
        self._packet_ms = packet_ms

    def version(self) -> str | None:
        return importlib.metadata.version("palco")

    async def start(self, workdir: Path, cpu: int, *, speakers: int) -> "RunningPalco":
        secret = secrets.token_hex(32)
        http_port, *udp_ports = free_ports(1 + self.workers)
        path = workdir / "palco.yaml"
        configuration = _configuration(workdir, http_port, udp_ports, secret, speakers)
        configuration["spaces"] |= {"packet_ms": self._packet_ms}
        if self._audience == "mix":
            configuration["mixer"] = {"processes": 1}
        path.write_text(yaml.safe_dump(configuration))
        cpus = ",".join(str(cpu + worker) for worker in range(self.workers))
        processes = [
            await _spawn(cpus, workdir, "-m", "sfu", "--config", str(path)),
            await _spawn(cpus, workdir, "-m", "signalling", "signalling", "--config", str(path)),
        ]
        running = RunningPalco(processes, f"http://127.0.0.1:{http_port}", secret, speakers, self._audience)
        try:
            await running.until_ready()
        except TimeoutError:
            await running.stop()
            raise RuntimeError(f"Palco did not start: {(workdir / 'log').read_text()[-2000:]}") from None
        return running


@dataclass(frozen=True)
class RunningPalco:
    processes: list[asyncio.subprocess.Process]
    url: str
    secret: str
    speakers: int
    audience: Literal["forward", "mix"]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    async def open_space(self, name: str) -> Space:
        async with httpx2.AsyncClient() as client:
            answer = await client.post(
                f"{self.url}/v1/spaces",
                json={"id": name, "title": "Benchmark", "audience": self.audience},
                headers={"Authorization": f"Bearer {self._token('bench', roomCreate=True)}"},
            )
            answer.raise_for_status()
        return Space(
            whip_url=f"{self.url}/whip/{name}",
            whep_url=f"{self.url}/whep/{name}",
            speaker_token=lambda number: self._token(f"speaker-{number}", room=name, roomJoin=True, canPublish=True),
            listener_token=lambda number: self._token(
                f"listener-{number}", room=name, roomJoin=True, canSubscribe=True
            ),
            sections=1 if self.audience == "mix" else self.speakers,
        )

    def _token(self, identity: str, **video: object) -> str:
        now_s = int(time.time())
        claims = {"iss": KEY, "sub": identity, "iat": now_s, "exp": now_s + 7200, "video": video}
        return jwt.encode(claims, self.secret, algorithm="HS256")

    async def until_ready(self) -> None:
        async with asyncio.timeout(START_S), httpx2.AsyncClient() as client:
            while not await self._is_ready(client):  # noqa: ASYNC110  (another process: no event to await)
                await asyncio.sleep(0.05)

    async def _is_ready(self, client: httpx2.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.url}/readyz")).status_code == 200
        except httpx2.TransportError:
            return False

    async def stop(self) -> None:
        for process in self.processes:
            if process.returncode is None:
                process.terminate()
        for process in self.processes:
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _configuration(workdir: Path, port: int, udp_ports: list[int], secret: str, speakers: int) -> dict[str, Any]:
    return {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {"udp_ports": udp_ports, "bind_address": "127.0.0.1", "node_ip": "127.0.0.1"},
        "keys": {KEY: secret},
        "metrics": {"sfu_port": 0, "signalling_port": 0},
        "control": {"socket": str(workdir / "sfu.sock")},
        "store": {"url": f"sqlite:///{workdir}/palco.db"},
        "drain": {"deadline_s": 0},
        "spaces": {"max_speakers": max(10, speakers)},
        # One machine stands for a whole audience: its address may ask as often as thousands would.
        "limits": {"requests_per_second": 1_000_000, "request_burst": 1_000_000},
        "logging": {"level": "warning", "format": "console"},
    }


async def _spawn(cpus: str, workdir: Path, *arguments: str) -> asyncio.subprocess.Process:
    with (workdir / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            "taskset", "-c", cpus, sys.executable, *arguments, stdout=log, stderr=log, env=dict(os.environ)
        )


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, for TCP and UDP."""
    sockets = list(_bound(count))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _bound(count: int) -> Iterator[socket.socket]:
    for _ in range(count):
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind(("127.0.0.1", 0))
        yield each
