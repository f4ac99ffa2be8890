"""DTLS records (RFC 6347 §4.1): round trips, and what a stranger's datagram may contain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.records import (
    ALERT,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGE_SEQ,
    Record,
    pack,
    parse_records,
    renumber,
    screen,
)


def record(content_type: int, fragment: bytes, *, epoch: int = 0, sequence: int = 0) -> Record:
    number = epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    return Record(bytes([content_type]) + b"\xfe\xfd" + number + len(fragment).to_bytes(2, "big") + fragment)


def fragment(*, length: int, message_seq: int = 0, offset: int = 0, body: bytes = b"") -> bytes:
    head = b"\x01" + length.to_bytes(3, "big") + message_seq.to_bytes(2, "big") + offset.to_bytes(3, "big")
    return head + len(body).to_bytes(3, "big") + body


records = st.builds(
    record,
    st.sampled_from([CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE]),
    st.binary(max_size=300),
    epoch=st.integers(0, 3),
    sequence=st.integers(0, (1 << 48) - 1),
)


@given(st.lists(records, max_size=10), st.integers(50, 1200))
def test_packed_records_parse_back_in_order_and_fit(many: list[Record], limit: int) -> None:
    datagrams = pack(many, max_datagram_bytes=limit)
    assert [r for datagram in datagrams for r in parse_records(datagram)] == many
    for datagram in datagrams:
        assert len(datagram) <= limit or len(list(parse_records(datagram))) == 1


@given(st.lists(records, min_size=1, max_size=3))
def test_a_datagram_cut_anywhere_yields_only_its_whole_records(many: list[Record]) -> None:
    datagram = b"".join(r.octets for r in many)
    for length in range(len(datagram)):
        whole = list(parse_records(datagram[:length]))
        assert whole == many[: len(whole)]
        assert sum(len(r.octets) for r in whole) <= length


@given(records, st.integers(0, (1 << 48) - 1))
def test_renumbering_changes_the_number_alone(one: Record, sequence: int) -> None:
    if one.epoch:
        with pytest.raises(ValueError, match="authenticated"):
            renumber(one, sequence)
        return
    again = renumber(one, sequence)
    assert again.sequence == sequence
    assert (again.content_type, again.epoch, again.fragment) == (one.content_type, 0, one.fragment)


@given(st.binary(max_size=1500))
def test_screening_garbage_never_adds_a_byte(datagram: bytes) -> None:
    assert len(screen(datagram)) <= len(datagram)


def test_alerts_and_application_data_in_the_clear_are_screened_out() -> None:
    kept = record(HANDSHAKE, fragment(length=0))
    stranger = record(ALERT, b"\x02\x28").octets + kept.octets + record(23, b"hello").octets
    assert screen(stranger) == kept.octets


def test_protected_records_pass_the_screen() -> None:
    protected = record(ALERT, bytes(26), epoch=1)
    assert screen(protected.octets) == protected.octets


@pytest.mark.parametrize(
    "boast",
    [
        fragment(length=MAX_MESSAGE_BYTES + 1),
        fragment(length=10, message_seq=MAX_MESSAGE_SEQ + 1),
        fragment(length=10)[:-1],
        fragment(length=4, body=b"good") + fragment(length=0xFFFFFF),
    ],
)
def test_fragments_that_promise_too_much_are_screened_out(boast: bytes) -> None:
    assert screen(record(HANDSHAKE, boast).octets) == b""


def test_fragments_of_zero_length_do_not_hold_up_the_screen() -> None:
    """CVE-2022-29190: a loop over fragments that never advances."""
    many = fragment(length=0) * 90
    assert screen(record(HANDSHAKE, many).octets) == record(HANDSHAKE, many).octets
