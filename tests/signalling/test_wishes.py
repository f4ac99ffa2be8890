"""What a host asks of a space: every rule at its edge."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import UNSET

from sfu.contract.config import Spaces
from signalling.errors import CommandError
from signalling.records import SpaceRecord
from signalling.resources import CreateSpace, EditSpace
from signalling.wishes import DAY_S, changes_of, record_of, title_of

NOW_S = 1_800_000_000.0
RULES = Spaces()


def made(**wish: Any) -> SpaceRecord:
    wanted = CreateSpace(**{"title": "Town hall", **wish})
    return record_of(wanted, RULES, space="hall", host="ada", host_name="Ada", now_s=NOW_S)


def refusal(**wish: Any) -> str:
    with pytest.raises(CommandError) as refused:
        made(**wish)
    return refused.value.code


def at(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat()


def test_a_space_begins_now_unless_it_is_scheduled() -> None:
    assert (made().state, made().started_at_s) == ("live", NOW_S)
    later = made(starts_at=at(NOW_S + 60))
    assert (later.state, later.starts_at_s, later.started_at_s) == ("scheduled", NOW_S + 60, None)


@pytest.mark.parametrize(("length", "is_taken"), [(1, True), (70, True), (71, False)])
def test_a_title_has_seventy_characters_when_it_is_trimmed(length: int, is_taken: bool) -> None:
    typed = "  " + "\N{MICROPHONE}" * length + "\t"
    if is_taken:
        assert title_of(typed) == "\N{MICROPHONE}" * length
    else:
        assert refusal(title=typed) == "title_too_long"


def test_fourteen_days_ahead_and_no_more() -> None:
    assert made(starts_at=at(NOW_S + 14 * DAY_S)).state == "scheduled"
    assert refusal(starts_at=at(NOW_S + 14 * DAY_S + 1)) == "starts_too_late"
    assert refusal(starts_at=at(NOW_S - 61)) == "starts_in_the_past"
    assert made(starts_at=at(NOW_S - 59)).state == "scheduled"  # it was now when it was written


@pytest.mark.parametrize("typed", ["", "now", "2027-01-31", "2027-01-31T18:00:00", "9999-12-31T23:59:59.9Zulu", "1e9"])
def test_a_time_without_its_zone_is_no_moment(typed: str) -> None:
    assert refusal(starts_at=typed) == "bad_time"


@pytest.mark.parametrize(
    "tag", ["en", "pt-BR", "zh-Hant-TW", "de-1996", "sr-Latn-RS", "es-419", "x" * 36, "en_US", "e", "-"]
)
def test_a_language_is_a_well_formed_tag(tag: str) -> None:
    if tag in {"x" * 36, "en_US", "e", "-"}:
        assert refusal(language=tag) == "bad_language"
    else:
        assert made(language=tag).language == tag


def test_topics_are_the_operators_written_as_he_wrote_them_and_named_once() -> None:
    assert made(topics=["MUSIC", " music ", "news"]).topics == ["music", "news"]
    assert refusal(topics=["alchemy"]) == "unknown_topic"
    assert refusal(topics=["arts", "books", "music", "news"]) == "too_many_topics"


def test_thirteen_are_on_stage_at_most() -> None:
    assert made(max_speakers=10).max_on_stage == 13
    assert refusal(max_speakers=11) == "bad_request"


def test_what_an_edit_leaves_out_stays() -> None:
    record = made(topics=["news"], language="en")
    assert changes_of(EditSpace(), record, RULES, NOW_S) == {}
    assert EditSpace().title is UNSET
    assert changes_of(EditSpace(title=" New ", language=None), record, RULES, NOW_S) == {
        "title": "New",
        "language": None,
    }
