"""A space: roles, mutes, the stage's places, who is told what, and how both processes come together again."""

from typing import Any

import msgspec
import pytest

from sfu.contract.messages import (
    CloseSession,
    CloseSpace,
    OpenSpace,
    RemoveParticipant,
    SessionState,
    SetMuted,
    SetOnStage,
    SpaceState,
)
from signalling.attendance import KEPT_EVERY_S
from signalling.effects import Announce, Effect, Eject, KeepBlock, KeepExclusion, KeepSpace, KeepStanding, Notify, Tell
from signalling.errors import CommandError
from signalling.events import Invitation, Removal, SpeakersChanged, You
from signalling.negotiation import Kind
from signalling.participants import Admission, Joiner
from signalling.records import BlockRecord, ExclusionRecord, SpaceRecord, StandingRecord
from signalling.resources import Counts
from signalling.spaces import Space

NOW_S = 1_800_000_000.0
RECORD = SpaceRecord(
    space="hall",
    title="Town hall",
    audience="forward",
    host="ada",
    max_speakers=2,
    created_at_s=NOW_S,
    started_at_s=NOW_S,
)


def make(**more: Any) -> Space:
    return Space(RECORD, **more)


def joiner(identity: str, kind: Kind = "whip", **more: Any) -> Joiner:
    """A speaker by token, unless it comes to listen only."""
    return Joiner(
        **{
            "identity": identity,
            "name": identity.title(),
            "authority": None,
            "can_publish": kind == "whip",
            "is_hidden": False,
            "issued_at_s": NOW_S,
            "kind": kind,
            "remote_ufrag": "them",
            "mid": "0",
            **more,
        }
    )


def join(space: Space, who: Joiner, *, session: str = "", now_s: float = NOW_S) -> tuple[Admission, list[Effect]]:
    """Admitted and opened; the session is called like the identity, unless it has a name."""
    name = session or who.identity
    admission = space.on_join(who, session=name, now_s=now_s)
    return admission, space.on_session_opened(name, ufrag="ours", now_s=now_s)


def told(effects: list[Effect]) -> list[object]:
    return [effect.command for effect in effects if isinstance(effect, Tell)]


def announced(effects: list[Effect]) -> list[str]:
    return [effect.type for effect in effects if isinstance(effect, Announce)]


def counted(space: Space) -> tuple[int, int]:
    """Speakers and listeners."""
    counts = space.counts()
    return counts.speakers, counts.listeners


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CommandError) as refusal:
        call(*arguments, **named)
    return refusal.value.code


# Joining


def test_a_publisher_is_on_stage_at_once() -> None:
    space = make()
    admission, effects = join(space, joiner("bob"))

    assert (admission.is_on_stage, admission.is_muted) == (True, False)
    assert announced(effects) == ["participant.joined"]
    assert space.participant("bob").role == "speaker"


def test_all_are_told_while_somebody_records() -> None:
    space = make()
    join(space, joiner("lea", "whep"))
    _, effects = join(space, joiner("reel", "whep", is_hidden=True, is_recorder=True))
    assert announced(effects) == ["space.changed"]
    assert space.resource().is_recorded

    assert announced(space.on_session_closed("lea", NOW_S)) == []
    assert announced(space.on_session_closed("reel", NOW_S)) == ["space.changed"]
    assert not space.resource().is_recorded


def test_a_listener_is_counted_but_not_announced() -> None:
    space = make()
    admission, effects = join(space, joiner("lea", "whep"))

    assert not admission.is_on_stage
    assert announced(effects) == []
    assert announced(space.on_time(NOW_S)) == ["counts"]
    assert counted(space) == (0, 1)


def test_a_stage_session_without_can_publish_begins_in_the_audience() -> None:
    space = make()
    admission, _ = join(space, joiner("lea", "stage"))

    assert not admission.is_on_stage
    assert space.participant("lea").role == "listener"


def test_the_place_after_the_last_is_refused_and_leaves_no_trace() -> None:
    space = make()
    for identity in ("bob", "cleo"):
        join(space, joiner(identity))

    assert code_of(space.on_join, joiner("dan"), session="dan", now_s=NOW_S) == "stage_full"
    assert space.session("dan") is None
    assert counted(space) == (2, 0)


