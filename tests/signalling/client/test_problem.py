"""A refusal becomes a sentence that says what to do, and is asked again only when that can help."""

import datetime
import json

import pytest

from signalling.client.problem import MAX_WAIT_S, RefusedError, read_refusal, read_retry_after, retry_wait_s

NOW = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)
PROBLEM = {"content-type": "application/problem+json"}


def refusal(status: int, problem: dict[str, object], **headers: str) -> RefusedError:
    return read_refusal(status, {**PROBLEM, **headers}, json.dumps(problem).encode(), now=NOW)


def test_a_problem_is_told_with_its_code_and_a_remedy() -> None:
    error = refusal(409, {"code": "stage_full", "detail": "Ten people are on stage."})
    assert str(error).startswith("Ten people are on stage (409 stage_full): wait for a speaker to leave, or ask")


def test_a_missing_permission_is_named() -> None:
    assert "missing permission: canPublish" in str(refusal(403, {"code": "x", "missing_permission": "canPublish"}))


def test_the_section_of_a_bad_offer_is_named() -> None:
    assert "section m=video 1" in str(refusal(422, {"code": "x", "detail": "No video", "section": "m=video 1"}))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff", b'"text"'])
def test_a_server_that_is_not_palco_is_understood_as_far_as_its_status_goes(body: bytes) -> None:
    error = read_refusal(404, PROBLEM, body, now=NOW)
    assert (error.status, error.code) == (404, "unnamed")
    assert "check the space's name" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 12:00:05 GMT", 5.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, now=NOW) == seconds


class TestAskingAgain:
    def test_what_the_server_names_a_time_for_is_asked_again_then(self) -> None:
        error = refusal(409, {"code": "no_publisher"}, **{"retry-after": "3"})
        assert retry_wait_s(error, attempt=0, waited_s=0, patience_s=10) == 3.0

    def test_a_busy_server_is_given_longer_each_time(self) -> None:
        error = refusal(503, {"code": "overloaded"})
        waits = [retry_wait_s(error, attempt=attempt, waited_s=0, patience_s=100) for attempt in range(3)]
        assert waits == [1.0, 2.0, 4.0]

    def test_patience_ends(self) -> None:
        error = refusal(503, {"code": "overloaded"}, **{"retry-after": "3"})
        assert retry_wait_s(error, attempt=3, waited_s=9, patience_s=10) is None

    def test_no_server_makes_a_person_wait_for_an_hour(self) -> None:
        error = refusal(503, {"code": "draining"}, **{"retry-after": "3600"})
        assert retry_wait_s(error, attempt=0, waited_s=0, patience_s=100) == MAX_WAIT_S

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 415, 422])
    def test_what_will_not_pass_by_itself_is_not_asked_again(self, status: int) -> None:
        assert retry_wait_s(refusal(status, {"code": "x"}), attempt=0, waited_s=0, patience_s=100) is None
