"""What waits is put together, and never more leaves in a second than was promised."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.events import (
    Caption,
    Invitation,
    Left,
    LinksChanged,
    Nothing,
    ParticipantsChanged,
    Payload,
    Reactions,
    You,
)
from signalling.pacing import COST_SHARE, MAX_PEOPLE, MOST_PER_S, PERSONAL_EVERY_S, SHARED_AT_ONCE, TICK_S, Pacer, Told
from signalling.resources import Counts, ParticipantResource

NOW_S = 100.0


def person(identity: str, *, is_muted: bool = False) -> ParticipantResource:
    return ParticipantResource(
        identity=identity,
        name=identity.title(),
        role="speaker",
        is_muted=is_muted,
        is_connected=True,
        has_raised_hand=False,
        joined_at="2026-11-21T17:00:00.000Z",
    )


def take_all_in_time(pacer: Pacer, now_s: float) -> list[tuple[float, Told]]:
    """Until nothing waits, whenever it says that there is something."""
    taken = []
    while (due_s := pacer.wakes_at_s) is not None:
        now_s = max(now_s, due_s)
        taken += [(now_s, told) for told in pacer.take(now_s)]
    return taken


def test_the_first_event_after_a_pause_waits_for_nothing() -> None:
    pacer = Pacer()
    pacer.put("counts", Counts(speakers=1, listeners=2))
    assert pacer.take(NOW_S) == [Told("counts", Counts(speakers=1, listeners=2))]
    pacer.put("counts", Counts(speakers=1, listeners=3))
    assert pacer.take(NOW_S + 0.01) == []
    assert pacer.wakes_at_s == NOW_S + TICK_S


def test_of_what_is_superseded_only_the_last_is_told() -> None:
    pacer = Pacer()
    for listeners in range(5):
        pacer.put("counts", Counts(speakers=1, listeners=listeners))
    pacer.put("links.changed", LinksChanged([]))
    assert pacer.take(NOW_S) == [
        Told("counts", Counts(speakers=1, listeners=4)),
        Told("links.changed", LinksChanged([])),
    ]


def test_what_adds_up_is_added_up() -> None:
    pacer = Pacer()
    pacer.put("reactions", Reactions({"👏": 2, "❤️": 1}))
    pacer.put("reactions", Reactions({"👏": 3}))
    assert pacer.take(NOW_S) == [Told("reactions", Reactions({"👏": 5, "❤️": 1}))]


def test_one_person_is_told_as_one_and_several_as_several() -> None:
    pacer = Pacer()
    pacer.put("participant.joined", person("bob"))
    pacer.put("participant.changed", person("bob", is_muted=True))
    assert pacer.take(NOW_S) == [Told("participant.joined", person("bob", is_muted=True))]

    pacer.put("participant.changed", person("bob"))
    pacer.put("participant.left", Left("cleo"))
    pacer.put("participant.joined", person("dan"))
    (told,) = pacer.take(NOW_S + 1)
    assert told == Told("participants.changed", ParticipantsChanged([person("bob"), person("dan")], ["cleo"]))


def test_a_crowd_is_told_in_messages_of_bounded_size() -> None:
    pacer = Pacer()
    for number in range(MAX_PEOPLE * 2 + 1):
        pacer.put("participant.changed", person(f"p{number}"))
    taken = [told for _, told in take_all_in_time(pacer, NOW_S)]
    sizes = [len(told.payload.participants) for told in taken if isinstance(told.payload, ParticipantsChanged)]
    assert sizes == [MAX_PEOPLE, MAX_PEOPLE]
    assert taken[-1] == Told("participant.changed", person(f"p{MAX_PEOPLE * 2}"))


def line(text: str, *, is_final: bool, identity: str = "ada") -> Caption:
    return Caption(identity=identity, text=text, is_final=is_final)


def test_a_line_on_the_way_gives_way_to_the_next_and_a_final_one_to_none() -> None:
    pacer = Pacer()
    lines = [line("We", is_final=False), line("Welcome", is_final=False), line("Welcome.", is_final=True)]
    for each in [*lines, line("So", is_final=False), line("Hi", is_final=False, identity="bob")]:
        pacer.put("caption", each)
    told = [told.payload for _, told in take_all_in_time(pacer, NOW_S)]
    assert told == [lines[2], line("So", is_final=False), line("Hi", is_final=False, identity="bob")]


def test_what_concerns_one_is_kept_apart_from_what_concerns_all() -> None:
    pacer = Pacer()
    pacer.put_for("bob", "you.invited", Nothing())
    pacer.put_for("bob", "you.changed", You(identity="bob", role="speaker", is_muted=False))
    pacer.put_for("cleo", "you.invited", Nothing())
    first = pacer.take(NOW_S)
    assert [(told.identity, told.type) for told in first] == [("bob", "you.invited"), ("cleo", "you.invited")]
    assert [told.type for told in pacer.take_for("bob")] == ["you.changed"]
    assert pacer.wakes_at_s is None


def test_a_burst_leaves_at_once_as_far_as_it_may_and_the_rest_at_the_rate() -> None:
    pacer = Pacer()
    for number in range(SHARED_AT_ONCE + 3):
        pacer.put("caption", line(str(number), is_final=True))
    times_s = [at_s - NOW_S for at_s, _ in take_all_in_time(pacer, NOW_S)]
    assert times_s[:SHARED_AT_ONCE] == [0.0] * SHARED_AT_ONCE
    assert times_s[SHARED_AT_ONCE:] == pytest.approx([0.1, 0.2, 0.2], abs=0.01)  # 16 a second: one, then two


def test_what_concerns_one_alone_has_a_rate_of_its_own() -> None:
    pacer = Pacer()
    pacer.put_for("bob", "you.invited", Invitation("speaker"))
    pacer.take(NOW_S)
    pacer.put_for("bob", "you.hand_declined", Nothing())
    assert pacer.wakes_at_s == NOW_S + PERSONAL_EVERY_S
    pacer.put("counts", Counts(speakers=0, listeners=1))
    assert [told.type for told in pacer.take(NOW_S + TICK_S)] == ["counts"]
    assert [told.type for told in pacer.take(NOW_S + PERSONAL_EVERY_S)] == ["you.hand_declined"]


def test_a_tick_that_took_long_is_followed_later() -> None:
    pacer = Pacer()
    pacer.put("counts", Counts(speakers=0, listeners=1))
    pacer.take(NOW_S)
    pacer.on_sent(NOW_S, 0.2)
    pacer.put("counts", Counts(speakers=0, listeners=2))
    assert pacer.wakes_at_s == NOW_S + 0.2 * COST_SHARE


def test_at_the_end_nothing_is_held_back() -> None:
    pacer = Pacer()
    pacer.put("counts", Counts(speakers=0, listeners=1))
    pacer.take(NOW_S)
    for number in range(MAX_PEOPLE + 5):
        pacer.put("participant.left", Left(f"p{number}"))
    for number in range(7):
        pacer.put("caption", line(str(number), is_final=True))
    pacer.put_for("bob", "you.invited", Nothing())
    pacer.put_for("bob", "you.removed", Nothing())
    told = pacer.take_all()
    assert len(told) == 1 + 7 + 2
    assert pacer.wakes_at_s is None


EVENTS = st.one_of(
    st.builds(lambda listeners: ("counts", Counts(speakers=0, listeners=listeners)), st.integers(0, 9)),
    st.builds(lambda who: ("participant.changed", person(who)), st.sampled_from("abcdefgh")),
    st.builds(lambda who: ("participant.left", Left(who)), st.sampled_from("abcdefgh")),
    st.builds(lambda text: ("caption", line(text, is_final=True)), st.sampled_from("xyz")),
    st.builds(lambda text: ("caption", line(text, is_final=False)), st.sampled_from("xyz")),
    st.builds(lambda count: ("reactions", Reactions({"👏": count})), st.integers(1, 5)),
    st.builds(lambda who: ("you.changed", You(identity=who, role="speaker", is_muted=False)), st.sampled_from("ab")),
)


@given(st.lists(st.tuples(st.floats(0, 0.2), EVENTS), max_size=200))
def test_nobody_is_sent_more_than_was_promised_and_no_sum_is_lost(
    happening: Sequence[tuple[float, tuple[str, Payload]]],
) -> None:
    pacer = Pacer()
    now_s = NOW_S
    sent: list[tuple[float, Told]] = []
    reactions = finals = 0
    for gap_s, (event, payload) in happening:
        now_s += gap_s
        sent += [(now_s, told) for told in pacer.take(now_s)]
        if isinstance(payload, You):
            pacer.put_for(payload.identity, "you.changed", payload)
        else:
            pacer.put(event, payload)  # type: ignore[arg-type]
        reactions += sum(payload.counts.values()) if isinstance(payload, Reactions) else 0
        finals += isinstance(payload, Caption) and payload.is_final
    sent += take_all_in_time(pacer, now_s)

    told = [each.payload for _, each in sent]
    assert sum(sum(payload.counts.values()) for payload in told if isinstance(payload, Reactions)) == reactions
    assert sum(isinstance(payload, Caption) and payload.is_final for payload in told) == finals
    for identity in "ab":
        times_s = [at_s for at_s, each in sent if each.identity in {None, identity}]
        for at_s in times_s:
            assert sum(at_s <= other_s < at_s + 1.0 for other_s in times_s) <= MOST_PER_S
