"""Sums for metrics: in a mixer process over frames and spaces, in the sfu over processes. Pure.

Processes die and spaces move; what is exported must only ever count up. So a process adds what its former spaces have
counted, and the sfu what its former processes have.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from sfu.audio.contract import SPENT_BOUNDS_S, TARGET_BOUNDS_S, Histogram, Totals, Watched

STAGES = ("decode", "mix", "encode", "frame")


def make_histogram(bounds: Sequence[float]) -> Histogram:
    return Histogram([0] * (len(bounds) + 1))


def observe(histogram: Histogram, value: float, bounds: Sequence[float]) -> None:
    histogram.counts[bisect_left(bounds, value)] += 1
    histogram.sum += value


def sum_histograms(histograms: Iterable[Histogram], bounds: Sequence[float]) -> Histogram:
    """Those without counts are of a process that has not told any yet."""
    total = make_histogram(bounds)
    for histogram in histograms:
        for place, count in enumerate(histogram.counts):
            total.counts[place] += count
        total.sum += histogram.sum
    return total


def sum_totals(many: Iterable[Totals]) -> Totals:
    """Of what counts up; what is now (`…_now`) is none of the sum's business and stays 0."""
    total = Totals()
    for each in many:
        for name in Totals.__struct_fields__:
            if not name.endswith("_now"):
                setattr(total, name, getattr(total, name) + getattr(each, name))
    return total


class Spent:
    """A process's clock work, seconds each; noted once per space and frame."""

    def __init__(self) -> None:
        self.histograms = {stage: make_histogram(SPENT_BOUNDS_S) for stage in STAGES}

    def note(self, stage: str, seconds: float) -> None:
        observe(self.histograms[stage], seconds, SPENT_BOUNDS_S)


class Account:
    """What the sfu knows of its mixers: each one's last word, and the sum of the words of those that are gone."""

    def __init__(self) -> None:
        self.watched: dict[int, Watched] = {}
        """By process, of those that run."""
        self.restarts: Counter[int] = Counter()
        """By process."""
        self.fallbacks: Counter[str] = Counter()
        """Spaces that went from their mix to forwarding without anyone's wish, by reason."""
        self._gone: list[Watched] = []

    def on_watched(self, process: int, watched: Watched) -> None:
        self.watched[process] = watched

    def on_gone(self, process: int) -> None:
        if (last := self.watched.pop(process, None)) is not None:
            self._gone = [_sum([*self._gone, last])]

    def sum(self) -> Watched:
        """Over all processes that run or ran; `spaces` is empty, all they counted is in `gone`."""
        return _sum([*self._gone, *self.watched.values()])


def _sum(many: Sequence[Watched]) -> Watched:
    return Watched(
        spaces={},
        frames=sum(each.frames for each in many),
        skipped_frames=sum(each.skipped_frames for each in many),
        unsent=sum(each.unsent for each in many),
        decode_s=sum(each.decode_s for each in many),
        encode_s=sum(each.encode_s for each in many),
        mix_s=sum(each.mix_s for each in many),
        gone=sum_totals(totals for each in many for totals in (each.gone, *each.spaces.values())),
        spent={
            stage: sum_histograms((each.spent[stage] for each in many if stage in each.spent), SPENT_BOUNDS_S)
            for stage in STAGES
        },
        targets=sum_histograms((each.targets for each in many), TARGET_BOUNDS_S),
    )
