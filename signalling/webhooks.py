"""What the operator's application is told by HTTP: the events, their one wire form, and the signature. Pure.

One body speaks to two readers: LiveKit's SDKs find `event`, `id`, `createdAt`, `room` and `participant` where LiveKit
puts them; Palco's own vocabulary stands beside them as `type`, `space` and `data`. `event` is LiveKit's name where it
has one for what happened, else ours.

The signature is LiveKit's: a JWT in `Authorization`, without a scheme, whose `sha256` claim is the body's SHA-256 in
base64. It has no `sub`, so it opens nothing here (`signalling.tokens` requires one).
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final, Literal

import jwt
import msgspec
from msgspec import Struct

from signalling.resources import Timestamp, timestamp
from signalling.tokens import ALGORITHM

CONTENT_TYPE: Final = "application/webhook+json"

WebhookType = Literal[
    "space.scheduled",
    "space.changed",
    "space.cancelled",
    "space.started",
    "space.ended",
    "participant.joined",
    "participant.left",
    "moderation.act",
    "report.filed",
    "reminder.due",
    "ticket.used",
]

LIVEKIT_NAMES: Final[Mapping[WebhookType, str]] = {
    "space.started": "room_started",
    "space.ended": "room_finished",
    "participant.joined": "participant_joined",
    "participant.left": "participant_left",
}

SIGNATURE_LIFETIME_S: Final = 300
"""LiveKit's; a receiver with a wrong clock is forgiven this much, a replayed body accepted no longer."""


class SpaceTold(Struct, frozen=True, kw_only=True):
    """A space, as it was when it happened."""

    title: str
    host: str
    state: str
    starts_at: Timestamp | None = None


class PersonTold(Struct, frozen=True, kw_only=True):
    """Someone who came on stage or left it. The audience is not told one by one."""

    identity: str
    name: str
    role: str


class ActTold(Struct, frozen=True, kw_only=True):
    """A moderation act, as the audit trail has it; `upon` is empty for acts on the whole space."""

    action: str
    by: str
    upon: str
    reason: str


class ReportTold(Struct, frozen=True, kw_only=True):
    id: str
    identity: str | None
    """Who is reported; None reports the space itself."""
    reason: str


class ReminderTold(Struct, frozen=True, kw_only=True):
    """Whom to remind now: the host 30 minutes before, those who opted in at the start."""

    occasion: Literal["host_before", "started"]
    identities: list[str]
    title: str
    starts_at: Timestamp | None


class TicketTold(Struct, frozen=True, kw_only=True):
    ticket: str
    identity: str


Told = SpaceTold | PersonTold | ActTold | ReportTold | ReminderTold | TicketTold


class Webhook(Struct, frozen=True):
    """How a type is described."""

    summary: str
    told: type[Told]


WEBHOOKS: Final[Mapping[WebhookType, Webhook]] = {
    "space.scheduled": Webhook("A space is to come.", SpaceTold),
    "space.changed": Webhook("A space's title, start or rules are others now.", SpaceTold),
    "space.cancelled": Webhook("A scheduled space was called off.", SpaceTold),
    "space.started": Webhook("A space is live.", SpaceTold),
    "space.ended": Webhook("A space is over.", SpaceTold),
    "participant.joined": Webhook("Somebody came on stage.", PersonTold),
    "participant.left": Webhook("Somebody left the stage.", PersonTold),
    "moderation.act": Webhook("A moderator or the operator has acted; as in the audit trail.", ActTold),
    "report.filed": Webhook("Somebody reported a person or a space.", ReportTold),
    "reminder.due": Webhook("People are to be reminded now.", ReminderTold),
    "ticket.used": Webhook("The holder of a ticket came in for the first time.", TicketTold),
}


class LiveKitRoom(Struct, frozen=True, kw_only=True, rename="camel"):
    """LiveKit's `Room`, as far as it is known here."""

    sid: str
    name: str


class LiveKitParticipant(Struct, frozen=True, kw_only=True, rename="camel"):
    """LiveKit's `ParticipantInfo`, likewise."""

    sid: str
    identity: str
    name: str


class WebhookBody(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is POSTed, as JSON. Members that LiveKit does not know, its SDKs are told to ignore."""

    event: str
    id: str
    """The same at every attempt: a receiver that has seen it ignores it."""
    created_at: int
    """Seconds since 1970, as LiveKit has it."""
    room: LiveKitRoom | None = None
    participant: LiveKitParticipant | None = None
    type: WebhookType
    space: str
    ts: Timestamp
    data: Any
    """By `type`: see `WEBHOOKS`."""


class Happening(Struct, frozen=True, kw_only=True):
    """Something that the application is to be told. `id` tells it from all others, for ever."""

    id: str
    type: WebhookType
    space: str
    """Empty where no space is concerned. What happened in one space is told in its order."""
    at_s: float
    told: Told


class StageTold(Struct, frozen=True):
    """Who is on stage, as far as the application was told."""

    space: str
    people: list[PersonTold]


def build_body(happening: Happening) -> bytes:
    """The JSON, made once: what was signed is what is sent, at every attempt."""
    told = happening.told
    person = None
    if isinstance(told, PersonTold):
        sid = f"{happening.space}/{told.identity}"
        person = LiveKitParticipant(sid=sid, identity=told.identity, name=told.name)
    body = WebhookBody(
        event=LIVEKIT_NAMES.get(happening.type, happening.type),
        id=happening.id,
        created_at=int(happening.at_s),
        room=LiveKitRoom(sid=happening.space, name=happening.space) if happening.space else None,
        participant=person,
        type=happening.type,
        space=happening.space,
        ts=timestamp(happening.at_s),
        data=told,
    )
    return msgspec.json.encode(body)


def sign(body: bytes, *, key: str, secret: str, now_s: float) -> str:
    """The `Authorization` header's value for `body`, sent at `now_s`."""
    claims = {
        "iss": key,
        "nbf": int(now_s),
        "exp": int(now_s) + SIGNATURE_LIFETIME_S,
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)
