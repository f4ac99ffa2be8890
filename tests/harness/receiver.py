"""A receiver of webhooks on a free loopback port: a real HTTP server that can fail, stall, redirect, and recover. Edge.

`answers` is what it does with the requests to come, in order; after that it answers 200.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

Answer = int | str
"""A status; `stall` answers nothing, `drop` closes the connection, `redirect` sends elsewhere, `flood` never ends."""

WITHIN_S = 30.0


class Receiver:
    """`async with Receiver() as receiver:`; `received` is each request that was answered 2xx, in order."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._news = asyncio.Condition()
        self._connections: set[asyncio.StreamWriter] = set()
        self._paths: list[str] = []
        self.answers: list[Answer] = []
        self.received: list[Received] = []
        self.refused: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    @property
    def paths(self) -> list[str]:
        """Of all requests."""
        return self._paths

    async def __aenter__(self) -> "Receiver":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Connections are refused from now on; `start` takes the same port again."""
        if self._server:
            self._server.close()
            self._server = None
        for writer in list(self._connections):
            writer.close()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Returns when `holds`, which is asked after each request."""
        async with asyncio.timeout(WITHIN_S), self._news:
            await self._news.wait_for(holds)

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The first `count` that were taken."""
        await self.until(lambda: len(self.received) >= count)
        return [one.event for one in self.received[:count]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while request := await _read(reader):
                path, received = request
                answer = self.answers.pop(0) if self.answers else 200
                is_taken = isinstance(answer, int) and 200 <= answer < 300
                async with self._news:
                    self._paths.append(path)
                    (self.received if is_taken else self.refused).append(received)
                    self._news.notify_all()
                if not await self._answer(writer, answer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        """Whether the connection goes on."""
        match answer:
            case "stall":
                return True
            case "drop":
                return False
            case "redirect":
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
            case "flood":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000)
            case _:
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 2\r\n\r\nok" % int(answer))
        await writer.drain()
        return True


class Received:
    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


async def _read(reader: asyncio.StreamReader) -> tuple[str, Received] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return first.split(" ")[1], Received(headers, body)
