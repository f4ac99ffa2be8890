"""Crowds of events leave at a bounded rate, and the last word is never lost."""

from signalling.effects import Announce
from signalling.events import Reactions, SpeakersChanged, Voice
from signalling.pulse import COUNTS_EVERY_S, MAX_KINDS_OF_REACTION, REACTIONS_EVERY_S, VOICES_EVERY_S, Pulse
from signalling.resources import Counts

NOW_S = 100.0
NOBODY = Counts(speakers=0, listeners=0)


def test_the_first_voice_is_told_at_once_and_the_next_after_a_quarter_of_a_second() -> None:
    pulse = Pulse()
    ada, bob = [Voice("ada", -20)], [Voice("bob", -30)]

    assert list(pulse.on_voices(ada, NOW_S)) == [Announce("speakers.changed", SpeakersChanged(ada))]
    assert list(pulse.on_voices([], NOW_S + 0.01)) == []
    assert list(pulse.on_voices(bob, NOW_S + 0.02)) == []
    assert pulse.wakes_at_s == NOW_S + VOICES_EVERY_S
    assert list(pulse.on_time(NOBODY, NOW_S + VOICES_EVERY_S)) == [Announce("speakers.changed", SpeakersChanged(bob))]
    assert pulse.wakes_at_s is None


def test_silence_is_news_too() -> None:
    assert list(Pulse().on_voices([], NOW_S)) == [Announce("speakers.changed", SpeakersChanged([]))]


def test_reactions_are_added_up() -> None:
    pulse = Pulse()
    assert list(pulse.on_reaction("👏", NOW_S)) == [Announce("reactions", Reactions({"👏": 1}))]
    for _ in range(1000):
        assert list(pulse.on_reaction("👏", NOW_S + 0.5)) == []
    assert list(pulse.on_time(NOBODY, NOW_S + REACTIONS_EVERY_S)) == [Announce("reactions", Reactions({"👏": 1000}))]


def test_a_thousand_kinds_of_reaction_make_one_small_event() -> None:
    pulse = Pulse()
    list(pulse.on_reaction("👏", NOW_S))
    for kind in range(1000):
        list(pulse.on_reaction(chr(0x1F300 + kind), NOW_S))
    (announce,) = pulse.on_time(NOBODY, NOW_S + REACTIONS_EVERY_S)

    assert isinstance(announce.payload, Reactions)
    assert len(announce.payload.counts) == MAX_KINDS_OF_REACTION


def test_counts_that_are_as_before_are_not_told_again() -> None:
    pulse = Pulse()
    pulse.on_counts(NOW_S)
    assert list(pulse.on_time(Counts(speakers=1, listeners=2), NOW_S)) == [
        Announce("counts", Counts(speakers=1, listeners=2))
    ]
    pulse.on_counts(NOW_S + 0.1)

    assert pulse.wakes_at_s == NOW_S + COUNTS_EVERY_S
    assert list(pulse.on_time(Counts(speakers=1, listeners=2), NOW_S + COUNTS_EVERY_S)) == []
    assert pulse.wakes_at_s is None
