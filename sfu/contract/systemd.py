"""What systemd hears from a service of Type=notify: ready, alive, stopping (sd_notify(3)). Edge (socket).

Outside systemd, without its variables in the environment, nothing is sent.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

BEATS_PER_WATCHDOG: Final = 3
"""sd_watchdog_enabled(3) asks for two; with three a single late one is no death."""


@contextlib.asynccontextmanager
async def told_to_systemd(environ: Mapping[str, str]) -> AsyncIterator[Callable[[str], None]]:
    """READY on entry, STOPPING on exit, and meanwhile a heartbeat that comes from the running loop.

    A loop that hangs sends none, and systemd starts the service anew after WatchdogSec. What is yielded takes a line
    for `systemctl status`.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    beating = None
    _tell(address, "READY=1")
    if address and (every_s := _heartbeat_s(environ)):
        beating = asyncio.create_task(_beat(address, every_s))
    try:
        yield lambda status: _tell(address, f"STATUS={status}")
    finally:
        _tell(address, "STOPPING=1")
        if beating is not None:
            beating.cancel()


async def _beat(address: str, every_s: float) -> None:
    while True:
        _tell(address, "WATCHDOG=1")
        await asyncio.sleep(every_s)


def _heartbeat_s(environ: Mapping[str, str]) -> float | None:
    """None where no watchdog waits for this process; a child inherits the variables, but not the duty."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1e6 / BEATS_PER_WATCHDOG if is_ours and microseconds.isdecimal() else None


def _tell(address: str, state: str) -> None:
    """A lost word is no fault of the service: systemd acts on what it misses."""
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # the abstract namespace, unix(7)
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.sendto(state.encode(), address)
