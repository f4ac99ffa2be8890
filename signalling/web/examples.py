"""What bodies look like, by their type, for the description of the API; a test holds each against its schema."""

from collections.abc import Mapping
from typing import Any, Final

from sfu.contract.messages import Inspected
from signalling.discovery import FoundSpaces
from signalling.events import EVENTS
from signalling.resources import (
    Blocks,
    DevToken,
    Hands,
    Invite,
    MutedIdentities,
    ParticipantList,
    ParticipantResource,
    Promote,
    Readiness,
    SpaceList,
    SpaceResource,
    TicketList,
    TicketResource,
    WithReason,
)
from signalling.safety import AuditPage, BanList, BanResource, ReportPage, ReportReceipt, ReportResource
from signalling.web.discovery import ReminderResource
from signalling.web.people import Erased, PersonData
from signalling.web.webhooks import DeliveryPage, DeliveryResource

_SPACE: Final = EVENTS["space.changed"].example
_PERSON: Final = EVENTS["participant.changed"].example
_AT: Final = "2026-11-21T17:20:00.000Z"
_REASON: Final = "Shouted others down."
_CURSOR: Final = "eyJhdCI6MTc5NTI4MDU4MH0"
_TICKET: Final = {
    "id": "5f2b8c0d9e1a47368b5c0d9e",
    "identity": "cleo",
    "issued_at": "2026-11-20T10:00:00.000Z",
    "used_at": _AT,
    "revoked_at": None,
}
_AUDIT: Final = {
    "at": _AT,
    "space": "town-hall",
    "action": "remove",
    "by": "ada",
    "upon": "bob",
    "reason": _REASON,
}
_REPORT: Final = {
    "id": "0d9e1a47368b5c0d9e5f2b8c",
    "created_at": _AT,
    "space": "town-hall",
    "reporter": "cleo",
    "identity": "bob",
    "reason": "harassment",
    "text": "Shouts at whoever speaks.",
    "state": "resolved",
    "resolution": "warned",
    "resolved_by": "operator",
    "resolved_at": "2026-11-21T18:20:00.000Z",
}
_BAN: Final = {"identity": "mallory", "banned_at": _AT, "by": "operator", "reason": "Spam in four spaces."}
_DELIVERY: Final = {
    "id": "1042",
    "event": "3f9a1c0d5b7e",
    "type": "space.started",
    "space": "town-hall",
    "url": "https://hooks.example/palco",
    "state": "pending",
    "attempts": 2,
    "created_at": _AT,
    "finished_at": None,
    "next_attempt_at": "2026-11-21T17:20:08.000Z",
    "error": "answered 502",
    "body": {"event": "space.started"},
}

_SESSION: Final = {
    "session": "Zk3u9w0c",
    "identity": "bob",
    "kind": "stage",
    "is_connected": True,
    "is_on_stage": True,
    "is_muted": False,
    "packets_in": 15_000,
    "packets_out": 44_210,
    "bytes_in": 1_425_000,
    "bytes_out": 4_200_000,
    "lost_ratio": 0.004,
    "jitter_s": 0.006,
    "round_trip_s": 0.041,
}

EXAMPLES: Final[Mapping[Any, Any]] = {
    SpaceResource: _SPACE,
    SpaceList: {"spaces": [_SPACE]},
    FoundSpaces: {
        "spaces": [{**_SPACE, "on_stage": [{"identity": "ada", "name": "Ada", "is_speaking": True}]}],
        "next": _CURSOR,
    },
    ParticipantResource: _PERSON,
    ParticipantList: {"participants": [_PERSON]},
    Hands: {"hands": [{"identity": "cleo", "name": "Cleo", "raised_at": _AT}]},
    Promote: {"role": "cohost"},
    Invite: {"role": "speaker"},
    WithReason: {"reason": _REASON},
    MutedIdentities: {"muted": ["bob"]},
    Blocks: {"blocks": [{"identity": "mallory", "at": _AT}]},
    TicketResource: _TICKET,
    TicketList: {"tickets": [_TICKET]},
    ReminderResource: {"is_set": True},
    ReportReceipt: {"id": _REPORT["id"], "created_at": _AT},
    ReportResource: _REPORT,
    ReportPage: {"reports": [_REPORT], "next": None},
    AuditPage: {"entries": [_AUDIT], "next": None},
    BanResource: _BAN,
    BanList: {"bans": [_BAN]},
    PersonData: {"identity": "bob", "data": {"standings": [{"space": "town-hall", "is_muted": True}]}},
    Erased: {"pseudonym": "erased-5f2b8c0d"},
    DeliveryResource: _DELIVERY,
    DeliveryPage: {"deliveries": [_DELIVERY], "next": None},
    Inspected: {"type": "inspected", "space": "town-hall", "total": 1, "sessions": [_SESSION]},
    Readiness: {"status": "ready", "reasons": []},
    DevToken: {"token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "identity": "speaker-3f9a1c", "space": "demo"},
}
