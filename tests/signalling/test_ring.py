"""A stream that broke off goes on without a loss or a repetition, or is told to begin afresh."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.errors import PeerError
from signalling.ring import Cursor, Kept, Ring, parse_cursor


def filled(identities: Sequence[str | None], *, max_events: int = 512, max_bytes: int = 1 << 20) -> Ring:
    ring = Ring("e1", max_events=max_events, max_bytes=max_bytes)
    for seq, identity in enumerate(identities, start=1):
        ring.append(Kept(seq, "counts", b"x" * 10, identity))
    return ring


def numbers(events: Sequence[Kept] | None) -> list[int] | None:
    return None if events is None else [event.seq for event in events]


def test_what_was_missed_is_repeated_in_order() -> None:
    assert numbers(filled([None] * 5).since(2, "bob")) == [3, 4, 5]


def test_who_has_missed_nothing_is_repeated_nothing() -> None:
    assert numbers(filled([None] * 5).since(5, "bob")) == []
    assert numbers(filled([]).since(0, "bob")) == []


def test_what_was_told_to_others_alone_is_not_repeated() -> None:
    ring = filled([None, "bob", "cleo", None])
    assert numbers(ring.since(0, "bob")) == [1, 2, 4]
    assert numbers(ring.since(0, "cleo")) == [1, 3, 4]


def test_a_gap_is_no_basis_to_go_on() -> None:
    ring = filled([None] * 10, max_events=4)
    assert numbers(ring.since(6, "bob")) == [7, 8, 9, 10]
    assert ring.since(5, "bob") is None


def test_a_number_of_the_future_is_not_ours() -> None:
    assert filled([None] * 3).since(4, "bob") is None


def test_the_ring_is_bounded_in_bytes() -> None:
    ring = filled([None] * 100, max_bytes=95)
    assert numbers(ring.since(91, "bob")) == list(range(92, 101))
    assert ring.since(90, "bob") is None


def test_a_cursor_of_another_process_begins_afresh() -> None:
    ring = filled([None] * 3)
    assert numbers(ring.resume(Cursor("e1", 1), "bob")) == [2, 3]
    assert ring.resume(Cursor("e0", 1), "bob") is None


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert parse_cursor("3f9a1c0d-1042") == Cursor("3f9a1c0d", 1042)
    assert str(parse_cursor("3f9a1c0d-0")) == "3f9a1c0d-0"


NONE = ["", "1042", "-1", "E1-1", "e1-01", "e1-", "e1--1", "e1-1 ", "e1-\u0661", "e1-" + "9" * 17]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(PeerError, match="bad_request"):
        parse_cursor(text)


@given(st.lists(st.sampled_from([None, "bob", "cleo"]), max_size=60), st.integers(1, 20), st.data())
def test_a_reader_who_breaks_off_anywhere_sees_each_event_of_his_once(
    told: list[str | None], max_events: int, data: st.DataObject
) -> None:
    """However often it breaks off: snapshots count for all up to their number, everything else for itself."""
    ring = Ring("e1", max_events=max_events)
    mine = [seq for seq, identity in enumerate(told, start=1) if identity in {None, "bob"}]
    seen: list[int] = []
    at = 0
    for seq, identity in enumerate(told, start=1):
        ring.append(Kept(seq, "counts", b"{}", identity))
        if data.draw(st.booleans(), label=f"reads on after {seq}"):
            missed = ring.since(at, "bob")
            if missed is None:  # a snapshot: it stands for everything until now
                seen = [number for number in mine if number <= ring.last]
            else:
                seen += [event.seq for event in missed]
            at = ring.last
            assert seen == [number for number in mine if number <= at]
