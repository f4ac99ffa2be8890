"""The wait that is long enough for nearly all packets, and no longer."""

import random

import pytest

from sfu.audio.arrivals import LEAST_WAIT_S, MOST_WAIT_S, Arrivals

FRAME = 960


def feed(arrivals: Arrivals, delays_s: list[float], *, first: int = 0, ppm: float = 0.0) -> list[float]:
    """Packets of 20 ms, each with an extra delay; by a clock that is `ppm` fast."""
    rate_hz = 48_000 * (1 + ppm * 1e-6)
    return [
        arrivals.on_packet((first + at) * FRAME, (first + at) * FRAME / rate_hz + delay_s)
        for at, delay_s in enumerate(delays_s)
    ]


def test_without_jitter_the_wait_comes_down_to_the_least() -> None:
    arrivals = Arrivals()
    feed(arrivals, [0.05] * 500)
    assert arrivals.wait_s == LEAST_WAIT_S


def test_a_delay_is_measured_against_the_fastest_of_late() -> None:
    arrivals = Arrivals()
    assert feed(arrivals, [0.050, 0.040, 0.045])[1:] == pytest.approx([0.0, 0.005])


@pytest.mark.parametrize("scale_s", [0.003, 0.006, 0.010])
def test_the_wait_covers_99_of_100_packets(scale_s: float) -> None:
    chance = random.Random(1)
    arrivals = Arrivals()
    feed(arrivals, [chance.expovariate(1 / scale_s) for _ in range(1000)])
    # The 99th percentile of an exponential distribution is scale x ln(100) = 4.6 scale; the estimate rests on the last
    # 250 packets or so, hence on two or three beyond it: within a factor of 1.6, plus guard (3 ms) and bin (2 ms).
    assert 4.6 * scale_s / 1.6 < arrivals.wait_s < 4.6 * scale_s * 1.6 + 0.005


def test_it_grows_within_a_second_and_shrinks_within_twenty() -> None:
    chance = random.Random(2)
    arrivals = Arrivals()
    feed(arrivals, [0.0] * 500)
    feed(arrivals, [chance.choice([0.0, 0.060]) for _ in range(50)], first=500)
    assert arrivals.wait_s > 0.060
    feed(arrivals, [0.0] * 1000, first=550)
    assert arrivals.wait_s == LEAST_WAIT_S


def test_it_never_exceeds_the_most() -> None:
    chance = random.Random(3)
    arrivals = Arrivals()
    feed(arrivals, [chance.random() for _ in range(300)])
    assert arrivals.wait_s == MOST_WAIT_S


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_a_drifting_clock_is_no_jitter(ppm: float) -> None:
    arrivals = Arrivals()
    feed(arrivals, [0.0] * 30_000, ppm=ppm)
    assert arrivals.wait_s == LEAST_WAIT_S


def test_a_slower_route_is_the_new_measure_within_four_seconds() -> None:
    arrivals = Arrivals()
    feed(arrivals, [0.0] * 100)
    assert feed(arrivals, [0.080] * 201, first=100)[-1] == 0.0


def test_after_a_long_pause_nothing_old_is_a_measure() -> None:
    arrivals = Arrivals()
    feed(arrivals, [0.0] * 100)
    arrivals.on_packet(100_000 * FRAME, 100_000 * 0.020 + 0.5)
    assert arrivals.on_packet(100_001 * FRAME, 100_001 * 0.020 + 0.5) == pytest.approx(0.0)
