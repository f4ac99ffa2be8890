"""What Prometheus sees of the mixers: read from their last words, which come once a second, at the scrape. Edge.

Sums are over all mixers, those that died included, so that counters only count up; labels are a mixer's number (as many
as `mixer.processes`), a stage of the work, a source, a reason. Never a space.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from sfu.audio.contract import SPENT_BOUNDS_S, TARGET_BOUNDS_S, Histogram, Totals
from sfu.audio.watch import Account

PREFIX: Final = "palco_sfu_mixer"

_STAGES: Final = ("decode", "mix", "encode")
_SOURCES: Final = ("silence", "voice", "mix", "main")
_FATES: Final = {
    "packets_in": "taken",
    "late": "late",
    "lost": "lost",
    "malformed": "malformed",
    "refused": "refused",
    "unknown": "unknown",
}
_REASONS: Final = ("died", "hung", "failed", "moved")


class Mixers(Protocol):
    account: Account

    def census(self) -> dict[int, tuple[str, int]]: ...


class MixerCollector(Collector):
    def __init__(self, mixers: Mixers) -> None:
        self._mixers = mixers

    def collect(self) -> Iterable[Metric]:
        account = self._mixers.account
        yield from _of_processes(self._mixers.census(), account)
        total = account.sum()
        yield from _of_totals(total.gone)
        yield CounterMetricFamily(f"{PREFIX}_skipped_frames", "Frames of 20 ms left out.", value=total.skipped_frames)
        yield CounterMetricFamily(f"{PREFIX}_unsent", "Mixed packets that the sfu did not take.", value=total.unsent)
        seconds = HistogramMetricFamily(f"{PREFIX}_seconds", "Of one space in one frame, by stage.", labels=["stage"])
        for stage in _STAGES:
            _add(seconds, [stage], total.spent[stage], SPENT_BOUNDS_S)
        yield seconds
        frame = HistogramMetricFamily(f"{PREFIX}_frame_seconds", "Of all spaces of one mixer in one frame.", labels=[])
        _add(frame, [], total.spent["frame"], SPENT_BOUNDS_S)
        yield frame
        target = HistogramMetricFamily(
            f"{PREFIX}_jitter_target_seconds", "Longest jitter-buffer target of a space, once a second.", labels=[]
        )
        _add(target, [], total.targets, TARGET_BOUNDS_S)
        yield target


def _of_processes(census: dict[int, tuple[str, int]], account: Account) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        f"{PREFIX}_up", "1 for a mixer that works; none does while none is needed.", labels=["mixer"]
    )
    spaces = GaugeMetricFamily(f"{PREFIX}_spaces", "Spaces that a mixer has.", labels=["mixer"])
    restarts = CounterMetricFamily(f"{PREFIX}_restarts", "Ends of a mixer that nobody wished.", labels=["mixer"])
    for number, (state, count) in sorted(census.items()):
        up.add_metric([str(number)], state == "well")
        spaces.add_metric([str(number)], count)
        restarts.add_metric([str(number)], account.restarts[number])
    yield from (up, spaces, restarts)
    fallbacks = CounterMetricFamily(
        f"{PREFIX}_fallbacks", "Spaces whose mix broke off and that were forwarded instead.", labels=["reason"]
    )
    for reason in _REASONS:
        fallbacks.add_metric([reason], account.fallbacks[reason])
    yield fallbacks


def _of_totals(totals: Totals) -> Iterator[Metric]:
    frames = CounterMetricFamily(
        f"{PREFIX}_frames", "Frames of 20 ms, by source: voice is a lone speaker's own packets.", labels=["source"]
    )
    for source in _SOURCES:
        frames.add_metric([source], getattr(totals, f"frames_{source}"))
    yield frames
    packets = CounterMetricFamily(f"{PREFIX}_packets", "Speakers' packets, by what became of them.", labels=["fate"])
    for name, fate in _FATES.items():
        packets.add_metric([fate], getattr(totals, name))
    yield packets
    samples = CounterMetricFamily(
        f"{PREFIX}_made_up_samples", "At 48 kHz, in the place of what was lost.", labels=["from"]
    )
    samples.add_metric(["concealment"], totals.concealed_samples)
    samples.add_metric(["redundancy"], totals.recovered_samples)
    yield samples


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram, bounds: Sequence[float]) -> None:
    """Each bucket is counted by itself; Prometheus wants them summed up to each bound."""
    running, buckets = 0, []
    for bound, count in zip([*map(repr, bounds), "+Inf"], histogram.counts, strict=True):
        running += count
        buckets.append((bound, running))
    family.add_metric(labels, buckets=buckets, sum_value=histogram.sum)
