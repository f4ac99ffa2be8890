"""How much audio a packet carries, by the size of the audience and by what a client takes."""

import pytest

from sfu.packing import Packing, bounded_ms

AUTO = Packing(packet_ms="auto", large_audience=100)


@pytest.mark.parametrize("packet_ms", [20, 40, 60])
def test_a_number_holds_whatever_the_audience(packet_ms: int) -> None:
    packing = Packing(packet_ms=packet_ms, large_audience=100)  # type: ignore[arg-type]
    assert [packing.choose(listening, current_ms=20) for listening in (0, 100_000)] == [packet_ms, packet_ms]


def test_auto_packs_from_a_large_audience_on() -> None:
    assert (AUTO.choose(99, current_ms=20), AUTO.choose(100, current_ms=20)) == (20, 60)


def test_auto_unpacks_when_a_tenth_is_gone() -> None:
    assert (AUTO.choose(90, current_ms=60), AUTO.choose(89, current_ms=60)) == (60, 20)


@pytest.mark.parametrize(
    ("wanted_ms", "bounds_ms", "expected_ms"),
    [
        (60, [None, None], 60),
        (60, [], 60),
        (60, [None, 60, 120], 60),
        (60, [59, None], 40),
        (60, [120, 20], 20),
        (40, [60], 40),
        (60, [10], 20),
        (20, [None], 20),
    ],
)
def test_a_packet_is_never_longer_than_any_section_takes(
    wanted_ms: int, bounds_ms: list[int | None], expected_ms: int
) -> None:
    assert bounded_ms(wanted_ms, bounds_ms) == expected_ms
