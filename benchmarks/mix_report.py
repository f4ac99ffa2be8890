"""What the benchmarks of the mix found: one JSON document, its tables and its plots. Edge (files, matplotlib)."""

from collections import defaultdict
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks import mix_loss, mixer, mixer_quality
from benchmarks.results import Machine


class MixRun(Struct, frozen=True, kw_only=True):
    started: str
    machine: Machine
    capacity: list[mixer.Result] = []
    quality: list[mixer_quality.Score] = []
    loss: list[mix_loss.LossScore] = []


def encode(run: MixRun) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=1)


def decode(document: bytes) -> MixRun:
    return msgspec.json.decode(document, type=MixRun)


def is_mix(document: bytes) -> bool:
    """Whether a JSON document is of this kind, and not a run of servers."""
    return "rows" not in msgspec.json.decode(document)


def merge(before: MixRun | None, run: MixRun) -> MixRun:
    """What was measured now, and of what was before that which was not."""
    if before is None:
        return run
    return msgspec.structs.replace(
        run,
        capacity=run.capacity or before.capacity,
        quality=run.quality or before.quality,
        loss=run.loss or before.loss,
    )


def tables(run: MixRun) -> str:
    parts = [mixer.table(run.capacity)] if run.capacity else []
    parts += [mixer_quality.table(run.quality)] if run.quality else []
    parts += [mix_loss.table(run.loss)] if run.loss else []
    return "\n\n".join(parts)


def draw(run: MixRun, folder: Path) -> list[Path]:
    """SVG, one file for each part that was measured."""
    import matplotlib as mpl  # noqa: PLC0415  (of the `bench` extra)

    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "palco", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = [_draw_capacity(run, folder / "mix-capacity.svg")] if run.capacity else []
    paths += [_draw_quality(run, folder / "mix-quality.svg")] if run.quality else []
    paths += [_draw_loss(run, folder / "mix-loss.svg")] if run.loss else []
    return paths


def _draw_capacity(run: MixRun, path: Path) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    names = [result.job.name for result in run.capacity]
    counted = [result for result in run.capacity if "latency" not in result.job.name]
    left.barh([result.job.name for result in counted], [result.spaces_per_core for result in counted], color="C0")
    left.set(xlabel="spaces per core")
    for result in run.capacity:
        right.plot([result.latency_p50_ms, result.latency_p99_ms], [result.job.name] * 2, marker="|", color="C1")
    right.set(xlabel="added latency, ms: p50 to p99", xlim=(0, 70))
    right.set_yticks(names, labels=names)
    for axes in (left, right):
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x", alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _draw_quality(run: MixRun, path: Path) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    roads = list(dict.fromkeys(score.road for score in run.quality))
    figure, panels = plt.subplots(1, len(roads), figsize=(3 * len(roads), 3.2), sharey=True, layout="constrained")
    for axes, road in zip(panels, roads, strict=True):
        lines: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for score in run.quality:
            if score.road != road:
                continue
            lines[score.speaking].append((score.bitrate // 1000, score.mix))
            if score.speaking == "one, passed":
                lines["plain encode and decode"].append((score.bitrate // 1000, score.plain))
        for name, points in lines.items():
            style = "--" if name.startswith("plain") else "-"
            axes.plot(*zip(*sorted(points), strict=True), style, marker="o", label=name)
        axes.set(title=road, xlabel="kbit/s")
        axes.grid(visible=True, alpha=0.3)
    panels[0].set(ylabel="PESQ wideband")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _draw_loss(run: MixRun, path: Path) -> Path:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    lines: dict[str, list[mix_loss.LossScore]] = defaultdict(list)
    for score in run.loss:
        lines[f"{score.server}{', RED offered' if score.is_red_offered else ''}"].append(score)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, scores in lines.items():
        style = "-" if "RED" in name else "--"
        losses = [100 * score.loss for score in scores]
        left.plot(losses, [score.pesq for score in scores], style, marker="o", label=name)
        right.plot(losses, [100 * score.made_up for score in scores], style, marker="o", label=name)
    left.set(xlabel="loss towards the listener, %", ylabel="PESQ wideband")
    right.set(xlabel="loss towards the listener, %", ylabel="frames made up, %")
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
    left.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
