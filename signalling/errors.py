"""What signalling refuses, by whose fault, and the one table of codes that every answer draws from. Pure.

`PeerError`: a stranger or a browser broke protocol. `CommandError`: a caller asked for the impossible or the forbidden.
Both become `application/problem+json` (RFC 9457) with the status of their code. `Bug`: our own assumption broke; the
caller sees `internal` and nothing else. Facts are fields of the problem, not words in its text.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

Fact = str | int | float | bool | list[str]


class Code(Struct, frozen=True):
    """One stable name that a client may act on."""

    status: int
    title: str


CODES: Final[Mapping[str, Code]] = {
    # The request itself
    "bad_request": Code(400, "The request is malformed"),
    "bad_sdp": Code(400, "The SDP cannot be read"),
    "bad_sdpfrag": Code(400, "The SDP fragment cannot be read"),
    "not_found": Code(404, "There is nothing here"),
    "method_not_allowed": Code(405, "This method is not for this resource"),
    "request_timeout": Code(408, "The body did not arrive in time"),
    "too_large": Code(413, "The body is too large"),
    "unsupported_media_type": Code(415, "The body has the wrong Content-Type"),
    "unacceptable_sdp": Code(422, "The SDP is well-formed but asks for what is not served here"),
    "too_many_requests": Code(429, "Too many requests"),
    "too_many_headers": Code(431, "The header is too large"),
    # Who asks
    "unauthenticated": Code(401, "A bearer token is needed"),
    "bad_token": Code(401, "The token is not valid"),
    "missing_permission": Code(403, "The token or the role does not allow this"),
    "outranked": Code(403, "The other person's role is not below yours"),
    "removed": Code(403, "Removed from this space"),
    "blocked": Code(403, "Blocked from this space"),
    "not_on_stage": Code(403, "Moved back to the audience"),
    "wrong_origin": Code(403, "This origin may not open a WebSocket"),
    # What is asked for
    "unknown_space": Code(404, "No such space"),
    "unknown_participant": Code(404, "No such participant in this space"),
    "unknown_session": Code(404, "No such session"),
    "space_exists": Code(409, "A space with this id exists already"),
    "space_full": Code(409, "The space takes no more participants"),
    "stage_full": Code(409, "The stage is full"),
    "not_invited": Code(409, "Nobody invited this participant"),
    "too_many_sessions": Code(409, "This identity has too many sessions"),
    "too_many_subscriptions": Code(409, "This identity has too many event streams"),
    "space_ended": Code(410, "The space has ended"),
    "stale_etag": Code(412, "The session has changed since"),
    "precondition_required": Code(428, "If-Match is required"),
    # The server
    "internal": Code(500, "A fault of this server"),
    "draining": Code(503, "This server is going out of service"),
    "overloaded": Code(503, "This server is full"),
    "sfu_unavailable": Code(503, "The media server is not there"),
}

RETRY_AFTER_S: Final[Mapping[str, int]] = {
    "too_many_requests": 1,
    "too_many_subscriptions": 10,
    "draining": 30,
    "overloaded": 15,
    "sfu_unavailable": 2,
}
"""What `Retry-After` says where the raiser knows no better."""


class Refusal(Exception):  # noqa: N818
    """A request that is answered with a problem. Raise one of the two below."""

    def __init__(self, code: str, detail: str, **facts: Fact) -> None:
        super().__init__(f"{code}: {detail}")
        if code not in CODES:
            raise Bug(f"no such code: {code}")
        self.code = code
        self.detail = detail
        self.facts = facts

    @property
    def status(self) -> int:
        return CODES[self.code].status


class PeerError(Refusal):
    """A stranger or a browser broke protocol: refused, counted, and life goes on."""


class CommandError(Refusal):
    """A caller asked for what cannot or may not be; `detail` says what to do about it."""


class Bug(Exception):  # noqa: N818
    """Our own assumption broke."""
