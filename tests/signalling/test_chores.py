"""Chores: due at once, then every so often, and not as often as they were missed."""

from signalling.chores import Chores


def test_a_chore_is_due_at_once_and_then_every_so_often() -> None:
    chores = Chores({"sweep": 60.0, "remind": 10.0}, now_s=100.0)

    assert chores.on_time(100.0) == ["sweep", "remind"]
    assert chores.wakes_at_s == 110.0
    assert chores.on_time(109.0) == []
    assert chores.on_time(110.0) == ["remind"]


def test_after_a_long_sleep_it_is_done_once() -> None:
    chores = Chores({"sweep": 60.0}, now_s=0.0)
    chores.on_time(0.0)

    assert chores.on_time(10_000.0) == ["sweep"]
    assert chores.on_time(10_001.0) == []


def test_a_chore_can_be_hurried() -> None:
    chores = Chores({"sweep": 60.0}, now_s=0.0)
    chores.on_time(0.0)
    chores.hurry("sweep", 5.0)

    assert chores.wakes_at_s == 5.0
    assert chores.on_time(5.0) == ["sweep"]
