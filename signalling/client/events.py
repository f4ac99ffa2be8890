"""Follows a space's events, without a loss over short breaks of the connection. Edge (HTTP)."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import msgspec
from msgspec import Struct

from signalling.client.problem import RefusedError, read_refusal, retry_wait_s
from signalling.client.resource import unreachable
from signalling.events import EVENTS

SILENCE_S: Final = 45.0
"""The server says something every fifteen seconds; after this long without a byte the connection is dead."""

COMES_BACK_S: Final = 1.0
PATIENCE_S: Final = 60.0
"""How long to try again when no server answers: it may be restarting."""

LAST_EVENTS: Final = frozenset({"space.ended", "space.cancelled", "you.removed"})
"""After these the server ends the stream for good."""


class Event(Struct, frozen=True):
    """One event. `data` is the struct of its type in `signalling.events.EVENTS`, or plain for a type of later days."""

    type: str
    seq: int
    ts: str
    space: str
    data: Any
    cursor: str
    """To go on after it: `PalcoClient.events(space, after=cursor)`."""


class EventParser:
    """Server-sent events out of lines, as the server writes them (HTML Standard §9.2.6). A machine."""

    def __init__(self) -> None:
        self._id = ""
        self._data: list[str] = []

    def on_line(self, line: str) -> Event | None:
        """The event that `line` completes."""
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "" and self._data:
            text, self._data = "\n".join(self._data), []
            return read_event(text.encode(), self._id)
        if field == "id":
            self._id = value
        elif field == "data":
            self._data.append(value)
        return None


def read_event(document: bytes, cursor: str) -> Event:
    """An envelope. Raises msgspec.DecodeError."""
    envelope = msgspec.json.decode(document, type=_Envelope)
    kind = EVENTS.get(envelope.type)
    data: Any = msgspec.json.decode(envelope.data, type=kind.payload if kind else Any)
    return Event(envelope.type, envelope.seq, envelope.ts, envelope.space, data, cursor)


class _Envelope(Struct):
    type: str
    seq: int
    ts: str
    space: str
    data: msgspec.Raw


async def follow(http: httpx2.AsyncClient, url: str, *, after: str | None) -> AsyncIterator[Event]:
    """Until the space ends, or who follows is removed. Raises RefusedError."""
    waited_s = 0.0
    attempt = 0
    while True:
        try:
            async for event in _stream(http, url, after=after):
                waited_s, attempt = 0.0, 0
                after = event.cursor or after
                yield event
                if event.type in LAST_EVENTS:
                    return
            wait_s = COMES_BACK_S
        except RefusedError as refusal:
            wanted_s = retry_wait_s(refusal, attempt=attempt, waited_s=waited_s, patience_s=PATIENCE_S)
            if refusal.status == 0 and after is not None and waited_s < PATIENCE_S:
                wanted_s = COMES_BACK_S  # it was there a moment ago
            if wanted_s is None:
                raise
            wait_s = wanted_s
            attempt += 1
        await asyncio.sleep(wait_s)
        waited_s += wait_s


async def _stream(http: httpx2.AsyncClient, url: str, *, after: str | None) -> AsyncIterator[Event]:
    """One connection; ends when it does."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
    timeout = httpx2.Timeout(10.0, read=SILENCE_S)
    parser = EventParser()
    try:
        async with http.stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code != 200:
                body = await response.aread()
                raise read_refusal(
                    response.status_code, response.headers, body, now=datetime.datetime.now(datetime.UTC)
                )
            async for line in response.aiter_lines():
                if event := parser.on_line(line.rstrip("\r\n")):
                    yield event
    except httpx2.ConnectError as error:
        raise unreachable(url, error) from error
    except httpx2.TransportError:
        return  # it broke; the next connection goes on from here
