"""From the first signal to the end: who is in may stay until all have gone, or the deadline. A machine."""


class Drain:
    """The first signal begins, the second ends at once. Times are the loop's, in seconds."""

    def __init__(self, *, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._signals = 0
        self._ends_at_s = 0.0

    @property
    def is_under_way(self) -> bool:
        return self._signals > 0

    @property
    def ends_at_s(self) -> float:
        """The deadline, once under way."""
        return self._ends_at_s

    def on_signal(self, now_s: float) -> None:
        if not self._signals:
            self._ends_at_s = now_s + self._deadline_s
        self._signals += 1

    def is_over(self, *, sessions: int, now_s: float) -> bool:
        """Whether the process may end: nobody is in, the time is up, or it was told a second time."""
        if not self._signals:
            return False
        return not sessions or self._signals > 1 or now_s >= self._ends_at_s