def test_a_second_session_of_a_speaker_takes_no_second_place() -> None:
    space = make()
    join(space, joiner("bob"))
    join(space, joiner("cleo"))

    join(space, joiner("bob"), session="bob again")
    assert space.counts().speakers == 2


def test_a_place_is_free_again_when_its_session_has_ended() -> None:
    space = make()
    for identity in ("bob", "cleo"):
        join(space, joiner(identity))
    space.on_session_closed("bob", NOW_S)

    assert join(space, joiner("dan"))[0].is_on_stage


def test_a_place_is_free_again_when_the_sfu_refused_the_session() -> None:
    space = make()
    space.on_join(joiner("bob"), session="bob", now_s=NOW_S)
    space.on_session_closed("bob", NOW_S)

    assert counted(space) == (0, 0)


def test_an_identity_has_so_many_sessions_and_no_more() -> None:
    space = make(sessions_per_identity=2)
    join(space, joiner("lea", "whep"), session="1")
    join(space, joiner("lea", "whep"), session="2")

    assert code_of(space.on_join, joiner("lea", "whep"), session="3", now_s=NOW_S) == "too_many_sessions"


def test_who_stops_publishing_but_goes_on_listening_leaves_the_stage() -> None:
    space = make()
    join(space, joiner("bob"), session="speaks")
    join(space, joiner("bob", "whep"), session="hears")

    effects = space.on_session_closed("speaks", NOW_S)

    assert told(effects) == [SetOnStage("hall", "bob", is_on_stage=False)]
    assert space.participant("bob").role == "listener"


def test_a_session_removed_while_it_was_being_opened_is_closed_again() -> None:
    space = make()
    space.on_join(joiner("bob"), session="bob", now_s=NOW_S)
    space.on_remove("bob", is_block=True, now_s=NOW_S)

    assert told(space.on_session_opened("bob", ufrag="ours", now_s=NOW_S)) == [CloseSession("bob")]


def test_hidden_participants_are_counted_and_never_shown() -> None:
    space = make()
    _, effects = join(space, joiner("ghost", is_hidden=True))

    assert announced(effects) == []
    assert space.participants() == []
    assert space.counts().speakers == 1
    assert space.on_speaking([("ghost", -20)], NOW_S) == [Announce("speakers.changed", SpeakersChanged([]))]


# Muting


def test_a_mute_is_told_to_the_sfu_kept_and_announced() -> None:
    space = make()
    join(space, joiner("bob"))

    effects = space.on_mute("bob", is_muted=True, now_s=NOW_S)

    assert told(effects) == [SetMuted("hall", ["bob"], is_muted=True)]
    assert KeepStanding(StandingRecord("bob", None, is_muted=True)) in effects
    assert announced(effects) == ["participant.changed"]
    assert Notify("bob", "you.changed", You(identity="bob", role="speaker", is_muted=True)) in effects


def test_muting_twice_tells_the_sfu_twice_and_people_once() -> None:
    space = make()
    join(space, joiner("bob"))
    space.on_mute("bob", is_muted=True, now_s=NOW_S)

    effects = space.on_mute("bob", is_muted=True, now_s=NOW_S)

    assert told(effects) == [SetMuted("hall", ["bob"], is_muted=True)]
    assert announced(effects) == []


def test_leaving_and_returning_does_not_lift_a_mute() -> None:
    space = make()
    join(space, joiner("bob"))
    space.on_mute("bob", is_muted=True, now_s=NOW_S)
    space.on_session_closed("bob", NOW_S)

    assert join(space, joiner("bob"))[0].is_muted


def test_mute_all_is_one_command() -> None:
    space = make()
    for identity in ("bob", "cleo"):
        join(space, joiner(identity))

    assert told(space.on_mute_all(["bob", "cleo"], NOW_S)) == [SetMuted("hall", ["bob", "cleo"], is_muted=True)]
    assert told(space.on_mute_all([], NOW_S)) == []


def test_who_is_not_here_cannot_be_muted() -> None:
    assert code_of(make().on_mute, "nobody", is_muted=True, now_s=NOW_S) == "unknown_participant"


# Promoting and demoting


def test_a_promotion_opens_the_stage_to_the_session_that_stands() -> None:
    space = make()
    join(space, joiner("lea", "stage"))

    effects = space.on_promote("lea", "speaker", NOW_S)

    assert told(effects) == [SetMuted("hall", ["lea"], is_muted=True), SetOnStage("hall", "lea", is_on_stage=True)]
    assert announced(effects) == ["participant.changed"]
    assert (space.participant("lea").role, space.participant("lea").is_self_muted) == ("speaker", True)


