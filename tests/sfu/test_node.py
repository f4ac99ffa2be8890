"""What each command means to the sfu, said once and said twice."""

from typing import get_args

import pytest
from msgspec import structs

from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Candidate,
    CloseSession,
    CloseSpace,
    Command,
    Describe,
    Done,
    Drain,
    Fingerprint,
    Goodbye,
    Hello,
    IceRestarted,
    Inspect,
    OpenSession,
    OpenSpace,
    Refused,
    RemoveParticipant,
    RestartIce,
    SessionOpened,
    SetAudience,
    SetMuted,
    SetOnStage,
    Snapshot,
)
from sfu.effects import ClosePeer, OpenStage, SetGate
from sfu.node import MAX_SECTIONS, Node, Outcome
from tests.sfu.sessions import Kind, credentials, make_node, open_session, transport


@pytest.fixture
def node() -> Node:
    node = make_node()
    node.on_command(OpenSpace("lounge", max_speakers=2))
    return node


def join(node: Node, session: str, identity: str, kind: Kind = "whip", *, worker: int = 0) -> Outcome:
    command = open_session(session, identity, kind)
    return node.on_open_session(command, transport(session, worker=worker, slots=len(command.send)))


def code(outcome: Outcome) -> str:
    assert isinstance(outcome.answer, Refused), outcome.answer
    assert not outcome.effects
    return outcome.answer.code


class TestHello:
    def test_it_names_version_and_node(self, node: Node) -> None:
        assert node.on_command(Hello(PROTOCOL_VERSION)).answer == Hello(PROTOCOL_VERSION, node="node-1")


class TestOpeningSessions:
    def test_the_answer_holds_what_the_sdp_answer_needs(self, node: Node) -> None:
        answer = join(node, "s1", "ana", "stage", worker=1).answer
        assert isinstance(answer, SessionOpened)
        assert answer.candidates == [Candidate("192.0.2.1", 7883)]
        assert (answer.ufrag, answer.pwd) == (credentials("s1").ufrag, credentials("s1").pwd)
        assert len(answer.ssrcs) == 2
        assert answer.setup == "passive"

    def test_said_twice_the_first_stands(self, node: Node) -> None:
        first = join(node, "s1", "ana")
        again = node.on_open_session(open_session("s1", "ana"), transport("other"))
        assert again == Outcome(first.answer)

    def test_another_s_session_id_is_refused(self, node: Node) -> None:
        join(node, "s1", "ana")
        assert code(join(node, "s1", "ben")) == "bad_command"

    def test_an_unknown_space_is_refused(self, node: Node) -> None:
        command = open_session("s1", "ana", space="nowhere")
        assert code(node.on_open_session(command, transport("s1"))) == "unknown_space"

    def test_the_eleventh_speaker_is_refused(self) -> None:
        node = make_node()
        node.on_command(OpenSpace("lounge"))
        for number in range(10):
            assert isinstance(join(node, f"s{number}", f"speaker-{number}").answer, SessionOpened)
        assert code(join(node, "s10", "speaker-10")) == "stage_full"

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "whep"},
            {"send": open_session("x", "ana", "whep").send},
            {"fingerprints": []},
            {"fingerprints": [Fingerprint("sha-1", "00" * 20)]},
            {"kind": "stage", "send": open_session("x", "ana", "whep", sections=MAX_SECTIONS + 1).send},
        ],
    )
    def test_what_cannot_be_is_refused(self, node: Node, change: dict[str, object]) -> None:
        command = structs.replace(open_session("s1", "ana"), **change)
        assert code(node.on_open_session(command, transport("s1"))) == "bad_command"

    @pytest.mark.parametrize(
        "change",
        [{"payload_type": 128}, {"mid": ""}, {"mid": "m" * 41}, {"mid_extension": 256}, {"level_extension": -1}],
    )
    def test_impossible_numbers_in_a_section_are_refused(self, node: Node, change: dict[str, object]) -> None:
        command = open_session("s1", "ana")
        assert command.receive is not None
        command = structs.replace(command, receive=structs.replace(command.receive, **change))
        assert code(node.on_open_session(command, transport("s1"))) == "bad_command"

    def test_a_full_server_refuses(self) -> None:
        node = make_node(max_sessions=1)
        node.on_command(OpenSpace("lounge"))
        join(node, "s1", "ana")
        assert code(join(node, "s2", "ben")) == "overloaded"
        assert (node.load().accepts, node.load().reason, node.load().sessions) == (False, "overloaded", 1)

    def test_a_draining_server_refuses_the_new_and_keeps_the_old(self, node: Node) -> None:
        first = join(node, "s1", "ana")
        node.on_command(Drain(is_draining=True))
        assert code(join(node, "s2", "ben")) == "draining"
        assert join(node, "s1", "ana").answer == first.answer
        node.on_command(Drain(is_draining=False))
        assert isinstance(join(node, "s2", "ben").answer, SessionOpened)


class TestIdempotence:
    @pytest.mark.parametrize(
        "command",
        [
            OpenSpace("lounge", max_speakers=2),
            CloseSpace("lounge"),
            CloseSession("s1"),
            SetMuted("lounge", ["ana"], is_muted=True),
            SetMuted("lounge", ["ana"], is_muted=False),
            SetOnStage("lounge", "ana", is_on_stage=True),
            SetOnStage("lounge", "ana", is_on_stage=False),
            RemoveParticipant("lounge", "ana"),
            Drain(is_draining=True),
        ],
        ids=lambda command: type(command).__name__,
    )
    def test_said_twice_the_second_finds_the_work_done(self, node: Node, command: Command) -> None:
        join(node, "s1", "ana")
        first = node.on_command(command)
        assert first.answer == Done()
        assert node.on_command(command) == Outcome(Done())

    def test_a_space_is_opened_once(self) -> None:
        node = make_node()
        assert node.on_command(OpenSpace("lounge")).effects == (OpenStage("lounge"),)
        assert node.on_command(OpenSpace("lounge", max_speakers=3)).effects == ()
        assert node.snapshot().spaces[0].max_speakers == 3


