"""The link to the sfu, alone: order, answers, strangers at the other end, and patience."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sfu.contract import messages as m
from sfu.contract.config import Control
from sfu.contract.wire import RequestReader, encode_from_sfu
from signalling.sfu_link import SfuLink
from tests.signalling.scripted_sfu import ScriptedSfu

pytestmark = pytest.mark.live

WITHIN_S = 30.0


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.news = asyncio.Event()

    def on_snapshot(self, snapshot: m.Snapshot) -> None:
        self._note(snapshot)

    def on_report(self, report: m.Report) -> None:
        self._note(report)

    def on_lost(self) -> None:
        self._note("lost")

    def _note(self, said: object) -> None:
        self.said.append(said)
        self.news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def linked(control: Control) -> AsyncIterator[tuple[SfuLink, Heard]]:
    heard = Heard()
    link = SfuLink(control, heard)
    link.start()
    try:
        yield link, heard
    finally:
        await link.close()


async def test_the_first_thing_heard_is_a_snapshot_and_each_command_gets_its_own_answer(tmp_path: Path) -> None:
    path = tmp_path / "sfu.sock"
    async with ScriptedSfu(path) as sfu, linked(Control(socket=str(path))) as (link, heard):
        sfu.refuse(m.SetMuted, "unknown_space")
        await heard.until(lambda: link.is_up)
        commands: list[m.Command] = [m.OpenSpace("hall"), m.SetMuted("hall", [], is_muted=True), m.CloseSpace("hall")]
        answers = await asyncio.gather(*[link.tell(command) for command in commands])

        assert isinstance(heard.said[0], m.Snapshot)
        assert sfu.commands == commands
        assert [type(answer) for answer in answers] == [m.Done, m.Refused, m.Done]


async def test_reports_come_in_order_after_the_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "sfu.sock"
    async with ScriptedSfu(path) as sfu, linked(Control(socket=str(path))) as (link, heard):
        await heard.until(lambda: link.is_up)
        for number in range(100):
            sfu.report(m.Load(accepts=True, reason="", sessions=number))
        await heard.until(lambda: len(heard.said) == 101)

        assert heard.said[1:] == [m.Load(accepts=True, reason="", sessions=number) for number in range(100)]


async def test_without_an_sfu_the_answer_is_that_there_is_none(tmp_path: Path) -> None:
    async with linked(Control(socket=str(tmp_path / "none.sock"))) as (link, _):
        answer = await link.tell(m.OpenSpace("hall"))

    assert isinstance(answer, m.Refused)
    assert answer.code == "sfu_unavailable"


async def test_whoever_waits_when_the_connection_breaks_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "sfu.sock"
    async with ScriptedSfu(path) as sfu, linked(Control(socket=str(path))) as (link, heard):
        await heard.until(lambda: link.is_up)
        sfu.is_mute_to_all = True
        waiting = link.tell(m.OpenSpace("hall"))
        await sfu.has_heard(m.OpenSpace)
        await sfu.stop()
        answer = await waiting
        await heard.until(lambda: "lost" in heard.said)

        assert isinstance(answer, m.Refused)
        assert not link.is_up


async def test_the_link_comes_back_with_a_new_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "sfu.sock"
    async with ScriptedSfu(path) as sfu, linked(Control(socket=str(path))) as (link, heard):
        await heard.until(lambda: link.is_up)
        await sfu.stop()
        sfu.forget(node="node-2")
        await sfu.start()
        await heard.until(lambda: len(heard.said) == 3)

        first, lost, second = heard.said
        assert isinstance(first, m.Snapshot)
        assert isinstance(second, m.Snapshot)
        assert (first.node, lost, second.node) == ("node-1", "lost", "node-2")


async def test_on_tcp_the_secret_comes_with_the_greeting() -> None:
    greeting: asyncio.Future[m.Hello] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (request,) = RequestReader().feed(await reader.read(4096))
        assert isinstance(request, m.Request)
        assert isinstance(request.command, m.Hello)
        writer.close()
        await writer.wait_closed()
        if not greeting.done():
            greeting.set_result(request.command)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with linked(Control(address=f"127.0.0.1:{port}", secret="s" * 32)), asyncio.timeout(WITHIN_S):
            assert await greeting == m.Hello(m.PROTOCOL_VERSION, secret="s" * 32)


STRANGERS: dict[str, bytes] = {
    "another version": encode_from_sfu(m.Reply(0, m.Hello(m.PROTOCOL_VERSION + 1))),
    "a refusal": encode_from_sfu(m.Reply(0, m.Refused("bad_secret", "no"))),
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "noise": b"\x00\x00\x00\x04\xff\xff\xff\xff",
}


@pytest.mark.parametrize("says", STRANGERS.values(), ids=STRANGERS.keys())
async def test_whoever_is_no_sfu_of_ours_is_left_and_asked_again(says: bytes, tmp_path: Path) -> None:
    visits = asyncio.Semaphore(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(says)
        writer.close()
        await writer.wait_closed()
        visits.release()

    path = tmp_path / "stranger.sock"
    async with await asyncio.start_unix_server(serve, path), linked(Control(socket=str(path))) as (link, heard):
        async with asyncio.timeout(WITHIN_S):
            await visits.acquire()
            await visits.acquire()

        assert not link.is_up
        assert heard.said == []