def test_a_promoted_listener_without_a_microphone_session_gets_the_place_when_it_brings_one() -> None:
    space = make()
    join(space, joiner("lea", "whep"))

    assert told(space.on_promote("lea", "speaker", NOW_S)) == [SetMuted("hall", ["lea"], is_muted=True)]
    assert join(space, joiner("lea", "stage"), session="speaks")[0].is_on_stage


def test_nobody_is_promoted_onto_a_full_stage() -> None:
    space = make()
    for identity in ("bob", "cleo"):
        join(space, joiner(identity))
    join(space, joiner("lea", "stage"))

    assert code_of(space.on_promote, "lea", "speaker", NOW_S) == "stage_full"
    assert space.given_role("lea") is None
    assert space.participant("lea").role == "listener"


def test_the_demoted_are_heard_no_more_whatever_their_token_says() -> None:
    space = make()
    join(space, joiner("bob"))

    effects = space.on_demote("bob", NOW_S)

    assert told(effects) == [SetOnStage("hall", "bob", is_on_stage=False)]
    assert announced(effects) == ["participant.changed"]
    assert code_of(space.on_join, joiner("bob"), session="again", now_s=NOW_S) == "not_on_stage"
    assert not join(space, joiner("bob", "stage", can_publish=True), session="stage")[0].is_on_stage


def test_a_promotion_after_a_demotion_counts() -> None:
    space = make()
    join(space, joiner("bob"))
    space.on_demote("bob", NOW_S)

    assert told(space.on_promote("bob", "speaker", NOW_S))[-1] == SetOnStage("hall", "bob", is_on_stage=True)


def test_a_host_stays_host_on_the_stage_and_in_the_audience_seats() -> None:
    space = make()
    join(space, joiner("ada", "whep", authority="host"))

    assert space.participant("ada").role == "host"
    assert counted(space) == (0, 1)


def test_an_invitation_can_be_accepted_once_it_was_made() -> None:
    space = make()
    join(space, joiner("lea", "stage"))

    assert code_of(space.on_accept, "lea", NOW_S) == "not_invited"
    invited = [effect for effect in space.on_invite("lea", "speaker", NOW_S) if isinstance(effect, Notify)]
    assert invited[-1] == Notify("lea", "you.invited", Invitation("speaker"))
    assert told(space.on_accept("lea", NOW_S))[-1] == SetOnStage("hall", "lea", is_on_stage=True)
    assert code_of(space.on_accept, "lea", NOW_S) == "not_invited"


def test_a_raised_hand_is_shown_until_it_is_answered() -> None:
    space = make()
    join(space, joiner("lea", "stage"))

    assert announced(space.on_hand("lea", is_raised=True, now_s=NOW_S)) == ["participant.changed"]
    assert [person.identity for person in space.snapshot_for("ada", "host").participants] == ["lea"]
    space.on_promote("lea", "speaker", NOW_S)
    assert not space.participant("lea").has_raised_hand


# Removing


def test_the_removed_are_out_and_their_tokens_are_worth_nothing() -> None:
    space = make()
    join(space, joiner("bob"))

    effects = space.on_remove("bob", is_block=False, now_s=NOW_S + 5)

    assert told(effects) == [RemoveParticipant("hall", "bob")]
    assert KeepExclusion(ExclusionRecord("bob", NOW_S + 5, is_block=False)) in effects
    assert announced(effects) == ["participant.left"]
    assert effects[-2:] == [Notify("bob", "you.removed", Removal("removed")), Eject("bob")]
    assert code_of(space.on_join, joiner("bob"), session="x", now_s=NOW_S + 6) == "removed"
    assert code_of(space.check_admission, "bob", NOW_S + 5) == "removed"
    assert code_of(space.check_admission, "bob", None) == "removed"


def test_a_token_issued_after_the_removal_lets_back_in_with_no_role_left() -> None:
    space = make()
    join(space, joiner("lea", "stage"))
    space.on_promote("lea", "speaker", NOW_S)
    space.on_remove("lea", is_block=False, now_s=NOW_S)

    assert not join(space, joiner("lea", "stage", issued_at_s=NOW_S + 1))[0].is_on_stage


