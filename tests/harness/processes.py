"""Palco's two processes, started for real on free ports in a directory of their own. Edge (processes, files)."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import yaml

START_S = 60.0
"""A start takes one to two seconds on an idle machine; in a full test run many share two cores."""
STOP_S = 15.0
POLL_S = 0.05

FIRST_PORT = 20_000
PORTS_PER_RUNNER = 1_000
"""Below 32,768, where Linux begins to give out ports by itself, so that no client's socket takes one meanwhile."""


def _free_ports() -> Iterator[int]:
    """Ports of this test runner's own range that nobody listens on; pytest-xdist numbers its runners."""
    runner = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = os.getpid() % PORTS_PER_RUNNER
    for offset in count(start):
        port = FIRST_PORT + runner % 10 * PORTS_PER_RUNNER + offset % PORTS_PER_RUNNER
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            yield port


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_PORTS = _free_ports()


def take_port() -> int:
    """A port that no other test of this run is given."""
    return next(_PORTS)


def poll(holds: Callable[[], bool], *, what: str, within_s: float) -> None:
    """Returns as soon as `holds`; for what another process does and can only be asked about."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"{what} did not happen within {within_s} s")
        time.sleep(POLL_S)


class Process:
    """One child process; what it writes goes to `log`, restarts appended."""

    def __init__(self, argv: list[str], log: Path, environ: Mapping[str, str]) -> None:
        self._argv = argv
        self._environ = dict(environ)
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(self._argv, stdout=output, stderr=output, env=self._environ)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """SIGKILL: no goodbye to anyone."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that does not obey; the exit code."""
        assert self._child is not None
        self._child.terminate()
        try:
            return self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self._argv} did not end within {STOP_S} s of SIGTERM:\n{self.tail()}") from None

    def tail(self, *, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def happenings(self) -> list[dict[str, Any]]:
        """The JSON log lines so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


class Palco:
    """An sfu and a signalling process with one configuration; each can be killed and started again by itself."""

    def __init__(self, directory: Path, *, workers: int = 1, overrides: Mapping[str, Any] | None = None) -> None:
        self.key, self.secret = "test-key", secrets.token_hex(32)
        self.port = take_port()
        self.udp_ports = [take_port() for _ in range(workers)]
        self.sfu_metrics, self.signalling_metrics = take_port(), take_port()
        self.config = directory / "palco.yaml"
        self.database = directory / "palco.db"
        ours, wishes = self._configuration(directory), dict(overrides or {})
        wishes["rtc"] = ours["rtc"] | wishes.get("rtc", {})  # whoever adds to it keeps the ports
        self.config.write_text(yaml.safe_dump(ours | wishes))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PALCO")}
        option = ["--config", str(self.config)]
        self.sfu = Process([sys.executable, "-m", "sfu", *option], directory / "sfu.log", environ)
        self.signalling = Process(
            [sys.executable, "-m", "signalling", "signalling", *option], directory / "signalling.log", environ
        )

    def _configuration(self, directory: Path) -> dict[str, Any]:
        return {
            "port": self.port,
            "rtc": {"udp_ports": self.udp_ports, "bind_address": "::", "node_ip": ["127.0.0.1", "::1"]},
            "keys": {self.key: self.secret},
            "metrics": {"sfu_port": self.sfu_metrics, "signalling_port": self.signalling_metrics},
            "control": {"socket": str(directory / "sfu.sock")},
            "store": {"url": f"sqlite:///{self.database}"},
            "drain": {"deadline_s": 0},  # a test that is over waits for nobody
            # One test asks more of a server in a second than a person would; the limit has tests of its own.
            "limits": {"requests_per_second": 2000, "request_burst": 4000},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.sfu.start()
        self.signalling.start()
        self.await_ready()

    def await_ready(self) -> None:
        """Returns when /readyz says that signalling serves and the sfu takes sessions."""
        try:
            poll(self._is_ready, what="becoming ready", within_s=START_S)
        except AssertionError as error:
            raise AssertionError(f"{error}\nsfu:\n{self.sfu.tail()}\nsignalling:\n{self.signalling.tail()}") from None

    def _is_ready(self) -> bool:
        assert self.sfu.is_running, f"the sfu ended by itself:\n{self.sfu.tail()}"
        assert self.signalling.is_running, f"signalling ended by itself:\n{self.signalling.tail()}"
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def restart_signalling(self) -> None:
        """Kills signalling without warning and starts it again; the sfu runs on."""
        self.signalling.kill()
        self.signalling.start()
        self.await_ready()

    def restart_sfu(self) -> None:
        self.sfu.kill()
        self.sfu.start()
        self.await_ready()

    def restart(self) -> None:
        """Kills everything and starts it again on the same store."""
        self.signalling.kill()
        self.sfu.kill()
        self.start()

    def stop(self) -> None:
        for process in (self.signalling, self.sfu):
            if process.is_running:
                process.stop()

    def sfu_metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of `name` that carry these labels, as Prometheus would scrape them."""
        return read_metric(f"http://127.0.0.1:{self.sfu_metrics}/metrics", name, labels)


def read_metric(url: str, name: str, labels: Mapping[str, str]) -> float:
    total = 0.0
    for line in httpx2.get(url, timeout=5).text.splitlines():
        series, _, value = line.rpartition(" ")
        if series.partition("{")[0] == name and all(f'{key}="{text}"' in series for key, text in labels.items()):
            total += float(value)
    return total
