"""What a service manager hears from a process, and when."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfu.contract.systemd import told_to_systemd

pytestmark = pytest.mark.live

HEARTBEAT_US = "30000"


class Manager:
    """The end that systemd holds."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.line.bind(address)
        self.line.setblocking(False)

    async def next(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self.line, 256)).decode()

    def unread(self) -> list[str]:
        said = []
        while True:
            try:
                said.append(self.line.recv(256).decode())
            except BlockingIOError:
                return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.line.close()


async def test_ready_comes_first_and_stopping_last(manager: Manager) -> None:
    async with told_to_systemd({"NOTIFY_SOCKET": manager.address}):
        assert manager.unread() == ["READY=1"]
    assert manager.unread() == ["STOPPING=1"]


async def test_the_loop_beats_while_it_runs(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": HEARTBEAT_US, "WATCHDOG_PID": str(os.getpid())}
    async with told_to_systemd(environ):
        assert [await manager.next() for _ in range(3)] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


async def test_a_child_does_not_beat_for_its_parent(manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": HEARTBEAT_US, "WATCHDOG_PID": "1"}
    async with told_to_systemd(environ):
        await asyncio.sleep(0)
    assert manager.unread() == ["READY=1", "STOPPING=1"]


async def test_an_abstract_socket_is_reached_too() -> None:
    name = f"palco-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    async with told_to_systemd({"NOTIFY_SOCKET": f"@{name}"}):
        assert await manager.next() == "READY=1"
    manager.line.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": HEARTBEAT_US}])
async def test_without_anyone_to_tell_the_service_runs_as_well(environ: dict[str, str]) -> None:
    async with told_to_systemd(environ):
        await asyncio.sleep(0)
