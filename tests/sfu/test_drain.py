"""The way to the end: nobody new, those who are in as long as they like, the deadline, the second signal."""

from sfu.drain import Drain


def test_nothing_ends_before_a_signal() -> None:
    assert not Drain(deadline_s=60).is_over(sessions=0, now_s=1e9)


def test_an_empty_server_ends_at_once() -> None:
    drain = Drain(deadline_s=60)
    drain.on_signal(100.0)
    assert drain.is_over(sessions=0, now_s=100.0)


def test_who_is_in_may_stay_until_the_deadline() -> None:
    drain = Drain(deadline_s=60)
    drain.on_signal(100.0)
    assert not drain.is_over(sessions=1, now_s=159.9)
    assert drain.is_over(sessions=1, now_s=160.0)


def test_it_ends_when_the_last_has_gone() -> None:
    drain = Drain(deadline_s=60)
    drain.on_signal(100.0)
    assert [drain.is_over(sessions=left, now_s=110.0) for left in (2, 1, 0)] == [False, False, True]


def test_the_second_signal_ends_it_and_moves_no_deadline() -> None:
    drain = Drain(deadline_s=60)
    drain.on_signal(100.0)
    drain.on_signal(130.0)
    assert drain.ends_at_s == 160.0
    assert drain.is_over(sessions=9, now_s=130.0)


def test_a_deadline_of_nothing_waits_for_nobody() -> None:
    drain = Drain(deadline_s=0)
    drain.on_signal(100.0)
    assert drain.is_over(sessions=9, now_s=100.0)
