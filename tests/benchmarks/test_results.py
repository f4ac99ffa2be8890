"""Figures are computed from what was counted, and compared with the right ceiling."""

import msgspec
import pytest

from benchmarks.compare import compare
from benchmarks.results import Ceiling, Machine, Row, Run, ceiling_for, decode, encode, table

MACHINE = Machine(
    cpu="one", cores=2, kernel="6", python="3.11", commit="abc", is_counted_at_ingress=True
)  # fmt: skip


def row(*, server: str = "Palco", speakers: int = 1, listeners: int = 1000, cpu_s: float = 1.0) -> Row:
    return Row(
        server=server,
        version="1",
        scenario=f"{speakers} x {listeners}",
        speakers=speakers,
        listeners=listeners,
        joined=listeners + speakers,
        failed=0,
        measured_s=8.0,
        sent_packets=400 * speakers,
        delivered_packets=500_000,
        server_cpu_s=cpu_s,
        core_busy_s=cpu_s,
        bytes_per_packet=120.0,
        resident_bytes_idle=50_000_000,
        resident_bytes=80_000_000,
        sample_expected=8000,
        sample_lost=8,
        sample_duplicates=0,
        sample_wrong=0,
        latency_p50_s=0.0002,
        latency_p99_s=0.002,
        latency_max_s=0.003,
        join_p50_s=0.01,
        join_p99_s=0.1,
        first_audio_p99_s=0.2,
        joins_per_s=300.0,
    )


def run(*rows: Row) -> Run:
    ceilings = [
        Ceiling(1000, 1, True, False, 2.9),
        Ceiling(1000, 1, True, False, 3.2, is_paced=True),
        Ceiling(1000, 1, False, False, 2.7, is_paced=True),
        Ceiling(1000, 10, True, False, 2.9),
        Ceiling(1000, 10, True, True, 0.4),
        Ceiling(1000, 10, True, True, 0.6, is_paced=True),
        Ceiling(10_000, 1, True, False, 3.4, is_paced=True),
    ]
    return Run("2026-01-01T00:00:00+00:00", {}, MACHINE, ceilings, list(rows))


def test_cost_loss_load_and_memory_follow_from_what_was_counted() -> None:
    measured = row()
    assert measured.cpu_us_per_packet == pytest.approx(2.0)  # 1 s over 500 000 packets
    assert measured.loss == pytest.approx(0.001)  # 8 of 8000
    assert measured.load == pytest.approx(0.125)  # 1 s of 8
    assert measured.bytes_per_listener == pytest.approx(30_000)  # 30 MB over 1000


def test_what_should_have_arrived_is_counted_space_by_space() -> None:
    assert row(listeners=1250).delivery == pytest.approx(1.0)  # 400 packets to each of 1250
    assert msgspec.structs.replace(row(listeners=2500), spaces=2).delivery == pytest.approx(1.0)


def test_each_row_is_compared_with_the_sealed_ceiling_of_its_shape_and_rhythm() -> None:
    whole = run()
    assert ceiling_for(whole, row()) == Ceiling(1000, 1, True, False, 3.2, is_paced=True)
    assert ceiling_for(whole, row(listeners=8000)) == Ceiling(10_000, 1, True, False, 3.4, is_paced=True)
    assert ceiling_for(whole, row(speakers=10)) == Ceiling(1000, 10, True, True, 0.4)
    assert ceiling_for(whole, row(speakers=2)) is None


def test_a_run_survives_its_file() -> None:
    whole = run(row(), row(speakers=10))
    assert decode(encode(whole)) == whole


def test_the_table_names_every_row_and_its_distance_to_the_ceiling() -> None:
    text = table(run(row()))
    assert "| Palco | 1 x 1000 | 1001 | 2.00 | 0.62 |" in text


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((1.0, 1.02), (1.01, 1.03), "noise"),
        ((1.0, 1.0), (1.2, 1.2), "slower"),
        ((1.0, 1.0), (0.8, 0.8), "faster"),
        ((1.0, 1.4), (1.2, 1.6), "noise"),  # 0.2 apart, but each pair spreads by 0.2 either way
    ],
)
def test_a_difference_within_the_spread_of_the_repeats_is_noise(
    old: tuple[float, ...], new: tuple[float, ...], verdict: str
) -> None:
    before, after = (run(*(row(cpu_s=cpu_s) for cpu_s in costs)) for costs in (old, new))
    assert compare(before, after).splitlines()[-1].endswith(f"| {verdict} |")


def test_a_row_without_packets_has_no_cost_and_is_not_compared() -> None:
    silent = msgspec.structs.replace(row(), delivered_packets=0)
    assert silent.cpu_us_per_packet != silent.cpu_us_per_packet  # NaN
    assert compare(run(silent), run(row())).count("\n") == 1
