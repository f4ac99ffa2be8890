"""One line that says how a session goes: time, packets, level, loss. Edge (terminal).

On a terminal the line is redrawn in place; elsewhere (a log, a pipe) a new one is written every five seconds.
"""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from signalling.client.session import Statistics
from signalling.client.sound import SILENCE_DBOV

PLAIN_INTERVAL_S = 5.0

METER_CELLS = 20
METER_FLOOR_DBOV = -60.0
"""Below it the meter is empty: room noise, not speech."""


class Progress:
    """Use as a context manager; `show` as often as there is news."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._started_s = time.monotonic()
        self._shown_s = -PLAIN_INTERVAL_S

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def show(self, statistics: Statistics, *, level_dbov: float, is_last: bool = False) -> None:
        line = progress_line(self.elapsed_s, statistics, level_dbov)
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif is_last or self.elapsed_s - self._shown_s >= PLAIN_INTERVAL_S:
            self._shown_s = self.elapsed_s
            self._console.print(line, highlight=False, soft_wrap=True)


def progress_line(elapsed_s: float, statistics: Statistics, level_dbov: float) -> str:
    """`00:05  250 packets  ▮▮▮▮▮▮▯▯…  -23 dBov  lost 0 (0.0 %)`"""
    minutes, seconds = divmod(int(elapsed_s), 60)
    filled = round(METER_CELLS * max(0.0, min(1.0, 1 - level_dbov / METER_FLOOR_DBOV)))
    level = "  silent" if level_dbov <= SILENCE_DBOV else f"{level_dbov:4.0f} dBov"
    lost = max(statistics.lost, 0)
    return (
        f"{minutes:02}:{seconds:02}  {statistics.packets:6} packets  {'▮' * filled}{'▯' * (METER_CELLS - filled)} "
        f"{level}  lost {lost} ({statistics.lost_fraction:.1%})"
    )
