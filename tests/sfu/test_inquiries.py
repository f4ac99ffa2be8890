"""What an operator is told of a space's sessions: put together as the workers answer, and never waited for in vain."""

from sfu.contract.messages import Inspected, SessionState
from sfu.inquiries import WITHIN_S, Inquiries

FIGURES = {
    "packets_in": 5.0,
    "packets_out": 50.0,
    "bytes_in": 500.0,
    "bytes_out": 5000.0,
    "lost_fraction": 0.25,
    "jitter_s": 0.002,
    "round_trip_s": 0.04,
}


def state(name: str, *, is_on_stage: bool = False) -> SessionState:
    return SessionState(
        session=f"{name}-and-the-rest-of-its-secret-id",
        space="lounge",
        identity=name,
        kind="whep",
        is_connected=True,
        is_on_stage=is_on_stage,
        is_muted=False,
        ufrag="",
        remote_ufrag="",
        owner="",
    )


class Desk:
    def __init__(self) -> None:
        self.inquiries = Inquiries()
        self.answers: list[Inspected] = []

    def ask(self, *states: SessionState, limit: int = 10) -> list[int]:
        peers = {each.session: number for number, each in enumerate(states)}
        return self.inquiries.on_asked(
            "lounge", states, peers=peers, limit=limit, now_s=100.0, answer=self.answers.append
        )


def test_the_answer_comes_when_every_worker_has_answered() -> None:
    desk = Desk()
    assert desk.ask(state("ana"), state("bob")) == [0, 1]
    desk.inquiries.on_report(0, FIGURES)
    assert desk.answers == []
    desk.inquiries.on_report(1, FIGURES)
    (answer,) = desk.answers
    assert [row.identity for row in answer.sessions] == ["ana", "bob"]
    assert (answer.sessions[0].packets_out, answer.sessions[0].lost_ratio) == (50, 0.25)
    assert desk.inquiries.wakes_at_s is None


def test_who_has_left_meanwhile_is_told_without_figures_when_the_time_is_up() -> None:
    desk = Desk()
    desk.ask(state("ana"), state("bob"))
    desk.inquiries.on_report(0, FIGURES)
    assert desk.inquiries.wakes_at_s == 100.0 + WITHIN_S
    desk.inquiries.on_time(100.0 + WITHIN_S)
    (answer,) = desk.answers
    assert [row.packets_in for row in answer.sessions] == [5, None]
    desk.inquiries.on_report(1, FIGURES)
    assert len(desk.answers) == 1


def test_an_empty_space_is_answered_at_once() -> None:
    desk = Desk()
    assert desk.ask() == []
    assert desk.answers == [Inspected(space="lounge", total=0, sessions=[])]


def test_where_there_are_many_those_on_stage_come_first() -> None:
    desk = Desk()
    asked = desk.ask(state("bob"), state("cem"), state("ana", is_on_stage=True), limit=2)
    for peer in asked:
        desk.inquiries.on_report(peer, FIGURES)
    (answer,) = desk.answers
    assert ([row.identity for row in answer.sessions], answer.total) == (["ana", "bob"], 3)


def test_no_session_s_whole_id_is_told() -> None:
    desk = Desk()
    desk.inquiries.on_asked("lounge", [state("ana")], peers={}, limit=9, now_s=0.0, answer=desk.answers.append)
    assert desk.answers[0].sessions[0].session == "ana-and-"


def test_one_report_serves_two_who_ask_at_once() -> None:
    desk = Desk()
    desk.ask(state("ana"))
    desk.ask(state("ana"))
    desk.inquiries.on_report(0, FIGURES)
    assert len(desk.answers) == 2
