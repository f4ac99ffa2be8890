"""The control connection: who may command, who takes over, what becomes of files and floods."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from sfu.contract.config import Control as Settings
from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Answer,
    Command,
    Describe,
    Done,
    Drain,
    FromSfu,
    Hello,
    Load,
    Refused,
    Reply,
    Request,
    SessionConnected,
)
from sfu.contract.wire import encode_request, read_from_sfu
from sfu.control import HELLO_BYTES, Control
from sfu.errors import StartError
from tests.harness.processes import take_port

pytestmark = pytest.mark.live

SECRET = "a secret of more than 32 characters"


class Echo:
    """Does every command at once and remembers it."""

    def __init__(self) -> None:
        self.obeyed: list[Command] = []

    def obey(self, command: Command, reply: Callable[[Answer], None]) -> None:
        self.obeyed.append(command)
        reply(Hello(PROTOCOL_VERSION, node="node-1") if isinstance(command, Hello) else Done())

    def load(self) -> Load:
        return Load(accepts=True, reason="", sessions=0)


class Signalling:
    """The other end of the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._messages = read_from_sfu()
        self._waiting: list[FromSfu] = []

    async def ask(self, number: int, command: Command) -> Answer | None:
        """The answer, reports skipped; None when the connection ends instead."""
        self.write(encode_request(Request(number, command)))
        while (message := await self.next()) is not None:
            if isinstance(message, Reply):
                assert message.id == number
                return message.answer
        return None

    def write(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def next(self) -> FromSfu | None:
        while not self._waiting:
            try:
                chunk = await self._reader.read(65536)
            except ConnectionError:
                return None
            if not chunk:
                return None
            self._waiting = self._messages.feed(chunk)
        return self._waiting.pop(0)

    async def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sfu.sock"


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def control(path: Path, echo: Echo, stack: AsyncExitStack) -> Control:
    return await listen(stack, Settings(socket=str(path)), echo)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file that is no socket."""
    path = tmp_path / "notes"
    path.write_text("someone's")
    return path


def content(path: Path) -> str:
    return path.read_text()


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def listen(stack: AsyncExitStack, settings: Settings, echo: Echo) -> Control:
    control = Control(settings)
    await control.listen(echo)
    stack.push_async_callback(control.close)
    return control


async def connect(stack: AsyncExitStack, path: Path) -> Signalling:
    signalling = Signalling(*await asyncio.open_unix_connection(path))
    stack.push_async_callback(signalling.close)
    return signalling


class TestHello:
    async def test_it_opens_the_door(self, control: Control, path: Path, stack: AsyncExitStack) -> None:
        signalling = await connect(stack, path)
        assert await signalling.ask(1, Hello(PROTOCOL_VERSION)) == Hello(PROTOCOL_VERSION, node="node-1")
        assert await signalling.ask(2, Describe()) == Done()

    async def test_another_version_is_told_so_and_turned_away(
        self, control: Control, path: Path, stack: AsyncExitStack
    ) -> None:
        signalling = await connect(stack, path)
        answer = await signalling.ask(1, Hello(PROTOCOL_VERSION + 1))
        assert isinstance(answer, Refused)
        assert answer.code == "version"
        assert await signalling.next() is None

    async def test_whoever_commands_without_it_is_dropped_unheard(
        self, control: Control, echo: Echo, path: Path, stack: AsyncExitStack
    ) -> None:
        signalling = await connect(stack, path)
        assert await signalling.ask(1, Drain(is_draining=True)) is None
        assert echo.obeyed == []

    async def test_a_long_frame_before_it_is_dropped(self, control: Control, path: Path, stack: AsyncExitStack) -> None:
        signalling = await connect(stack, path)
        signalling.write((HELLO_BYTES + 1).to_bytes(4, "big"))
        assert await signalling.next() is None


class TestSecret:
    """On TCP, where no file permissions stand guard."""

    @pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET + "!", "ä"])
    async def test_a_wrong_one_is_turned_away(self, echo: Echo, stack: AsyncExitStack, secret: str) -> None:
        port = take_port()
        await listen(stack, Settings(address=f"127.0.0.1:{port}", secret=SECRET), echo)
        signalling = Signalling(*await asyncio.open_connection("127.0.0.1", port))
        stack.push_async_callback(signalling.close)
        answer = await signalling.ask(1, Hello(PROTOCOL_VERSION, secret=secret))
        assert isinstance(answer, Refused)
        assert answer.code == "bad_secret"
        assert await signalling.ask(2, Drain(is_draining=True)) is None
        assert echo.obeyed == []

    async def test_the_right_one_opens_the_door(self, echo: Echo, stack: AsyncExitStack) -> None:
        port = take_port()
        await listen(stack, Settings(address=f"127.0.0.1:{port}", secret=SECRET), echo)
        signalling = Signalling(*await asyncio.open_connection("127.0.0.1", port))
        stack.push_async_callback(signalling.close)
        assert isinstance(await signalling.ask(1, Hello(PROTOCOL_VERSION, secret=SECRET)), Hello)

    async def test_a_port_that_is_taken_stops_the_start(self, echo: Echo, stack: AsyncExitStack) -> None:
        settings = Settings(address=f"127.0.0.1:{take_port()}", secret=SECRET)
        await listen(stack, settings, echo)
        with pytest.raises(StartError, match=r"control\.address"):
            await Control(settings).listen(echo)


class TestCommanding:
    async def test_an_unknown_command_is_refused_and_the_next_is_heard(
        self, control: Control, path: Path, stack: AsyncExitStack
    ) -> None:
        signalling = await connect(stack, path)
        await signalling.ask(1, Hello(PROTOCOL_VERSION))
        body = msgspec.msgpack.encode({"id": 2, "command": {"type": "levitate"}})
        signalling.write(len(body).to_bytes(4, "big") + body)
        answer = await signalling.next()
        while not isinstance(answer, Reply):
            answer = await signalling.next()
        assert isinstance(answer.answer, Refused)
        assert (answer.id, answer.answer.code) == (2, "bad_command")
        assert await signalling.ask(3, Drain(is_draining=True)) == Done()

    async def test_reports_and_load_come_unasked(self, control: Control, path: Path, stack: AsyncExitStack) -> None:
        signalling = await connect(stack, path)
        await signalling.ask(1, Hello(PROTOCOL_VERSION))
        control.announce(SessionConnected("s1"))
        assert await signalling.next() == SessionConnected("s1")
        assert await signalling.next() == Load(accepts=True, reason="", sessions=0)

    async def test_a_newer_signalling_takes_over(self, control: Control, path: Path, stack: AsyncExitStack) -> None:
        old, new = await connect(stack, path), await connect(stack, path)
        await old.ask(1, Hello(PROTOCOL_VERSION))
        await new.ask(1, Hello(PROTOCOL_VERSION))
        control.announce(SessionConnected("s1"))
        assert await new.next() == SessionConnected("s1")
        assert await old.next() is None

    async def test_a_stranger_without_hello_takes_over_nothing(
        self, control: Control, path: Path, stack: AsyncExitStack
    ) -> None:
        signalling = await connect(stack, path)
        await signalling.ask(1, Hello(PROTOCOL_VERSION))
        stranger = await connect(stack, path)
        await stranger.ask(1, Describe())
        assert await signalling.ask(2, Drain(is_draining=True)) == Done()

    async def test_announcing_to_nobody_is_no_trouble(self, control: Control) -> None:
        control.announce(SessionConnected("s1"))


class TestSocketFile:
    async def test_only_its_owner_may_connect(self, control: Control, path: Path) -> None:
        assert permissions(path) == 0o600

    async def test_nothing_is_left_beside_or_behind_it(self, path: Path, echo: Echo) -> None:
        control = Control(Settings(socket=str(path)))
        await control.listen(echo)
        assert list(path.parent.iterdir()) == [path]
        await control.close()
        assert list(path.parent.iterdir()) == []

    async def test_one_left_by_a_dead_sfu_is_replaced(self, path: Path, echo: Echo, stack: AsyncExitStack) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
            dead.bind(str(path))
        await listen(stack, Settings(socket=str(path)), echo)
        assert isinstance(await (await connect(stack, path)).ask(1, Hello(PROTOCOL_VERSION)), Hello)

    async def test_one_of_a_living_sfu_is_not(self, control: Control, path: Path, echo: Echo) -> None:
        with pytest.raises(StartError, match="another sfu"):
            await Control(Settings(socket=str(path))).listen(echo)

    async def test_a_file_of_another_kind_is_not(self, notes: Path, echo: Echo) -> None:
        with pytest.raises(StartError, match="another kind"):
            await Control(Settings(socket=str(notes))).listen(echo)
        assert content(notes) == "someone's"

    async def test_a_directory_that_is_not_there_stops_the_start(self, tmp_path: Path, echo: Echo) -> None:
        with pytest.raises(StartError, match="directory"):
            await Control(Settings(socket=str(tmp_path / "nowhere" / "sfu.sock"))).listen(echo)
