"""What the benchmarks of signalling make of what they counted."""

import pytest

from benchmarks.events import Phase, percentile, summary
from benchmarks.subscribers import Counts, report


def phase(name: str, *, stalled: int = 0, delay_ms: float = 100.0, resident: int = 0, kernel: int = 0) -> Phase:
    return Phase(
        name=name,
        streams=10,
        stalled=stalled,
        measured_s=1.0,
        messages_per_s=1.0,
        writes_per_s=1.0,
        bytes_per_s=1.0,
        snapshots=0,
        closed=0,
        delay_p50_ms=delay_ms,
        delay_p99_ms=2 * delay_ms,
        delay_max_ms=3 * delay_ms,
        signalling_cores=0.5,
        load_cores=0.5,
        resident_bytes=resident,
        kernel_bytes=kernel,
    )


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == expected


def test_what_the_stalled_cost_is_told_next_to_the_run_without_them() -> None:
    alone = phase("busiest stage", resident=1000, kernel=500)
    beside = phase("busiest stage, with stalled readers", stalled=10, delay_ms=110.0, resident=3000, kernel=1500)
    run = summary("now", {}, [phase("usual stage"), alone, beside])
    assert run.stalled_resident_bytes_each == 200
    assert run.stalled_kernel_bytes_each == 100
    assert run.stalled_delay_ratio_p99 == pytest.approx(1.1)


def test_without_them_nothing_is_claimed() -> None:
    assert summary("now", {}, [phase("busiest stage")]).stalled_delay_ratio_p50 is None


def test_delays_are_sorted_and_thinned() -> None:
    counts = Counts()
    counts.delays_ms.extend(float(number % 1000) for number in range(50_000))
    told = report(counts).delays_ms
    assert told == sorted(told)
    assert 20_000 <= len(told) <= 30_000
