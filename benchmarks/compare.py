"""Whether one run is faster than another, or whether the difference is noise. Pure."""

from statistics import mean, pstdev

from benchmarks.results import Row, Run, markdown

LEAST_SHARE = 0.05
"""Two runs of the same build on a shared virtual machine differ by a few per cent."""


def compare(before: Run, after: Run) -> str:
    """A table of CPU per packet for what both runs measured; a change counts beyond twice the spread of the repeats."""
    rows = []
    for key in dict.fromkeys((row.server, row.scenario) for row in before.rows):
        old, new = (_costs(run.rows, key) for run in (before, after))
        if old and new:
            rows.append(
                (*key, f"{mean(old):.2f}", f"{mean(new):.2f}", f"{mean(new) / mean(old) - 1:+.1%}", _verdict(old, new))
            )
    return markdown(("server", "scenario", "before µs", "after µs", "change", "verdict"), rows)


def _costs(rows: list[Row], key: tuple[str, str]) -> list[float]:
    return [row.cpu_us_per_packet for row in rows if (row.server, row.scenario) == key and row.delivered_packets]


def _verdict(old: list[float], new: list[float]) -> str:
    spread = max(pstdev(old), pstdev(new)) * 2
    difference = mean(new) - mean(old)
    if abs(difference) <= max(spread, LEAST_SHARE * mean(old)):
        return "noise"
    return "slower" if difference > 0 else "faster"
