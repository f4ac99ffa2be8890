"""Following events: read as the server writes them, and on again after a break."""

from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from signalling.client.events import Event, EventParser, follow, read_event
from signalling.client.problem import RefusedError
from signalling.events import EVENTS, Caption, Left
from signalling.frames import pack_events
from signalling.ring import Kept


def kept(seq: int, event: str) -> Kept:
    envelope = {"type": event, "seq": seq, "ts": "2026-11-21T17:00:00.000Z", "space": "hall"}
    return Kept(seq, event, msgspec.json.encode({**envelope, "data": EVENTS[event].example}))


def body(*events: tuple[int, str]) -> bytes:
    return b"retry: 2000\n\n" + pack_events("e1", [kept(*event) for event in events]) + b": still here\n\n"


@pytest.mark.parametrize("event", EVENTS)
def test_every_type_is_read_as_its_struct(event: str) -> None:
    lines = body((7, event)).decode().split("\n")
    parser = EventParser()
    (read,) = [found for line in lines if (found := parser.on_line(line))]
    assert (read.type, read.seq, read.cursor) == (event, 7, "e1-7")
    assert isinstance(read.data, EVENTS[event].payload)


def test_a_type_of_later_days_is_read_as_it_is() -> None:
    event = read_event(b'{"type":"space.flooded","seq":1,"ts":"","space":"hall","data":{"depth_m":2}}', "e1-1")
    assert event.data == {"depth_m": 2}


class Server(httpx2.AsyncBaseTransport):
    """Answers each request with the next body, and notes what was asked."""

    def __init__(self, *answers: bytes | int | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str | None] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.headers.get("last-event-id"))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            problem = {"code": "removed", "detail": "you were removed"}
            return httpx2.Response(answer, json=problem, headers={"content-type": "application/problem+json"})
        return httpx2.Response(200, stream=Pieces(answer))


class Pieces(httpx2.AsyncByteStream):
    """In pieces that respect no line; breaks off at the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._content), 7):
            yield self._content[at : at + 7]
        raise httpx2.ReadError("the connection broke")


async def followed(server: Server, after: str | None = None) -> list[Event]:
    async with httpx2.AsyncClient(transport=server) as http:
        return [event async for event in follow(http, "http://palco.example/events", after=after)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signalling.client.events.COMES_BACK_S", 0.0)


async def test_after_a_break_it_asks_for_what_followed() -> None:
    server = Server(body((1, "snapshot"), (2, "caption")), body((2, "resumed"), (3, "caption"), (4, "space.ended")))
    events = await followed(server)
    assert [event.type for event in events] == ["snapshot", "caption", "resumed", "caption", "space.ended"]
    assert isinstance(events[1].data, Caption)
    assert server.asked == [None, "e1-2"]


async def test_a_server_that_restarts_is_waited_for() -> None:
    server = Server(body((1, "snapshot")), httpx2.ConnectError("refused"), body((1, "you.removed")))
    assert [event.type for event in await followed(server)] == ["snapshot", "you.removed"]
    assert server.asked == [None, "e1-1", "e1-1"]


async def test_a_refusal_is_final() -> None:
    with pytest.raises(RefusedError) as refused:
        await followed(Server(body((1, "snapshot")), 403))
    assert refused.value.code == "removed"


async def test_where_nobody_answers_at_first_it_says_so_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        await followed(Server(httpx2.ConnectError("refused")))
    assert refused.value.status == 0


async def test_it_begins_after_the_cursor_that_it_is_given() -> None:
    server = Server(body((9, "resumed"), (10, "participant.left"), (11, "space.ended")))
    events = await followed(server, "e1-9")
    assert isinstance(events[1].data, Left)
    assert server.asked == ["e1-9"]
