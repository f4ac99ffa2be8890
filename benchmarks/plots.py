"""SVG plots of a run: CPU per packet, latency and memory against listeners. Edge (matplotlib, files)."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.results import Row, Run

PLOTS: dict[str, tuple[str, Callable[[Row], float]]] = {
    "cpu": ("CPU µs per delivered packet", lambda row: row.cpu_us_per_packet),
    "latency-p99": ("added latency p99, ms", lambda row: row.latency_p99_s * 1e3),
    "memory": ("memory per listener, kB", lambda row: row.bytes_per_listener / 1e3),
}


def draw(run: Run, folder: Path) -> list[Path]:
    """One file for each of `PLOTS`, a line for each server and number of speakers."""
    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "palco", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    )
    folder.mkdir(parents=True, exist_ok=True)
    return [_draw(run, folder / f"{name}.svg", label, value) for name, (label, value) in PLOTS.items()]


def _draw(run: Run, path: Path, label: str, value: Callable[[Row], float]) -> Path:
    lines: dict[tuple[str, int], list[tuple[int, float]]] = defaultdict(list)
    for row in run.rows:
        if row.late is None and row.delivered_packets:
            lines[row.server, row.speakers].append((row.listeners, value(row)))
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (server, speakers), points in sorted(lines.items()):
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(xs, ys, marker="o", label=f"{server}, {speakers} speaker{'s' if speakers > 1 else ''}")
    axes.set(xscale="log", yscale="log", xlabel="listeners", ylabel=label)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
