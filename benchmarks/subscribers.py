"""Thousands of event streams held by one process: connects, counts, times. Run by `benchmarks.events`. Edge (epoll).

A job comes on standard input as one JSON line, answers go out as JSON lines: `{"opened": n}` when all streams stand,
and after each line on standard input (`mark`) what came since the one before. WebSockets by raw sockets: what a client
library costs would be measured instead of the server.
"""

import base64
import os
import select
import socket
import sys
import time
from array import array
from dataclasses import dataclass, field
from typing import Final

import jwt
import msgspec
from msgspec import Struct

STAMP: Final = b'"text":"at='
"""Begins the text of a caption that says when it was posted, in CLOCK_MONOTONIC nanoseconds, in 19 digits."""

ENVELOPE: Final = b'{"type":"'
"""Begins every event, and nothing within one."""

_PING: Final = b"\x89\x04"
"""The server's ping, of four bytes; JSON has no 0x04."""
_PONG: Final = b"\x8a\x84\0\0\0\0"
"""Masked with zeros."""

_READ_BYTES: Final = 1 << 18
_OPENING_AT_A_TIME: Final = 200
_OPEN_WITHIN_S: Final = 300.0


class Job(Struct, frozen=True):
    host: str
    port: int
    space: str
    key: str
    secret: str
    streams: int
    reads: bool
    """Whether it reads what comes once the streams stand; with a receive buffer of 4 KiB it does not."""
    name: str


class Report(Struct, frozen=True):
    """What came since the last report."""

    seconds: float
    messages: int
    reads: int
    snapshots: int
    bytes: int
    closed: int
    delays_ms: list[float]
    """Of stamped captions at the streams that they reached, sorted; thinned to 20,000."""


@dataclass
class Counts:
    since_s: float = 0.0
    messages: int = 0
    reads: int = 0
    snapshots: int = 0
    bytes: int = 0
    closed: int = 0
    delays_ms: "array[float]" = field(default_factory=lambda: array("d"))


class Streams:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self.counts = Counts()

    def open(self) -> None:
        """All of them, some hundred handshakes at a time."""
        deadline_s = time.monotonic() + _OPEN_WITHIN_S
        while len(self._sockets) < self._job.streams:
            batch = range(len(self._sockets), min(len(self._sockets) + _OPENING_AT_A_TIME, self._job.streams))
            opening = [(self._dial(number), number) for number in batch]
            for stream, _ in opening:
                self._await_handshake(stream, deadline_s)
            for stream, _ in opening:
                stream.setblocking(False)
                self._sockets[stream.fileno()] = stream
                if self._job.reads:
                    self._poll.register(stream.fileno(), select.EPOLLIN)

    def _dial(self, number: int) -> socket.socket:
        job = self._job
        stream = socket.socket()
        if not job.reads:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect((job.host, job.port))
        now_s = int(time.time())
        claims = {
            "iss": job.key,
            "sub": f"{job.name}-{number}",
            "iat": now_s,
            "exp": now_s + 7200,
            "video": {"room": job.space, "roomJoin": True},
        }
        token = jwt.encode(claims, job.secret, algorithm="HS256")
        nonce = base64.b64encode(os.urandom(16)).decode()
        stream.sendall(
            f"GET /v1/spaces/{job.space}/ws HTTP/1.1\r\nHost: {job.host}:{job.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        return stream

    def _await_handshake(self, stream: socket.socket, deadline_s: float) -> None:
        stream.settimeout(max(1.0, deadline_s - time.monotonic()))
        answer = stream.recv(1024)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"the server refused a stream: {answer[:300]!r}")

    def follow(self, control: int) -> None:
        """Reads until standard input has a line."""
        counts = self.counts
        while True:
            for number, _ in self._poll.poll(0.5, 1024):
                if number == control:
                    return
                self._read(number, counts)

    def watch(self, control: int) -> None:
        self._poll.register(control, select.EPOLLIN)

    def _read(self, number: int, counts: Counts) -> None:
        try:
            data = self._sockets[number].recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._poll.unregister(number)
            counts.closed += 1
            return
        counts.reads += 1
        counts.bytes += len(data)
        counts.messages += data.count(ENVELOPE)
        ping = data.find(_PING)
        if ping >= 0:
            self._sockets[number].send(_PONG + data[ping + 2 : ping + 6])
        counts.snapshots += data.count(b'{"type":"snapshot"')
        at = data.find(STAMP)
        while at >= 0:
            posted_ns = data[at + len(STAMP) : at + len(STAMP) + 19]
            if posted_ns.isdigit() and len(posted_ns) == 19:  # else the read ended in the middle of it
                counts.delays_ms.append((time.monotonic_ns() - int(posted_ns)) / 1e6)
            at = data.find(STAMP, at + 1)


def report(counts: Counts) -> Report:
    delays_ms = sorted(counts.delays_ms)
    step = max(1, len(delays_ms) // 20_000)
    return Report(
        seconds=time.monotonic() - counts.since_s,
        messages=counts.messages,
        reads=counts.reads,
        snapshots=counts.snapshots,
        bytes=counts.bytes,
        closed=counts.closed,
        delays_ms=delays_ms[::step],
    )


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    streams = Streams(job)
    streams.open()
    _say({"opened": job.streams})
    control = sys.stdin.fileno()
    os.set_blocking(control, False)
    streams.watch(control)
    while True:
        streams.counts = Counts(since_s=time.monotonic())
        streams.follow(control)
        if not os.read(control, 4096):
            return 0
        _say(report(streams.counts))


def _say(value: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
