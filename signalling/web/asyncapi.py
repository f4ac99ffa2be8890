"""The AsyncAPI 3.0 description of the event streams, made from the catalogue of events that are sent."""

from typing import Any, Final

import msgspec

from signalling.events import EVENTS, PERSONAL
from signalling.pacing import MOST_PER_S
from signalling.resources import SPACE_ID_PATTERN
from signalling.ring import MAX_EVENTS

PATH: Final = "/schema/asyncapi.json"

_SCHEMA: Final = "#/components/schemas/{name}"
_ADDRESSES: Final = {
    "events": ("/v1/spaces/{space}/events", "Server-sent events: `event` is the type, `id` the cursor, `data` this."),
    "socket": ("/v1/spaces/{space}/ws", "A WebSocket that only tells: a text message for each event."),
}

_ABOUT: Final = f"""\
A stream begins with `snapshot`, and goes on with what happens. `seq` grows along it; numbers are missing where others
were told something alone. At most {MOST_PER_S} messages a second come, beside those that repeat what was missed; what
has been superseded meanwhile is left out.

A stream that broke off goes on after its last event: its cursor is `<epoch>-<seq>`, with the epoch of the snapshot; on
server-sent events it is the `id`. Send it as `after` in the URL, or as Last-Event-ID. While all that was missed is
still kept (the last {MAX_EVENTS} events of a space), the stream begins with `resumed` and just that; otherwise, and
always after a restart of the server, with a new `snapshot`. A reader that falls behind is shown a `snapshot` in
mid-stream. New types of events may come; leave out what you do not know."""


def describe_events(*, version: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    kinds = list({kind.payload: None for kind in EVENTS.values()})
    references, schemas = msgspec.json.schema_components(kinds, ref_template=_SCHEMA)
    reference_to = dict(zip(kinds, references, strict=True))
    return {
        "asyncapi": "3.0.0",
        "id": "urn:palco:events",
        "info": {
            "title": "Palco events",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name) for name in _ADDRESSES},
        "operations": {
            f"tell_{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"What happens in a space, by {name}.",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
            for name in _ADDRESSES
        },
        "components": {
            "messages": {_name(event): _message(event, reference_to[EVENTS[event].payload]) for event in EVENTS},
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "As in OpenAPI; a WebSocket may offer the subprotocol `palco.token.<token>`.",
                }
            },
        },
    }


def _channel(name: str) -> dict[str, Any]:
    address, description = _ADDRESSES[name]
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "parameters": {"space": {"description": f"The id of the space, {SPACE_ID_PATTERN}."}},
        "messages": {_name(event): {"$ref": f"#/components/messages/{_name(event)}"} for event in EVENTS},
    }
    if name == "socket":
        channel["bindings"] = {
            "ws": {
                "method": "GET",
                "query": {"type": "object", "properties": {"after": {"type": "string", "description": "A cursor."}}},
                "bindingVersion": "0.1.0",
            }
        }
    return channel


def _message(event: str, reference: dict[str, Any]) -> dict[str, Any]:
    kind = EVENTS[event]
    envelope = {"type": event, "seq": 1042, "ts": "2026-11-21T17:05:00.000Z", "space": "town-hall"}
    return {
        "name": event,
        "title": event,
        "summary": kind.summary,
        "tags": [{"name": "personal" if event in PERSONAL else "shared"}],
        "payload": {
            "type": "object",
            "properties": {
                "type": {"const": event},
                "seq": {"type": "integer", "minimum": 0},
                "ts": {"type": "string", "format": "date-time"},
                "space": {"type": "string", "pattern": SPACE_ID_PATTERN},
                "data": reference,
            },
            "required": ["type", "seq", "ts", "space", "data"],
        },
        "examples": [{"name": _name(event), "payload": {**envelope, "data": kind.example}}],
    }


def _name(event: str) -> str:
    """`participant.joined` as a component's name."""
    return event.replace(".", "_")