def test_a_block_is_for_good_and_a_later_removal_does_not_lift_it() -> None:
    space = make()
    assert KeepBlock(BlockRecord("ada", "bob", NOW_S)) in space.on_remove("bob", is_block=True, now_s=NOW_S)
    space.on_remove("bob", is_block=False, now_s=NOW_S)

    assert code_of(space.check_admission, "bob", NOW_S + 1e6) == "blocked"


def test_removing_twice_is_no_error_but_a_stranger_cannot_be_removed() -> None:
    space = make()
    join(space, joiner("bob"))
    space.on_remove("bob", is_block=False, now_s=NOW_S)

    assert told(space.on_remove("bob", is_block=False, now_s=NOW_S)) == [RemoveParticipant("hall", "bob")]
    assert code_of(space.on_remove, "nobody", is_block=False, now_s=NOW_S) == "unknown_participant"


# Telling


def test_a_watcher_is_first_shown_the_stage_not_the_audience() -> None:
    space = make()
    join(space, joiner("bob"))
    join(space, joiner("lea", "whep"))
    space.on_speaking([("bob", -20)], NOW_S)

    snapshot = space.snapshot_for("lea", "listener")

    assert [(person.identity, person.is_speaking) for person in snapshot.participants] == [("bob", True)]
    assert (snapshot.space.counts.speakers, snapshot.space.counts.listeners) == (1, 1)
    assert snapshot.you == You(identity="lea", role="listener", is_muted=False)


def test_the_roster_has_the_stage_first() -> None:
    space = make()
    join(space, joiner("lea", "whep"))
    join(space, joiner("bob"))

    assert [person.identity for person in space.participants()] == ["bob", "lea"]


def test_counts_are_told_once_a_second_at_most() -> None:
    space = make()
    join(space, joiner("1", "whep"))
    space.on_time(NOW_S)
    join(space, joiner("2", "whep"), now_s=NOW_S + 0.1)
    join(space, joiner("3", "whep"), now_s=NOW_S + 0.2)

    assert space.wakes_at_s == NOW_S + 1.0
    assert space.on_time(NOW_S + 0.5) == []
    counts = Counts(speakers=0, listeners=3, hidden=0, live=3, total=3, peak=3)
    assert space.on_time(NOW_S + 1.0) == [Announce("counts", counts)]
    assert space.wakes_at_s == NOW_S + KEPT_EVERY_S


def test_renaming_is_kept_and_announced() -> None:
    effects = make().on_edit({"title": "Part two"})

    assert KeepSpace(msgspec.structs.replace(RECORD, title="Part two")) in effects
    assert announced(effects) == ["space.changed"]


def test_the_end_is_told_to_everyone_and_nobody_joins_after_it() -> None:
    space = make()
    join(space, joiner("bob"))

    effects = space.on_end(NOW_S)

    assert told(effects) == [CloseSpace("hall")]
    assert announced(effects) == ["space.ended"]
    assert effects[-1] == Eject(None)
    assert code_of(space.on_join, joiner("bob"), session="x", now_s=NOW_S) == "space_ended"


# Coming together again


def session_state(who: Joiner, owner: str, **more: Any) -> SessionState:
    return SessionState(
        **{
            "session": who.identity,
            "space": "hall",
            "identity": who.identity,
            "kind": who.kind,
            "is_connected": True,
            "is_on_stage": True,
            "is_muted": False,
            "ufrag": "ours",
            "remote_ufrag": "them",
            "owner": owner,
            **more,
        }
    )


def state(muted: list[str] = [], on_stage: list[str] = []) -> SpaceState:  # noqa: B006
    return SpaceState(space="hall", max_speakers=RECORD.max_on_stage, muted=muted, on_stage=on_stage)


def test_a_restarted_signalling_knows_everyone_again_from_what_the_sfu_kept() -> None:
    before, after = make(), make()
    admission, _ = join(before, joiner("ada", authority="host"))
    before.on_session_connected("ada", NOW_S)

    effects = after.on_snapshot(
        state(on_stage=["ada"]),
        [session_state(joiner("ada"), admission.owner)],
        is_first=True,
        now_s=NOW_S + 60,
    )

    assert told(effects) == []
    assert after.participant("ada") == before.participant("ada")
    assert after.session("ada") == before.session("ada")


