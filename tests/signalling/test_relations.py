"""What the operator's application says of who follows and who has blocked whom; and when it says nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from sfu.contract.config import Config
from sfu.contract.config import Relations as Settings
from signalling.relations import Relations, RelationSource
from signalling.tokens import RawToken, verify
from tests.signalling.running import free_port

KEY, SECRET = "key", "s" * 40
SAYS = b'{"follows": ["cleo"], "followed_by": ["ada"], "blocks": ["eve"], "more": 1}'

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def application(handle: Handle) -> AsyncIterator[RelationSource]:
    """A source that asks an application of the test's own."""
    port = free_port()
    handling: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())  # type: ignore[arg-type]
        await handle(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(tracked, "127.0.0.1", port)
    settings = Settings(url=f"http://127.0.0.1:{port}/relations?of=palco", timeout_s=0.2)
    source = RelationSource(Config(keys={KEY: SECRET}, relations=settings))
    try:
        yield source
    finally:
        await source.close()
        server.close()
        await asyncio.gather(*handling, return_exceptions=True)


def saying(status: bytes, body: bytes, asked: list[bytes]) -> Handle:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body))
        await writer.drain()

    return handle


async def test_the_application_is_asked_by_name_with_a_token_of_ours() -> None:
    asked: list[bytes] = []
    async with application(saying(b"200 OK", SAYS, asked)) as source:
        found = await source.of("bob", "ada")
    assert found == Relations(follows=frozenset({"cleo"}), followed_by=frozenset({"ada"}), blocks=frozenset({"eve"}))
    head = asked[0].decode()
    assert "identity=bob" in head
    assert "host=ada" in head
    bearer = next(line for line in head.splitlines() if line.lower().startswith("authorization")).split()[-1]
    token = verify(RawToken(bearer), keys={KEY: SECRET}, now_s=time.time())
    assert (token.identity, token.grants.room_join, token.grants.can_subscribe) == ("palco", False, False)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (b"500 Oops", SAYS),
        (b"302 Found", SAYS),
        (b"200 OK", b"not JSON"),
        (b"200 OK", b'{"blocks": "eve"}'),
        (b"200 OK", b"[]"),
    ],
)
async def test_an_application_that_says_nothing_of_use_has_said_nothing(status: bytes, body: bytes) -> None:
    async with application(saying(status, body, [])) as source:
        assert await source.of("bob", "ada") == Relations()


async def test_one_that_does_not_answer_in_time_has_said_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with application(silent) as source:
        assert await source.of("bob", "ada") == Relations()


async def test_nobody_is_asked_where_nobody_is_named() -> None:
    source = RelationSource(Config(keys={KEY: SECRET}))
    assert not source.is_on
    assert await source.of("bob", "ada") == Relations()
