"""A flood of lines is told by its beginning and by a number."""

from sfu.contract.log_limit import BURST_LINES, LINES_PER_S, LineLimit


def test_a_flood_leaves_its_first_lines_and_a_count() -> None:
    limit = LineLimit()
    admitted = [limit.admit("join_refused", 0.0) for _ in range(BURST_LINES + 500)]
    assert admitted == [0] * BURST_LINES + [None] * 500
    assert limit.admit("join_refused", 1 / LINES_PER_S) == 500
    assert limit.admit("join_refused", 2 / LINES_PER_S) == 0


def test_one_kind_does_not_silence_another() -> None:
    limit = LineLimit()
    for _ in range(BURST_LINES + 1):
        limit.admit("join_refused", 0.0)
    assert limit.admit("handshake failed", 0.0) == 0


def test_what_comes_slowly_is_never_left_out() -> None:
    limit = LineLimit()
    assert {limit.admit("left", number / LINES_PER_S) for number in range(BURST_LINES * 3)} == {0}


def test_a_clock_that_goes_back_gives_nothing() -> None:
    limit = LineLimit()
    for _ in range(BURST_LINES):
        limit.admit("left", 100.0)
    assert limit.admit("left", 0.0) is None