def test_a_restarted_signalling_knows_who_records() -> None:
    reel = joiner("reel", "whep", is_hidden=True, is_recorder=True)
    admission, _ = join(make(), reel)
    after = make(is_restored=True)
    after.on_snapshot(
        state(), [session_state(reel, admission.owner, is_on_stage=False)], is_first=True, now_s=NOW_S + 60
    )

    assert after.resource().is_recorded


def test_a_mute_that_only_the_sfu_remembers_is_kept() -> None:
    space = make()
    effects = space.on_snapshot(state(muted=["bob"]), [], is_first=True, now_s=NOW_S)

    assert told(effects) == []
    assert effects == [KeepStanding(StandingRecord("bob", None, is_muted=True))]
    assert join(space, joiner("bob"))[0].is_muted


def test_a_mute_that_only_the_store_remembers_is_told_again() -> None:
    space = make(standings=[StandingRecord("bob", None, is_muted=True)])
    effects = space.on_snapshot(state(), [], is_first=True, now_s=NOW_S)

    assert told(effects) == [SetMuted("hall", ["bob"], is_muted=True)]


def test_a_demotion_that_only_the_sfu_remembers_is_kept() -> None:
    space = make()
    admission, _ = join(make(), joiner("ben"))
    told_down = session_state(joiner("ben"), admission.owner, is_on_stage=False)
    effects = space.on_snapshot(state(), [told_down], is_first=True, now_s=NOW_S)

    assert told(effects) == []
    assert KeepStanding(StandingRecord("ben", "listener")) in effects
    assert space.on_stage() == []


def test_an_unmute_that_did_not_reach_the_sfu_is_told_again() -> None:
    space = make()
    space.on_snapshot(state(), [], is_first=True, now_s=NOW_S)
    effects = space.on_snapshot(state(muted=["bob"]), [], is_first=False, now_s=NOW_S)

    assert told(effects) == [SetMuted("hall", ["bob"], is_muted=False)]


def test_a_restarted_sfu_is_given_the_space_its_mutes_and_nobody() -> None:
    space = make()
    join(space, joiner("bob"))
    space.on_mute("bob", is_muted=True, now_s=NOW_S)

    effects = space.on_snapshot(None, [], is_first=False, now_s=NOW_S)

    assert told(effects) == [OpenSpace("hall", RECORD.max_on_stage), SetMuted("hall", ["bob"], is_muted=True)]
    assert announced(effects) == ["participant.left"]
    assert space.participants() == []


def test_a_promotion_that_did_not_reach_the_sfu_is_told_again() -> None:
    space = make()
    admission, _ = join(space, joiner("lea", "stage"))
    space.on_promote("lea", "speaker", NOW_S)

    effects = space.on_snapshot(
        state(), [session_state(joiner("lea", "stage"), admission.owner)], is_first=False, now_s=NOW_S
    )

    assert told(effects) == [SetMuted("hall", ["lea"], is_muted=True), SetOnStage("hall", "lea", is_on_stage=True)]


def test_the_sfu_is_told_to_close_what_nobody_acknowledged() -> None:
    space = make()
    admission, _ = join(make(), joiner("bob"))
    stranger = session_state(joiner("bob"), admission.owner)

    assert told(space.on_snapshot(state(), [stranger], is_first=False, now_s=NOW_S)) == [CloseSession("bob")]


@pytest.mark.parametrize("owner", ["", "not JSON", "[]", '{"name": "bob"}'])
def test_a_session_whose_owner_is_not_of_our_writing_is_closed(owner: str) -> None:
    stranger = session_state(joiner("bob"), owner)
    assert told(make().on_snapshot(state(), [stranger], is_first=True, now_s=NOW_S)) == [CloseSession("bob")]


def test_a_removal_that_did_not_reach_the_sfu_is_made_up_for() -> None:
    admission, _ = join(make(), joiner("bob"))
    space = make(exclusions=[ExclusionRecord("bob", NOW_S + 1, is_block=False)])

    effects = space.on_snapshot(
        state(on_stage=["bob"]), [session_state(joiner("bob"), admission.owner)], is_first=True, now_s=NOW_S + 2
    )

    assert told(effects) == [CloseSession("bob")]
    assert space.participants() == []


def test_what_the_sfu_keeps_for_us_is_small() -> None:
    admission, _ = join(make(), joiner("i" * 128, name="\U0001f3a4" * 128, mid="m" * 16))
    assert len(admission.owner.encode()) < 1024
