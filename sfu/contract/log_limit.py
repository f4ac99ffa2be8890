"""How many lines of one kind a log takes: what strangers can cause must not fill a disk. A machine."""

from typing import Final

from msgspec import Struct

LINES_PER_S: Final = 20.0
BURST_LINES: Final = 200
"""A storm of 2,000 joins that all fail is told by its first 200 lines and by a number."""


class _Bucket(Struct):
    lines: float
    at_s: float
    left_out: int = 0


class LineLimit:
    """One bucket for each kind of line."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, kind: str, now_s: float) -> int | None:
        """None for a line that is left out; else how many were left out before it."""
        bucket = self._buckets.setdefault(kind, _Bucket(lines=BURST_LINES, at_s=now_s))
        bucket.lines = min(BURST_LINES, bucket.lines + max(0.0, now_s - bucket.at_s) * LINES_PER_S)
        bucket.at_s = now_s
        if bucket.lines < 1.0:
            bucket.left_out += 1
            return None
        bucket.lines -= 1.0
        left_out, bucket.left_out = bucket.left_out, 0
        return left_out
