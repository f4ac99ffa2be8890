"""Whether one who listens hears voices forwarded or a mix, and what a mixer is asked for."""

import pytest
from msgspec import structs

from sfu.contract.messages import Audience
from sfu.effects import AddMix, CloseMixer, CloseStage, Effect, Follow, FollowMix, OpenMixer, RemoveMix, SetGate
from sfu.packing import Packing
from sfu.space import Space
from tests.sfu.sessions import Kind, open_session, transport

MIX = (AddMix, CloseMixer, Follow, FollowMix, OpenMixer, RemoveMix)


@pytest.fixture
def space() -> Space:
    return make_space("mix")


def make_space(audience: Audience, packing: Packing | None = None) -> Space:
    packing = packing or Packing()
    return Space("lounge", max_speakers=3, max_listening_sessions=2, audience=audience, packing=packing)


def join(
    space: Space, session: str, identity: str, kind: Kind, *, sections: int | None = None, tells_level: bool = True
) -> list[Effect]:
    """What concerns hearing, of the effects."""
    request = open_session(session, identity, kind, sections=sections)
    if not tells_level and request.receive is not None:
        request = structs.replace(request, receive=structs.replace(request.receive, level_extension=0))
    return heard(space.on_session_opened(request, transport(session, slots=len(request.send))))


def heard(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, MIX)]


class TestMixer:
    def test_without_one_who_listens_in_one_section_nobody_needs_it(self, space: Space) -> None:
        assert join(space, "a1", "ana", "whip") == []
        assert join(space, "b1", "ben", "whep", sections=2) == [Follow("b1", "lounge", excluding=None)]

    def test_without_one_who_may_speak_nobody_needs_it(self, space: Space) -> None:
        assert join(space, "b1", "ben", "whep") == [FollowMix("b1", "lounge", without=None)]

    def test_with_both_it_is_opened_whichever_comes_first(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        assert join(space, "b1", "ben", "whep") == [
            OpenMixer("lounge", (("a1", True),)),
            AddMix("lounge", None),
            FollowMix("b1", "lounge", without=None),
        ]
        other = make_space("mix")
        join(other, "b1", "ben", "whep")
        assert join(other, "a1", "ana", "whip") == [OpenMixer("lounge", (("a1", True),)), AddMix("lounge", None)]

    def test_it_is_closed_when_the_last_of_either_is_gone_and_nobody_need_be_told_to_follow_anything(
        self, space: Space
    ) -> None:
        join(space, "a1", "ana", "whip")
        join(space, "b1", "ben", "whep")
        assert heard(space.on_session_gone("b1", "left")) == [CloseMixer("lounge")]
        join(space, "b2", "ben", "whep")
        assert heard(space.on_session_gone("a1", "left")) == [CloseMixer("lounge")]

    def test_a_space_that_ends_closes_it_before_its_stage(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        join(space, "b1", "ben", "whep")
        assert space.on_closed()[-2:] == [CloseMixer("lounge"), CloseStage("lounge")]

    def test_in_a_forwarding_space_nobody_needs_it(self) -> None:
        space = make_space("forward")
        join(space, "a1", "ana", "whip")
        assert join(space, "b1", "ben", "whep") == [Follow("b1", "lounge", excluding=None)]

    def test_but_for_a_voice_that_does_not_say_how_loud_it_is(self) -> None:
        space = make_space("forward")
        assert join(space, "a1", "ana", "whip", tells_level=False) == [OpenMixer("lounge", (("a1", True),))]
        assert join(space, "b1", "ben", "whep") == [Follow("b1", "lounge", excluding=None)]
        assert heard(space.on_muted(["ana"], is_muted=True)) == [CloseMixer("lounge")]


class TestAudience:
    def test_it_is_switched_while_live_for_those_with_one_section(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        join(space, "b1", "ben", "whep")
        join(space, "c1", "cem", "whep", sections=3)
        assert space.on_audience_changed("forward") == [Follow("b1", "lounge", excluding=None), CloseMixer("lounge")]
        assert space.state().audience == "forward"
        assert space.on_audience_changed("mix") == [
            OpenMixer("lounge", (("a1", True),)),
            AddMix("lounge", None),
            FollowMix("b1", "lounge", without=None),
        ]
        assert space.on_audience_changed("mix") == []

    def test_a_mixer_that_measures_already_is_given_the_mix_to_make(self) -> None:
        space = make_space("forward")
        join(space, "a1", "ana", "whip", tells_level=False)
        join(space, "b1", "ben", "whep")
        assert space.on_audience_changed("mix") == [AddMix("lounge", None), FollowMix("b1", "lounge", without=None)]
        assert space.on_audience_changed("forward") == [
            Follow("b1", "lounge", excluding=None),
            RemoveMix("lounge", None),
        ]


class TestWithoutItself:
    """One who speaks and has a single section to listen in."""

    def test_a_stage_session_gets_a_mix_of_its_own(self, space: Space) -> None:
        assert join(space, "a1", "ana", "stage", sections=1) == [
            OpenMixer("lounge", (("a1", True),)),
            AddMix("lounge", None),
            AddMix("lounge", "a1"),
            FollowMix("a1", "lounge", without="a1"),
        ]

    def test_so_does_a_plain_pair_of_whip_and_whep_whichever_comes_first(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        assert join(space, "a2", "ana", "whep")[-1] == FollowMix("a2", "lounge", without="a1")
        join(space, "b2", "ben", "whep")
        assert join(space, "b1", "ben", "whip") == [
            AddMix("lounge", "b1"),
            FollowMix("b2", "lounge", without="b1"),
        ]

    def test_one_who_is_not_heard_gets_that_of_all(self, space: Space) -> None:
        join(space, "a1", "ana", "stage", sections=1)
        assert space.on_muted(["ana"], is_muted=True) == [
            SetGate("a1", is_open=False),
            FollowMix("a1", "lounge", without=None),
            RemoveMix("lounge", "a1"),
        ]
        assert space.on_muted(["ana"], is_muted=False) == [
            SetGate("a1", is_open=True),
            AddMix("lounge", "a1"),
            FollowMix("a1", "lounge", without="a1"),
        ]

    def test_several_sections_hear_the_others_forwarded(self, space: Space) -> None:
        assert join(space, "a1", "ana", "stage", sections=2) == [Follow("a1", "lounge", excluding="a1")]

    def test_a_new_sending_session_takes_the_place_of_the_old(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        join(space, "a2", "ana", "whep")
        assert join(space, "a3", "ana", "whip") == [
            AddMix("lounge", "a3"),
            FollowMix("a2", "lounge", without="a3"),
            RemoveMix("lounge", "a1"),
        ]


class TestPacking:
    def test_a_large_audience_gets_the_mix_in_long_packets_and_who_speaks_does_not(self) -> None:
        space = make_space("mix", Packing(packet_ms="auto", large_audience=3))
        join(space, "a1", "ana", "stage", sections=1)
        join(space, "b1", "ben", "whep")
        assert join(space, "c1", "cem", "whep") == [
            FollowMix("b1", "lounge", without=None, packet_ms=60),
            FollowMix("c1", "lounge", without=None, packet_ms=60),
        ]
