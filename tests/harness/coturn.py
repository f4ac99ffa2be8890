"""Debian's coturn on loopback: a TURN relay that shares a secret with Palco, and a STUN server. Edge (processes)."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.tools import need
from tests.harness.processes import START_S, Process, poll, take_port

RELAY_PORTS = 20


class Coturn:
    """`secret` is the shared one; `log` holds what it said, each allocation with its user."""

    def __init__(self, directory: Path) -> None:
        self.secret = secrets.token_hex(16)
        self.port = take_port()
        relayed = [take_port() for _ in range(RELAY_PORTS)]
        argv = [need("turnserver"), "-n", "--no-cli", "--no-tls", "--no-dtls", "--verbose", "--log-file=stdout"]
        argv += ["--listening-ip=127.0.0.1", f"--listening-port={self.port}", "--relay-ip=127.0.0.1"]
        argv += [f"--min-port={min(relayed)}", f"--max-port={max(relayed)}", "--allow-loopback-peers", "--fingerprint"]
        argv += ["--use-auth-secret", f"--static-auth-secret={self.secret}", "--realm=palco"]
        argv += [f"--pidfile={directory}/turnserver.pid", f"--userdb={directory}/turndb"]
        self.process = Process(argv, directory / "turnserver.log", {"PATH": "/usr/bin:/bin"})

    def start(self) -> None:
        self.process.start()
        poll(self._takes_connections, what="coturn's start", within_s=START_S)

    def _takes_connections(self) -> bool:
        assert self.process.is_running, self.process.tail()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def log(self) -> str:
        return self.process.log.read_text(errors="replace")


@contextmanager
def coturn(directory: Path) -> Iterator[Coturn]:
    """One that runs while the block does."""
    server = Coturn(directory)
    server.start()
    try:
        yield server
    finally:
        server.process.kill()  # it lingers on SIGTERM until its clients are gone
