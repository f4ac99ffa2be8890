"""The webhook queue: the order within a space, who waits for whom, and when what failed is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from signalling.webhook_queue import (
    FIRST_RETRY_S,
    LAST_RETRY_S,
    MAX_AT_ONCE,
    GiveUp,
    Pending,
    Retry,
    WebhookQueue,
    pause_s,
)

APP = "https://app.example/hook"
LOG = "https://log.example/hook"


def queue(*pending: Pending, max_attempts: int = 5) -> WebhookQueue:
    made = WebhookQueue(max_attempts=max_attempts)
    made.on_stored(pending)
    return made


def numbers(made: WebhookQueue, now_s: float = 0.0) -> list[int]:
    return [send.number for send in made.due(now_s)]


def test_within_a_space_the_next_is_sent_when_the_one_before_it_has_arrived() -> None:
    made = queue(Pending(1, APP, "hall"), Pending(2, APP, "hall"))

    assert numbers(made) == [1]
    assert numbers(made) == []
    made.on_delivered(1)
    assert numbers(made) == [2]


def test_a_failure_holds_up_its_own_space_and_no_other() -> None:
    made = queue(Pending(1, APP, "hall"), Pending(2, APP, "hall"), Pending(3, APP, "attic"))
    assert numbers(made) == [1, 3]

    retry = made.on_failed(1, 0.0, jitter=0.0)
    made.on_delivered(3)

    assert retry == Retry(1, 1, FIRST_RETRY_S)
    assert made.wakes_at_s == FIRST_RETRY_S
    assert numbers(made, FIRST_RETRY_S - 0.01) == []
    assert numbers(made, FIRST_RETRY_S) == [1]


def test_a_url_that_is_down_holds_up_no_other() -> None:
    made = queue(Pending(1, APP, "hall"), Pending(2, LOG, "hall"), Pending(3, LOG, "hall"))
    numbers(made)
    made.on_failed(1, 0.0, jitter=0.0)
    made.on_delivered(2)

    assert numbers(made) == [3]


def test_one_url_takes_only_so_many_at_once() -> None:
    made = queue(*(Pending(number, APP, f"space {number}") for number in range(1, 8)))

    assert numbers(made) == [1, 2, 3, 4][:MAX_AT_ONCE]
    wakes_at_s = made.wakes_at_s
    assert wakes_at_s is None, "nothing to wake for before one of them is back"
    made.on_delivered(2)
    assert made.wakes_at_s == 0.0
    assert numbers(made) == [5]


def test_after_the_last_attempt_it_is_given_up_and_the_lane_goes_on() -> None:
    made = queue(Pending(1, APP, "hall", attempts=4), Pending(2, APP, "hall"))
    numbers(made)

    assert made.on_failed(1, 0.0, jitter=0.0) == GiveUp(1, 5)
    assert numbers(made) == [2]
    made.on_delivered(2)
    assert len(made) == 0


def test_what_was_kept_goes_on_where_it_stood() -> None:
    made = queue(Pending(7, APP, "hall", attempts=3, due_at_s=40.0))

    assert numbers(made, 39.0) == []
    [send] = made.due(40.0)
    assert send.attempt == 4


def test_what_is_forgotten_is_neither_sent_nor_repeated() -> None:
    made = queue(Pending(1, APP, "hall"), Pending(2, APP, "hall"), Pending(3, APP, "hall"))
    numbers(made)
    made.forget([1, 2])

    assert isinstance(made.on_failed(1, 0.0, jitter=0.0), GiveUp)
    assert numbers(made) == [3]
    made.on_delivered(3)
    assert len(made) == 0


def test_the_pause_doubles_to_a_quarter_of_an_hour_and_jitter_takes_up_to_half() -> None:
    assert [pause_s(attempts, jitter=0.0) for attempts in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert pause_s(60, jitter=0.0) == LAST_RETRY_S
    assert pause_s(3, jitter=0.5) == 3.0


@given(attempts=st.integers(1, 1000), jitter=st.floats(0.0, 1.0, exclude_max=True))
def test_a_pause_is_never_nothing_and_never_for_ever(attempts: int, jitter: float) -> None:
    assert FIRST_RETRY_S / 2 <= pause_s(attempts, jitter=jitter) <= LAST_RETRY_S


@given(data=st.data())
def test_whatever_fails_each_space_is_told_in_its_order_and_everything_ends(data: st.DataObject) -> None:
    made = WebhookQueue(max_attempts=3)
    lanes = st.tuples(st.sampled_from([APP, LOG]), st.sampled_from(["hall", "attic", "cellar"]))
    stored = [Pending(number, *data.draw(lanes)) for number in range(data.draw(st.integers(0, 20)))]
    made.on_stored(stored)
    settled: list[int] = []
    in_flight: list[int] = []
    now_s = 0.0
    while len(made):
        in_flight += numbers(made, now_s)
        if not in_flight:
            assert made.wakes_at_s is not None
            assert made.wakes_at_s > now_s
            now_s = made.wakes_at_s
            continue
        number = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
        if data.draw(st.booleans()):
            made.on_delivered(number)
            settled.append(number)
        elif isinstance(made.on_failed(number, now_s, jitter=0.25), GiveUp):
            settled.append(number)

    assert sorted(settled) == [pending.number for pending in stored]
    for lane in {(pending.url, pending.space) for pending in stored}:
        mine = [pending.number for pending in stored if (pending.url, pending.space) == lane]
        assert [number for number in settled if number in mine] == mine
