"""Who may be heard in a space, and by whom."""

import msgspec
import pytest

from sfu.contract.messages import SessionClosed, SessionConnected, Speaking
from sfu.effects import (
    AddSlots,
    AddTrack,
    Announce,
    ClosePeer,
    CloseStage,
    Effect,
    Follow,
    OpenPeer,
    OpenStage,
    RestartIce,
    SetGate,
)
from sfu.errors import CommandError
from sfu.packing import Packing
from sfu.space import Space
from tests.sfu.sessions import RECEIVE, Kind, credentials, open_session, send_sections, transport


@pytest.fixture
def space() -> Space:
    return Space("lounge", max_speakers=2, max_listening_sessions=2)


def join(
    space: Space, session: str, identity: str, kind: Kind = "whip", *, is_on_stage: bool = True, is_muted: bool = False
) -> list[Effect]:
    request = open_session(session, identity, kind, is_on_stage=is_on_stage, is_muted=is_muted)
    return space.on_session_opened(request, transport(session, slots=len(request.send)))


def closed(session: str, identity: str, reason: str) -> list[Effect]:
    return [ClosePeer(session), Announce(SessionClosed(session, "lounge", identity, reason))]


class TestJoining:
    def test_a_speaker_s_session_gets_a_peer_and_an_open_track(self, space: Space) -> None:
        effects = join(space, "a1", "ana")
        assert [type(effect) for effect in effects] == [OpenPeer, AddTrack]
        assert effects[1] == AddTrack("a1", "lounge", RECEIVE, is_open=True)

    def test_a_listener_s_session_gets_slots_that_follow_the_stage(self, space: Space) -> None:
        _, slots, follow = join(space, "b1", "ben", "whep")
        assert slots == AddSlots("b1", tuple(send_sections(1)), transport("b1", slots=1).ssrcs)
        assert follow == Follow("b1", "lounge", excluding=None)

    def test_a_stage_session_sends_and_follows_everyone_but_itself(self, space: Space) -> None:
        effects = join(space, "a1", "ana", "stage")
        assert [type(effect) for effect in effects] == [OpenPeer, AddTrack, AddSlots, Follow]
        assert effects[3] == Follow("a1", "lounge", excluding="a1")

    def test_a_listener_that_sends_anyway_finds_its_gate_closed(self, space: Space) -> None:
        effects = join(space, "b1", "ben", "stage", is_on_stage=False)
        assert AddTrack("b1", "lounge", RECEIVE, is_open=False) in effects

    def test_one_who_speaks_and_listens_in_two_sessions_does_not_hear_itself(self, space: Space) -> None:
        join(space, "a1", "ana", "whip")
        assert Follow("a2", "lounge", excluding="a1") in join(space, "a2", "ana", "whep")

    def test_one_who_listens_first_and_speaks_then_does_not_hear_itself(self, space: Space) -> None:
        join(space, "a2", "ana", "whep")
        assert join(space, "a1", "ana", "whip")[-1] == Follow("a2", "lounge", excluding="a1")

    def test_dtls_coming_up_is_announced(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert not space.session_states()[0].is_connected
        assert space.on_connected("a1") == [Announce(SessionConnected("a1"))]
        assert space.session_states()[0].is_connected


class TestStage:
    def test_no_more_than_the_limit_are_on_stage(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        before = space.session_states()
        with pytest.raises(CommandError) as refusal:
            join(space, "c1", "cem")
        assert refusal.value.code == "stage_full"
        assert space.session_states() == before

    def test_a_listener_joins_beside_a_full_stage(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        assert join(space, "c1", "cem", "whep")
        assert join(space, "d1", "dan", "stage", is_on_stage=False)

    def test_promotion_opens_the_gate_and_nothing_else(self, space: Space) -> None:
        join(space, "b1", "ben", "stage", is_on_stage=False)
        assert space.on_stage_changed("ben", is_on_stage=True) == [SetGate("b1", is_open=True)]

    def test_demotion_closes_the_gate_and_nothing_else(self, space: Space) -> None:
        join(space, "b1", "ben", "stage")
        assert space.on_stage_changed("ben", is_on_stage=False) == [SetGate("b1", is_open=False)]

    def test_nobody_is_promoted_to_a_full_stage(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        join(space, "c1", "cem", "stage", is_on_stage=False)
        with pytest.raises(CommandError) as refusal:
            space.on_stage_changed("cem", is_on_stage=True)
        assert refusal.value.code == "stage_full"
        assert space.state().on_stage == ["ana", "ben"]

    def test_a_demoted_speaker_s_seat_is_free(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        space.on_stage_changed("ana", is_on_stage=False)
        assert join(space, "c1", "cem")

    def test_a_speaker_s_seat_is_free_when_its_last_session_is_gone(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        join(space, "b2", "ben", "whep")
        space.on_session_gone("b1", "expired")
        assert space.state().on_stage == ["ana", "ben"]
        space.on_session_gone("b2", "expired")
        assert space.state().on_stage == ["ana"]

    def test_one_who_is_promoted_while_only_listening_keeps_the_seat_until_it_speaks(self, space: Space) -> None:
        join(space, "a1", "ana", "whep")
        assert space.on_stage_changed("ana", is_on_stage=True) == []
        assert AddTrack("a2", "lounge", RECEIVE, is_open=True) in join(space, "a2", "ana")
        assert space.state().on_stage == ["ana"]

    def test_one_who_is_not_here_is_not_promoted(self, space: Space) -> None:
        with pytest.raises(CommandError) as refusal:
            space.on_stage_changed("ana", is_on_stage=True)
        assert refusal.value.code == "unknown_participant"

    def test_one_who_is_not_here_is_demoted_already(self, space: Space) -> None:
        assert space.on_stage_changed("ana", is_on_stage=False) == []

    def test_a_lower_limit_sends_nobody_off_and_holds_for_the_next(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        assert space.on_limit_changed(1) == []
        space.on_session_gone("a1", "left")
        with pytest.raises(CommandError):
            join(space, "a2", "ana")


class TestMute:
    def test_it_closes_the_gate(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert space.on_muted(["ana"], is_muted=True) == [SetGate("a1", is_open=False)]

    def test_unmuting_opens_it_again(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_muted(["ana"], is_muted=True)
        assert space.on_muted(["ana"], is_muted=False) == [SetGate("a1", is_open=True)]

    def test_said_twice_it_changes_nothing_more(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_muted(["ana"], is_muted=True)
        assert space.on_muted(["ana", "ana"], is_muted=True) == []

    def test_it_names_many_at_once(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        assert space.on_muted(["ana", "ben", "nobody"], is_muted=True) == [
            SetGate("a1", is_open=False),
            SetGate("b1", is_open=False),
        ]

    def test_nobody_is_nobody(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert space.on_muted([], is_muted=True) == []
        assert space.state().muted == []

    def test_it_holds_for_one_who_comes_later(self, space: Space) -> None:
        space.on_muted(["ana"], is_muted=True)
        assert AddTrack("a1", "lounge", RECEIVE, is_open=False) in join(space, "a1", "ana")

    def test_it_holds_across_a_disconnect(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_muted(["ana"], is_muted=True)
        space.on_session_gone("a1", "expired")
        assert AddTrack("a2", "lounge", RECEIVE, is_open=False) in join(space, "a2", "ana", is_muted=False)

    def test_it_holds_for_a_session_that_replaces_another(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_muted(["ana"], is_muted=True)
        assert AddTrack("a2", "lounge", RECEIVE, is_open=False) in join(space, "a2", "ana", "stage")

    def test_a_session_may_come_muted(self, space: Space) -> None:
        assert AddTrack("a1", "lounge", RECEIVE, is_open=False) in join(space, "a1", "ana", is_muted=True)
        assert space.state().muted == ["ana"]

    def test_a_listening_session_that_comes_muted_closes_the_gate_of_the_sending_one(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert SetGate("a1", is_open=False) in join(space, "a2", "ana", "whep", is_muted=True)

    def test_promotion_does_not_unmute(self, space: Space) -> None:
        join(space, "b1", "ben", "stage", is_on_stage=False)
        space.on_muted(["ben"], is_muted=True)
        assert space.on_stage_changed("ben", is_on_stage=True) == []

    def test_unmuting_one_in_the_audience_opens_nothing(self, space: Space) -> None:
        join(space, "b1", "ben", "stage", is_on_stage=False)
        space.on_muted(["ben"], is_muted=True)
        assert space.on_muted(["ben"], is_muted=False) == []


class TestDuplicates:
    """T26: the same identity again."""

    def test_a_new_sending_session_replaces_the_old_one_and_keeps_the_seat(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        effects = join(space, "a2", "ana", "stage")
        assert effects[:2] == closed("a1", "ana", "replaced")
        assert space.state().on_stage == ["ana", "ben"]

    def test_what_one_listens_to_stays_when_its_sending_session_is_replaced(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "a2", "ana", "whep")
        effects = join(space, "a3", "ana")
        assert ClosePeer("a2") not in effects
        assert effects[-1] == Follow("a2", "lounge", excluding="a3")

    def test_of_too_many_listening_sessions_the_oldest_makes_room(self, space: Space) -> None:
        join(space, "a1", "ana", "whep")
        join(space, "a2", "ana", "whep")
        assert join(space, "a3", "ana", "whep")[:2] == closed("a1", "ana", "replaced")
        assert [state.session for state in space.session_states()] == ["a2", "a3"]

    def test_a_replaced_listening_session_keeps_the_seat_of_one_promoted_meanwhile(self) -> None:
        space = Space("lounge", max_speakers=2, max_listening_sessions=1)
        join(space, "a1", "ana", "whep")
        space.on_stage_changed("ana", is_on_stage=True)
        join(space, "a2", "ana", "whep")
        assert space.state().on_stage == ["ana"]

    def test_other_identities_are_untouched(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert ClosePeer("a1") not in join(space, "b1", "ben")

    def test_a_refused_replacement_leaves_the_old_session(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        join(space, "c1", "cem", "stage", is_on_stage=False)
        with pytest.raises(CommandError):
            join(space, "c2", "cem", "stage")
        assert "c1" in [state.session for state in space.session_states()]


class TestLeaving:
    def test_the_removed_have_no_session(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "a2", "ana", "whep")
        assert space.on_removed("ana") == closed("a1", "ana", "removed") + closed("a2", "ana", "removed")
        assert space.session_states() == []
        assert space.state().on_stage == []

    def test_one_who_is_not_here_is_removed_already(self, space: Space) -> None:
        assert space.on_removed("ana") == []

    def test_the_end_of_the_space_is_the_end_of_its_sessions(self, space: Space) -> None:
        assert space.on_opened() == [OpenStage("lounge")]
        join(space, "a1", "ana")
        assert space.on_closed() == [*closed("a1", "ana", "space_closed"), CloseStage("lounge")]


class TestIceRestart:
    def test_a_new_remote_fragment_restarts(self, space: Space) -> None:
        join(space, "a1", "ana")
        assert space.on_ice_restart("a1", "fresh", credentials("new")) == [RestartIce("a1", credentials("new"))]
        assert space.session_states()[0].ufrag == credentials("new").ufrag

    def test_the_same_one_again_restarts_nothing(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_ice_restart("a1", "fresh", credentials("new"))
        assert space.on_ice_restart("a1", "fresh", credentials("newer")) == []
        assert space.session("a1").credentials == credentials("new")


class TestVoices:
    def test_they_are_told_by_identity_loudest_first(self, space: Space) -> None:
        join(space, "a1", "ana")
        join(space, "b1", "ben")
        assert space.on_voices([("b1", -20), ("a1", -40)]) == [
            Announce(Speaking("lounge", [("ben", -20), ("ana", -40)])),
        ]

    def test_the_muted_and_the_gone_are_left_out(self, space: Space) -> None:
        join(space, "a1", "ana")
        space.on_muted(["ana"], is_muted=True)
        assert space.on_voices([("a1", -20), ("gone", -30)]) == [Announce(Speaking("lounge", []))]


class TestPacking:
    """Those who only listen get more audio in a packet when there are many of them."""

    @pytest.fixture
    def space(self) -> Space:
        packing = Packing(packet_ms="auto", large_audience=10)
        return Space("lounge", max_speakers=2, max_listening_sessions=2, packing=packing)

    @staticmethod
    def fill(space: Space, count: int) -> list[Effect]:
        """The effects of the last join."""
        return [join(space, f"l{n}", f"listener-{n}", "whep") for n in range(count)][-1]

    def test_a_small_audience_gets_what_the_speakers_send(self, space: Space) -> None:
        assert self.fill(space, 9)[-1] == Follow("l8", "lounge", excluding=None, packet_ms=20)

    def test_a_large_one_follows_in_long_packets_from_its_last_member_s_join_on(self, space: Space) -> None:
        effects = self.fill(space, 10)
        assert effects[-10:] == [Follow(f"l{n}", "lounge", excluding=None, packet_ms=60) for n in range(10)]
        assert join(space, "l10", "listener-10", "whep")[-1].packet_ms == 60  # type: ignore[union-attr]

    def test_those_who_may_speak_stay_with_short_ones(self, space: Space) -> None:
        join(space, "a1", "ana", "stage")
        self.fill(space, 9)
        assert join(space, "b1", "ben", "stage")[-1] == Follow("b1", "lounge", excluding="b1", packet_ms=20)

    def test_it_is_large_until_a_tenth_is_gone(self, space: Space) -> None:
        self.fill(space, 10)
        assert not [effect for effect in space.on_session_gone("l9", "left") if isinstance(effect, Follow)]
        back = [effect for effect in space.on_removed("listener-8") if isinstance(effect, Follow)]
        assert back == [Follow(f"l{n}", "lounge", excluding=None, packet_ms=20) for n in range(8)]

    def test_a_client_that_takes_less_gets_less(self, space: Space) -> None:
        self.fill(space, 10)
        request = open_session("m1", "mia", "whep")
        section = msgspec.structs.replace(request.send[0], max_packet_ms=40)
        effects = space.on_session_opened(msgspec.structs.replace(request, send=[section]), transport("m1", slots=1))
        assert effects[-1] == Follow("m1", "lounge", excluding=None, packet_ms=40)
