"""Progress on the terminal while a benchmark runs. Edge."""

import sys
import time
from collections.abc import Mapping


class Screen:
    """One line that is rewritten on a terminal; a line an event elsewhere (a log)."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._at = 0
        self._started_s = time.monotonic()
        self._is_terminal = sys.stderr.isatty()

    def begin(self, server: str, scenario: str) -> None:
        self._at += 1
        self._line(f"{server}, {scenario}: starting", is_kept=not self._is_terminal)

    def joining(self, server: str, scenario: str, counts: Mapping[str, int]) -> None:
        """`counts`: how many have joined, failed, and been refused."""
        others = "".join(f", {counts[name]} {name}" for name in ("failed", "refused") if counts[name])
        self._line(f"{server}, {scenario}: {counts['joined']} joined{others}")

    def measuring(self, server: str, scenario: str, seconds: float) -> None:
        self._line(f"{server}, {scenario}: measuring for {seconds:.0f} s")

    def say(self, text: str) -> None:
        self._line(text, is_kept=True)

    def _line(self, text: str, *, is_kept: bool = False) -> None:
        elapsed_s = time.monotonic() - self._started_s
        line = f"[{self._at}/{self._of}, {elapsed_s // 60:.0f}:{elapsed_s % 60:02.0f}] {text}"
        if is_kept or not self._is_terminal:
            if is_kept:
                print(f"\r\033[K{line}" if self._is_terminal else line, file=sys.stderr, flush=True)
        else:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
