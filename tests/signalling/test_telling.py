"""What the application is told of a decision, and in which order."""

import itertools
from typing import Any

from signalling.effects import Announce, Effect, KeepAudit, KeepHappening, KeepStage, KeepTicket
from signalling.events import Left
from signalling.records import SpaceRecord, TicketRecord
from signalling.resources import ParticipantResource, space_resource
from signalling.safety import AuditRecord
from signalling.telling import Telling
from signalling.webhooks import PersonTold, StageTold, TicketTold

HALL = space_resource(
    SpaceRecord(space="hall", title="Town hall", audience="forward", host="ada", max_speakers=9, created_at_s=1.0),
    url="",
)


def telling() -> Telling:
    numbers = itertools.count(1)
    return Telling(lambda: f"id-{next(numbers)}")


def person(identity: str, **more: Any) -> ParticipantResource:
    fields: dict[str, Any] = {
        "name": identity.title(),
        "role": "speaker",
        "is_muted": False,
        "is_connected": True,
        "has_raised_hand": False,
        "joined_at": "2026-01-01T00:00:00Z",
        **more,
    }
    return ParticipantResource(identity=identity, **fields)


def told(made: Telling, *effects: Effect, stage: list[str] | None = None) -> list[tuple[str, str]]:
    """Type and whom or what it is about, of each happening in order."""
    people = None if stage is None else [person(identity) for identity in stage]
    news = made.on_decision("hall", effects, stage=people, now_s=5.0)
    about = [effect.record for effect in news if isinstance(effect, KeepHappening)]
    return [(one.type, one.told.identity if isinstance(one.told, PersonTold) else "") for one in about]


def test_who_comes_on_stage_and_leaves_it_is_told_once() -> None:
    made = telling()
    assert told(made, stage=["ada"]) == [("participant.joined", "ada")]
    assert told(made, stage=["ada", "bob"]) == [("participant.joined", "bob")]
    assert told(made, stage=["ada", "bob"]) == []
    assert told(made, stage=["bob"]) == [("participant.left", "ada")]


def test_the_stage_is_empty_before_the_end_is_told() -> None:
    made = telling()
    told(made, stage=["ada", "bob"])
    assert told(made, Announce("space.ended", HALL), stage=[]) == [
        ("participant.left", "ada"),
        ("participant.left", "bob"),
        ("space.ended", ""),
    ]


def test_until_it_is_known_who_is_there_nobody_is_taken_for_gone() -> None:
    made = telling()
    made.on_restored([StageTold("hall", [PersonTold(identity="ada", name="Ada", role="host")])])
    assert told(made, Announce("space.changed", HALL), stage=None) == [("space.changed", "")]
    assert told(made, stage=["ada"]) == []
    assert told(made, stage=[]) == [("participant.left", "ada")]


def test_a_new_stage_is_kept_with_its_news() -> None:
    news = telling().on_decision("hall", [], stage=[person("ada", role="host")], now_s=5.0)
    assert news[-1] == KeepStage(StageTold("hall", [PersonTold(identity="ada", name="Ada", role="host")]))


def test_acts_and_what_becomes_of_the_space_are_told_and_the_rest_is_not() -> None:
    made = telling()
    act = KeepAudit(AuditRecord(at_s=5.0, space="hall", action="mute", by="ada", upon="bob"))
    chatter = Announce("participant.left", Left("eve"))
    assert told(made, act, chatter, Announce("space.started", HALL)) == [("moderation.act", ""), ("space.started", "")]


def test_the_first_use_of_a_ticket_has_one_name_however_often_it_is_told() -> None:
    made = telling()
    issued = TicketRecord(ticket="t", identity="bob", issued_at_s=1.0)
    used = TicketRecord(ticket="t", identity="bob", issued_at_s=1.0, used_at_s=4.0)
    revoked = TicketRecord(ticket="t", identity="bob", issued_at_s=1.0, used_at_s=4.0, revoked_at_s=5.0)
    assert told(made, KeepTicket(issued), KeepTicket(revoked)) == []
    [news] = made.on_decision("hall", [KeepTicket(used)], stage=None, now_s=5.0)
    assert isinstance(news, KeepHappening)
    assert (news.record.id, news.record.told) == ("ticket/t/used", TicketTold(ticket="t", identity="bob"))
