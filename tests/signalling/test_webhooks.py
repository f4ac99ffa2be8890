"""The webhook's body: LiveKit's members and ours, and what the API's description says of it."""

import json
from typing import Any, get_args

import pytest
from jsonschema_rs import validator_for

from signalling.web.openapi import describe
from signalling.webhooks import (
    CONTENT_TYPE,
    WEBHOOKS,
    ActTold,
    Happening,
    PersonTold,
    ReminderTold,
    ReportTold,
    SpaceTold,
    TicketTold,
    Told,
    WebhookType,
    build_body,
)

TOLD: dict[type[Told], Told] = {
    SpaceTold: SpaceTold(title="Town hall", host="ada", state="live"),
    PersonTold: PersonTold(identity="ada", name="Ada", role="host"),
    ActTold: ActTold(action="mute", by="ada", upon="bob", reason="echo"),
    ReportTold: ReportTold(id="r", identity=None, reason="spam"),
    ReminderTold: ReminderTold(occasion="started", identities=["eve"], title="Town hall", starts_at=None),
    TicketTold: TicketTold(ticket="t", identity="bob"),
}


def body(kind: WebhookType, told: Told, space: str = "hall") -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        build_body(Happening(id="e", type=kind, space=space, at_s=1_700_000_000.5, told=told))
    )
    return made


def schema_of(kind: WebhookType) -> dict[str, Any]:
    document = describe([], version="0")
    content = document["webhooks"][kind]["post"]["requestBody"]["content"]
    return {**content[CONTENT_TYPE]["schema"], "components": document["components"]}


def test_every_type_is_described() -> None:
    assert set(WEBHOOKS) == set(get_args(WebhookType))


@pytest.mark.parametrize("kind", get_args(WebhookType))
def test_each_fits_its_description_and_no_other_of_another_kind(kind: WebhookType) -> None:
    described = validator_for(schema_of(kind))
    for told in TOLD.values():
        assert described.is_valid(body(kind, told)) == isinstance(told, WEBHOOKS[kind].told)


def test_livekits_members_stand_where_livekit_has_them() -> None:
    joined = body("participant.joined", TOLD[PersonTold])
    assert (joined["event"], joined["createdAt"]) == ("participant_joined", 1_700_000_000)
    assert joined["room"] == {"sid": "hall", "name": "hall"}
    assert joined["participant"] == {"sid": "hall/ada", "identity": "ada", "name": "Ada"}
    assert (joined["type"], joined["space"], joined["ts"]) == ("participant.joined", "hall", "2023-11-14T22:13:20.500Z")


def test_what_livekit_has_no_name_for_keeps_ours_and_what_is_in_no_space_has_no_room() -> None:
    banned = body("moderation.act", TOLD[ActTold], space="")
    assert banned["event"] == "moderation.act"
    assert "room" not in banned
    assert "participant" not in banned
