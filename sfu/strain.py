"""Whether the workers keep up with what they forward. A machine.

A worker that falls behind sends larger messages less often, so its CPU tells little: it is busy long before it is full.
What tells is lateness: where a queue grows, soon every packet takes longer than the 20 ms to the next one, and one more
listener makes it longer for all. A storm of joins makes some late, too, by what it takes of the core; that passes.
"""

from collections.abc import Mapping, Sequence

LATE_BUCKET = "forward_le_inf"
"""Forwarded packets that took longer than 20 ms from the socket to the kernel."""

BUCKETS = "forward_le_"

ENTERS_AT = 0.5
LATE_SAMPLES = 3
"""Refusing begins after this many bad samples in a row: a queue grows for seconds, while a machine that stopped for the
length of three packets, whoever was to blame, is as good as before. With one voice those three are one in seventeen."""

LEAVES_BELOW = 0.01
CALM_SAMPLES = 5
"""It ends after this many good ones in a row, so that joins do not flap."""


class Strain:
    """Fed with every worker's counters about once a second."""

    def __init__(self) -> None:
        self.is_overloaded = False
        self._seen: list[tuple[int, int]] = []
        self._calm = 0
        self._late = 0

    def on_counters(self, workers: Sequence[Mapping[str, int]]) -> None:
        """The worst worker decides: its listeners cannot move to another."""
        now = [_forwarded(counters) for counters in workers]
        before = self._seen or [(0, 0)] * len(now)
        self._seen = now
        worst = max((_share(old, new) for old, new in zip(before, now, strict=True)), default=0.0)
        self._calm = self._calm + 1 if worst < LEAVES_BELOW else 0
        self._late = self._late + 1 if worst >= ENTERS_AT else 0
        if self._late >= LATE_SAMPLES:
            self.is_overloaded = True
        elif self._calm >= CALM_SAMPLES:
            self.is_overloaded = False


def _forwarded(counters: Mapping[str, int]) -> tuple[int, int]:
    """Late ones and all, since the worker began."""
    return counters[LATE_BUCKET], sum(count for name, count in counters.items() if name.startswith(BUCKETS))


def _share(before: tuple[int, int], after: tuple[int, int]) -> float:
    late, total = (new - old for old, new in zip(before, after, strict=True))
    return late / total if total else 0.0