class TestModeration:
    def test_a_mute_closes_the_gate(self, node: Node) -> None:
        join(node, "s1", "ana")
        effects = node.on_command(SetMuted("lounge", ["ana"], is_muted=True)).effects
        assert effects == (SetGate("s1", is_open=False),)

    def test_the_removed_can_come_back_only_as_a_new_session(self, node: Node) -> None:
        join(node, "s1", "ana")
        assert ClosePeer("s1") in node.on_command(RemoveParticipant("lounge", "ana")).effects
        assert node.session("s1") is None
        assert code(node.on_restart_ice(RestartIce("s1", "fresh"), credentials("new"))) == "unknown_session"

    @pytest.mark.parametrize(
        "command",
        [
            SetMuted("nowhere", [], is_muted=True),
            SetOnStage("nowhere", "ana", is_on_stage=True),
            RemoveParticipant("nowhere", "ana"),
        ],
        ids=lambda command: type(command).__name__,
    )
    def test_an_unknown_space_is_refused(self, node: Node, command: Command) -> None:
        assert code(node.on_command(command)) == "unknown_space"


class TestIceRestart:
    def test_it_answers_with_new_credentials_and_the_same_candidates(self, node: Node) -> None:
        join(node, "s1", "ana", worker=1)
        answer = node.on_restart_ice(RestartIce("s1", "fresh"), credentials("new")).answer
        new = credentials("new")
        assert answer == IceRestarted("s1", new.ufrag, new.pwd, [Candidate("192.0.2.1", 7883)])

    def test_said_twice_it_answers_alike_and_restarts_once(self, node: Node) -> None:
        join(node, "s1", "ana")
        first = node.on_restart_ice(RestartIce("s1", "fresh"), credentials("new"))
        assert node.on_restart_ice(RestartIce("s1", "fresh"), credentials("newer")) == Outcome(first.answer)


class TestReconciling:
    def test_the_snapshot_tells_all_that_signalling_must_know_to_carry_on(self, node: Node) -> None:
        join(node, "s1", "ana")
        join(node, "s2", "ben", "whep")
        node.on_connected("s1")
        node.on_command(SetMuted("lounge", ["cem"], is_muted=True))
        snapshot = node.on_command(Describe()).answer
        assert isinstance(snapshot, Snapshot)
        assert snapshot.node == "node-1"
        assert [(space.space, space.muted, space.on_stage) for space in snapshot.spaces] == [
            ("lounge", ["cem"], ["ana"])
        ]
        ana, ben = snapshot.sessions
        assert (ana.session, ana.identity, ana.kind, ana.is_connected, ana.owner) == (
            "s1",
            "ana",
            "whip",
            True,
            "owner of s1",
        )
        assert (ben.is_connected, ben.is_on_stage, ben.remote_ufrag) == (False, False, "remote-s2")

    def test_a_session_that_was_never_connected_expires_as_such(self, node: Node) -> None:
        join(node, "s1", "ana")
        join(node, "s2", "ben")
        node.on_connected("s2")
        reasons = [
            effect.report.reason  # type: ignore[union-attr]
            for session in ("s1", "s2")
            for effect in node.on_expired(session)
            if not isinstance(effect, ClosePeer)
        ]
        assert reasons == ["never_connected", "expired"]

    def test_news_of_a_session_that_is_gone_is_no_surprise(self, node: Node) -> None:
        assert node.on_connected("gone") == []
        assert node.on_expired("gone") == []
        assert node.on_session_gone("gone", "left") == []
        assert node.on_voices("gone", [("s1", -20)]) == []


class TestTable:
    def test_every_command_is_answered(self, node: Node) -> None:
        elsewhere = {OpenSession, RestartIce, Inspect, Goodbye}  # by methods of their own, by the relay, by the socket
        examples: list[Command] = [
            Hello(PROTOCOL_VERSION),
            OpenSpace("a"),
            CloseSpace("a"),
            CloseSession("a"),
            SetMuted("a", [], is_muted=True),
            SetOnStage("a", "b", is_on_stage=True),
            SetAudience("a", "mix"),
            RemoveParticipant("a", "b"),
            Describe(),
            Drain(is_draining=False),
        ]
        assert {type(example) for example in examples} == set(get_args(Command)) - elsewhere
        for example in examples:
            assert node.on_command(example).answer is not None

    def test_a_worker_that_stands_still_keeps_newcomers_away(self, node: Node) -> None:
        node.on_standstill(is_still=True)
        assert (node.load().accepts, node.load().reason) == (False, "standstill")
        node.on_standstill(is_still=False)
        assert node.load().accepts

    def test_once_the_end_is_foreseen_no_command_opens_the_door_again(self, node: Node) -> None:
        node.on_end_foreseen(1_800_000_000.0)
        node.on_command(Drain(is_draining=False))
        assert (node.load().reason, node.load().ends_at_s) == ("draining", 1_800_000_000.0)

    def test_the_census_counts_everyone(self, node: Node) -> None:
        join(node, "s1", "ana")
        join(node, "s2", "ben", "whep")
        node.on_connected("s2")
        census = node.census()
        assert (census.spaces, census.on_stage, census.muted) == (1, 1, 0)
        assert census.sessions == {("whip", "joining"): 1, ("whep", "connected"): 1}
