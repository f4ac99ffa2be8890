"""Every server that can be measured, by the name that the command line knows it by."""

from collections.abc import Callable

from benchmarks.palco import Palco
from benchmarks.servers import Server

SERVERS: dict[str, Callable[[], Server]] = {
    "palco": Palco,
}
