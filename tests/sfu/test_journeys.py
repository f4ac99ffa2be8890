"""The steps of a join, each once and in order, and nobody is remembered who has arrived or gone."""

import pytest

from sfu.journeys import Journeys, Step


@pytest.fixture
def journeys() -> Journeys:
    journeys = Journeys()
    journeys.on_opened("ana", trace="t", speaks=True, now_s=10.0)
    journeys.on_opened("bob", trace="", speaks=False, now_s=10.0)
    return journeys


def test_a_speaker_is_on_the_way_until_the_first_packet(journeys: Journeys) -> None:
    assert journeys.on_reached("ana", 10.5) == Step("ice", "ana", "t", 10.0, 10.5)
    assert journeys.on_secured("ana", 11.0) == Step("dtls", "ana", "t", 10.5, 11.0)
    assert journeys.on_heard("ana", 13.0) == Step("first_packet", "ana", "t", 11.0, 13.0)
    assert len(journeys) == 1


def test_a_listener_has_arrived_when_the_keys_are_there(journeys: Journeys) -> None:
    journeys.on_reached("bob", 10.5)
    assert journeys.on_secured("bob", 11.0) == Step("dtls", "bob", "", 10.5, 11.0)
    assert journeys.on_heard("bob", 12.0) is None
    assert len(journeys) == 1


def test_a_move_to_another_address_is_no_second_step(journeys: Journeys) -> None:
    journeys.on_reached("ana", 10.5)
    assert journeys.on_reached("ana", 10.6) is None


def test_what_comes_before_its_time_completes_nothing(journeys: Journeys) -> None:
    assert journeys.on_secured("ana", 10.1) is None
    assert journeys.on_heard("ana", 10.2) is None


def test_a_command_said_twice_does_not_begin_anew(journeys: Journeys) -> None:
    journeys.on_opened("ana", trace="other", speaks=True, now_s=12.0)
    assert journeys.on_reached("ana", 13.0) == Step("ice", "ana", "t", 10.0, 13.0)


def test_who_leaves_on_the_way_is_forgotten(journeys: Journeys) -> None:
    for session in ("ana", "bob", "stranger"):
        journeys.on_gone(session)
    assert len(journeys) == 0
    assert journeys.on_reached("ana", 11.0) is None
