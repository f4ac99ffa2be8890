"""What this process counts itself, beside the data plane's counters. Pure."""

from collections import Counter


class Tally:
    """Counts up; `metrics` reads."""

    def __init__(self) -> None:
        self.handshakes: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.commands: Counter[tuple[str, str]] = Counter()

    def count_handshake(self, result: str) -> None:
        self.handshakes[result] += 1

    def count_closed(self, reason: str) -> None:
        self.closed[reason] += 1

    def count_command(self, command: str, code: str) -> None:
        """`code` is `done` or that of the refusal."""
        self.commands[command, code] += 1
