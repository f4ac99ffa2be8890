"""The one connection to the sfu: commands out, answers and reports in, again after every break. Edge (sockets).

Commands are written in the order in which they were decided, without waiting in between, and that is the order in which
the sfu obeys. Frames are handed on in the order in which they came, the snapshot included, inside the reading loop: a
report can therefore never overtake the snapshot that it changes.
"""

import asyncio
import contextlib
import random
from typing import Final, Protocol

import structlog

from sfu.contract.config import Control
from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Answer,
    Command,
    Describe,
    FromSfu,
    Goodbye,
    Hello,
    Load,
    Refused,
    Reply,
    Report,
    Request,
    Snapshot,
)
from sfu.contract.wire import MessageReader, WireError, encode_request, read_from_sfu

ANSWER_WITHIN_S: Final = 5.0
"""A command takes milliseconds; an sfu that needs seconds is better treated as gone than waited for."""

FIRST_RETRY_S: Final = 0.1
LAST_RETRY_S: Final = 2.0

MAX_UNSENT_BYTES: Final = 8 << 20
"""Commands are a few hundred bytes: an sfu that leaves this many unread has stopped."""

_READ_BYTES: Final = 1 << 16

log = structlog.get_logger("signalling.sfu_link")


class Listener(Protocol):
    """What the link tells, synchronously and in order."""

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Connected: what the sfu has. Commands given here are the first that it hears."""

    def on_report(self, report: Report) -> None: ...

    def on_lost(self) -> None: ...


class SfuLink:
    """Keeps the connection; `tell` is the only way to speak."""

    def __init__(self, control: Control, listener: Listener) -> None:
        self._control = control
        self._listener = listener
        self._writer: asyncio.StreamWriter | None = None
        self._is_up = False
        self._is_ending = False
        self._next_id = 1
        self._waiting: dict[int, tuple[asyncio.Future[Answer], asyncio.TimerHandle]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether both sides have been reconciled and commands go out."""
        return self._is_up

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sfu-link")

    async def close(self) -> None:
        """Takes leave of the sfu, which goes on."""
        self.tell(Goodbye())
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def tell(self, command: Command) -> "asyncio.Future[Answer]":
        """The answer to `command`, which is on its way when this returns. Never raises, nor does the future:

        without an sfu, or when it goes away or stays silent, the answer is `Refused("sfu_unavailable")`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        writer = self._writer
        if writer is None or writer.is_closing():
            answer.set_result(_unavailable("the media server is not connected; try again in a moment"))
            return answer
        request_id = self._next_id
        self._next_id += 1
        timer = loop.call_later(ANSWER_WITHIN_S, self._give_up, request_id)
        self._waiting[request_id] = (answer, timer)
        writer.write(encode_request(Request(request_id, command)))
        if writer.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            writer.transport.abort()
        return answer

    async def _run(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            try:
                reader, writer = await self._connect()
            except OSError as error:
                log.debug("sfu_unreachable", reason=str(error), retry_s=retry_s)
            else:
                try:
                    await self._serve(reader, writer)
                    retry_s = FIRST_RETRY_S
                except (OSError, WireError, _Unwelcome) as error:
                    if self._is_ending:
                        log.info("sfu_stopped")
                    else:
                        log.warning("sfu_lost", reason=str(error) or type(error).__name__)
                except Exception:
                    # A bug of ours in what a report led to. The next snapshot puts right whatever it left half done.
                    log.exception("sfu_link_broken")
                finally:
                    self._on_lost(writer)
            await asyncio.sleep(retry_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads retries, guards nothing
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if tcp := self._control.tcp:
            return await asyncio.open_connection(*tcp)
        return await asyncio.open_unix_connection(self._control.socket)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """From the greeting to the end of the connection."""
        stream = _Stream(reader)
        writer.write(encode_request(Request(0, Hello(PROTOCOL_VERSION, secret=self._control.secret))))
        hello = await stream.answer_to(0)
        if not isinstance(hello, Hello) or hello.version != PROTOCOL_VERSION:
            raise _Unwelcome(f"the sfu does not speak version {PROTOCOL_VERSION} with us: {hello}")
        writer.write(encode_request(Request(0, Describe())))
        snapshot = await stream.answer_to(0)
        if not isinstance(snapshot, Snapshot):
            raise _Unwelcome(f"the sfu does not describe itself: {snapshot}")
        self._writer = writer
        self._is_up = True
        self._listener.on_snapshot(snapshot)
        log.info("sfu_connected", node=hello.node, sessions=len(snapshot.sessions), spaces=len(snapshot.spaces))
        while True:
            self._on_message(await stream.next())

    def _on_message(self, message: FromSfu) -> None:
        if not isinstance(message, Reply):
            self._is_ending = message.ends_at_s is not None if isinstance(message, Load) else self._is_ending
            self._listener.on_report(message)
        elif waiting := self._waiting.pop(message.id, None):
            answer, timer = waiting
            timer.cancel()
            if not answer.done():
                answer.set_result(message.answer)

    def _give_up(self, request_id: int) -> None:
        answer, _ = self._waiting.pop(request_id)
        if not answer.done():
            answer.set_result(_unavailable(f"the media server did not answer within {ANSWER_WITHIN_S:.0f} s"))

    def _on_lost(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        was_up, self._is_up, self._writer = self._is_up, False, None
        self._is_ending = False
        waiting, self._waiting = self._waiting, {}
        for answer, timer in waiting.values():
            timer.cancel()
            if not answer.done():
                answer.set_result(_unavailable("the connection to the media server broke; try again in a moment"))
        if was_up:
            self._listener.on_lost()


class _Stream:
    """Messages one by one, in order."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._messages: MessageReader[FromSfu] = read_from_sfu()
        self._read: list[FromSfu] = []

    async def next(self) -> FromSfu:
        """Raises ConnectionError at the end of the stream, WireError when it is not the protocol."""
        while not self._read:
            chunk = await self._reader.read(_READ_BYTES)
            if not chunk:
                raise ConnectionError("the sfu closed the connection")
            self._read = self._messages.feed(chunk)[::-1]
        return self._read.pop()

    async def answer_to(self, request_id: int) -> Answer:
        """Skips reports: the snapshot that follows the greeting contains what they say."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                message = await self.next()
                if isinstance(message, Reply) and message.id == request_id:
                    return message.answer


class _Unwelcome(Exception):  # noqa: N818
    """The other end is no sfu that we can work with."""


def _unavailable(detail: str) -> Refused:
    return Refused("sfu_unavailable", detail)
