"""The description of the event streams: valid AsyncAPI, with an example of everything that fits its own schema."""

import json
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest

from signalling.events import EVENTS, EventType, NoticeType, OpeningType, Payload
from signalling.web.asyncapi import describe_events
from tests.conftest import MISSING

SPECS = Path(__file__).parents[2] / "interop/node_modules/@asyncapi/specs/schemas/3.0.0.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(describe_events(version="1.2.3")))  # type: ignore[no-any-return]


def test_the_catalogue_has_every_type_that_can_be_sent_and_no_other() -> None:
    assert set(EVENTS) == {*get_args(EventType), *get_args(NoticeType), *get_args(OpeningType)}


def test_every_payload_can_be_sent() -> None:
    sendable = {*get_args(Payload), EVENTS["snapshot"].payload, EVENTS["resumed"].payload}
    assert {kind.payload for kind in EVENTS.values()} == sendable


@pytest.mark.parametrize("event", EVENTS)
def test_an_example_is_what_its_type_says_and_nothing_else(event: str) -> None:
    kind = EVENTS[event]
    assert msgspec.to_builtins(msgspec.convert(kind.example, kind.payload)) == kind.example


@pytest.mark.parametrize("event", EVENTS)
def test_the_example_of_every_message_fits_its_schema(document: dict[str, Any], event: str) -> None:
    message = document["components"]["messages"][event.replace(".", "_")]
    validator = jsonschema_rs.validator_for({**message["payload"], "components": document["components"]})
    assert message["name"] == event
    (example,) = message["examples"]
    validator.validate(example["payload"])
    assert not validator.is_valid({**example["payload"], "type": "something.else"})
    assert not validator.is_valid({name: part for name, part in example["payload"].items() if name != "seq"})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if "$ref" in part else []
            return own + [found for each in part.values() for found in references(each)]
        return [found for each in part for found in references(each)] if isinstance(part, list) else []

    found = references(document)
    assert len(found) > len(EVENTS)
    for reference in found:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


@pytest.mark.live
def test_it_is_asyncapi_3_by_the_initiatives_own_schema(document: dict[str, Any]) -> None:
    if not SPECS.exists():
        pytest.skip(f"{MISSING}: the schema of AsyncAPI (npm)")
    validator = jsonschema_rs.validator_for(json.loads(SPECS.read_text()))
    validator.validate(document)
    assert not validator.is_valid({**document, "channels": {"events": {"adress": "/"}}})
