"""Cursors: handed back unchanged they lead on; whatever else comes is refused, not guessed at."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.cursors import KeyText, Number, build_cursor, parse_cursor
from signalling.errors import PeerError


@given(st.tuples(st.integers(0, 3), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=128)))
def test_a_cursor_leads_back_to_its_key(key: tuple[int, float, str]) -> None:
    assert parse_cursor(build_cursor(key), tuple[int, float, str]) == key


def test_no_cursor_is_the_first_page() -> None:
    assert parse_cursor("", Number) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "%%%",
        "=",
        "a",
        "ä",
        build_cursor(["1", 2]),
        build_cursor({}),
        build_cursor(-1),
        build_cursor(2**63),
        build_cursor(1.5),
        build_cursor(None),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(PeerError) as refusal:
        parse_cursor(cursor, Number)
    assert refusal.value.code == "bad_cursor"


def test_a_key_that_no_database_can_hold_is_refused() -> None:
    with pytest.raises(PeerError):
        parse_cursor(build_cursor("a\x00b"), KeyText)


@given(st.text(max_size=80))
def test_noise_is_refused_or_understood_but_never_a_fault(cursor: str) -> None:
    key = None
    with suppress(PeerError):
        key = parse_cursor(cursor, Number)
    assert key is None or 0 <= key < 2**63
