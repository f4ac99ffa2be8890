"""Idempotency keys: what they may be, and when a second request is the first one."""

import pytest

from signalling.errors import CommandError, PeerError
from signalling.idempotency import (
    IN_FLIGHT_FOR_S,
    MAX_KEY_CHARACTERS,
    KeptAnswer,
    check_same,
    fingerprint,
    is_abandoned,
    parse_key,
)


@pytest.mark.parametrize(("header", "key"), [(None, None), ("abc", "abc"), ('"abc"', "abc"), ("  a b ", "a b")])
def test_a_key_is_taken_with_quotes_or_without(header: str | None, key: str | None) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "ä", "a\x00b", "x" * (MAX_KEY_CHARACTERS + 1)])
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(PeerError) as refusal:
        parse_key(header)
    assert refusal.value.code == "bad_request"


def test_method_path_and_body_make_a_request_what_it_is() -> None:
    first = fingerprint("POST", "/v1/spaces", b"{}")
    others = [("PUT", "/v1/spaces", b"{}"), ("POST", "/v1/spaces/x", b"{}"), ("POST", "/v1/spaces", b"{ }")]
    assert first == fingerprint("POST", "/v1/spaces", b"{}")
    assert all(fingerprint(*other) != first for other in others)


def test_another_request_with_the_same_key_is_refused_also_while_the_first_is_in_flight() -> None:
    kept = KeptAnswer(fingerprint="one", state="in_flight", at_s=0.0)
    with pytest.raises(CommandError) as refusal:
        check_same(kept, "two")
    assert refusal.value.code == "idempotency_key_reused"
    with pytest.raises(CommandError) as refusal:
        check_same(kept, "one")
    assert refusal.value.code == "idempotency_key_in_flight"


def test_a_call_that_never_ended_may_be_made_again_after_a_minute() -> None:
    kept = KeptAnswer(fingerprint="one", state="in_flight", at_s=100.0)
    assert not is_abandoned(kept, 100.0 + IN_FLIGHT_FOR_S - 1)
    assert is_abandoned(kept, 100.0 + IN_FLIGHT_FOR_S)
    done = KeptAnswer(fingerprint="one", state="done", at_s=100.0)
    assert not is_abandoned(done, 1e9)
