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
    rule: str = ""
    """What refuses, in one sentence."""
    remedy: str = ""
    """How to get it allowed; empty where there is no way."""


CODES: Final[Mapping[str, Code]] = {
    # The request itself
    "bad_request": Code(400, "The request is malformed"),
    "bad_cursor": Code(
        400, "The cursor is not of this list", "A cursor is `next` of a page, unchanged.", "Begin again without one."
    ),
    "bad_url": Code(
        400,
        "The link is not one to send people to",
        "Links are http or https, with a host and without credentials.",
        "Send the URL as a browser shows it.",
    ),
    "not_an_emoji": Code(
        400, "A reaction is one emoji", "Emoji are those that Unicode recommends.", "Send one, and nothing beside it."
    ),
    "bad_sdp": Code(400, "The SDP cannot be read"),
    "bad_sdpfrag": Code(400, "The SDP fragment cannot be read"),
    "not_found": Code(404, "There is nothing here"),
    "method_not_allowed": Code(405, "This method is not for this resource"),
    "request_timeout": Code(408, "The body did not arrive in time"),
    "too_large": Code(413, "The body is too large"),
    "unsupported_media_type": Code(415, "The body has the wrong Content-Type"),
    "title_too_long": Code(400, "The title is too long", "A title has at most 70 characters.", "Shorten the title."),
    "bad_title": Code(400, "The title cannot be shown", "A title has a character and only printable ones."),
    "description_too_long": Code(400, "The description is too long", "A description has at most 1000 characters."),
    "unknown_topic": Code(
        400, "There is no such topic", "Topics are those of the operator's list.", "Choose from `topics`."
    ),
    "too_many_topics": Code(400, "Too many topics", "A space has at most three topics.", "Leave some out."),
    "bad_language": Code(400, "The language is not a language tag", "Languages are written as in BCP 47."),
    "bad_time": Code(400, "The time cannot be read", "Times are written as in RFC 3339, with their zone."),
    "starts_in_the_past": Code(
        400, "The start is in the past", "A space begins now or later.", "Leave starts_at out to begin now."
    ),
    "starts_too_late": Code(
        400, "The start is too far ahead", "A space is scheduled a few days ahead.", "Choose a time before `latest`."
    ),
    "unacceptable_sdp": Code(422, "The SDP is well-formed but asks for what is not served here"),
    "too_many_requests": Code(429, "Too many requests"),
    "too_many_headers": Code(431, "The header is too large"),
    # Who asks
    "unauthenticated": Code(401, "A bearer token is needed"),
    "bad_token": Code(401, "The token is not valid"),
    "missing_permission": Code(403, "The token or the role does not allow this"),
    "outranked": Code(403, "The other person's role is not below yours"),
    "removed": Code(
        403,
        "Removed from this space",
        "A removal refuses every token from before it.",
        "Ask the host to be let in again, by a new token.",
    ),
    "blocked": Code(
        403,
        "Blocked from this space",
        "A host's block holds in all of the host's spaces.",
        "The host can lift it (unblock).",
    ),
    "not_on_stage": Code(
        403,
        "Moved back to the audience",
        "Whom a moderator moved to the audience speaks again when one brings them back.",
        "Raise your hand.",
    ),
    "speak_not_allowed": Code(
        403,
        "Not everybody may come on stage here",
        "Who may come on stage uninvited is the space's `speak`: everyone, followed or invited.",
        "Raise your hand; a host can accept it, or change `speak`.",
    ),
    "ticket_needed": Code(
        403, "This space needs a ticket", "Whoever joins holds a ticket of the space.", "Get a ticket from its host."
    ),
    "wrong_origin": Code(403, "This origin may not open a WebSocket"),
    "banned": Code(
        403, "Banned from this server", "The operator keeps this identity out.", "Ask the operator to lift the ban."
    ),
    # What is asked for
    "unknown_report": Code(404, "No such report"),
    "unknown_delivery": Code(404, "No such webhook", "Old deliveries are deleted.", "List what there is."),
    "not_banned": Code(404, "This identity is not banned"),
    "report_resolved": Code(409, "The report was resolved already", "A report is resolved once."),
    "not_scheduled": Code(
        409, "The space is not to come", "One is reminded of what is scheduled.", "Join it if it is live."
    ),
    "reminders_unavailable": Code(
        409,
        "This server sends no reminders",
        "Reminders go out by webhook.",
        "The operator sets webhook.urls.",
    ),
    "too_many_reminders": Code(
        409, "This identity has too many reminders", "One person has so many reminders.", "Withdraw one."
    ),
    "person_is_live": Code(
        409,
        "The person is in spaces that are not over",
        "Who is known in an open space is not erased.",
        "End the spaces in `spaces`, or wait for their end.",
    ),
    "person_is_banned": Code(
        409, "The person is banned", "Erasing would forget the ban.", "Lift the ban if that is meant."
    ),
    "delivery_pending": Code(
        409, "The webhook is on its way already", "What waits is not sent twice.", "Wait for its outcome."
    ),
    "webhook_url_gone": Code(
        409, "The webhook's URL is no longer configured", "Only configured URLs are asked.", "Set webhook.urls."
    ),
    "idempotency_key_in_flight": Code(
        409, "The first request with this key is not done", "A key is for one request.", "Repeat it in a moment."
    ),
    "idempotency_key_reused": Code(
        422, "The idempotency key came with another request", "A key is for one request.", "Use a fresh key."
    ),
    "too_many_idempotency_keys": Code(
        429, "This identity has too many idempotency keys", "Keys are kept for a day.", "Wait, or send none."
    ),
    "unknown_space": Code(404, "No such space"),
    "unknown_participant": Code(404, "No such participant in this space"),
    "unknown_link": Code(404, "No such link on this stage", remedy="Read the links again; it may have been removed."),
    "unknown_session": Code(404, "No such session"),
    "unknown_ticket": Code(404, "No such ticket"),
    "space_exists": Code(409, "A space with this id exists already"),
    "space_full": Code(409, "The space takes no more participants"),
    "stage_full": Code(
        409,
        "The stage is full",
        "A stage holds so many speakers beside host and cohosts.",
        "Wait until somebody steps down, or ask a host to move somebody to the audience.",
    ),
    "cohosts_full": Code(
        409,
        "There are as many cohosts as may be",
        "A space has so many cohosts.",
        "Move one to the audience or make them a speaker first.",
    ),
    "not_invited": Code(
        409, "Nobody invited this participant", "Only an open invitation is answered.", "Raise your hand to ask."
    ),
    "already_on_stage": Code(409, "On stage already", "Whoever is on stage need not come there."),
    "not_a_speaker": Code(409, "In the audience already", "Whoever steps down was on stage."),
    "host_stays": Code(
        409,
        "The host stays",
        "A space has one host, who leaves the stage only by leaving.",
        "Mute yourself, leave, or end the space.",
    ),
    "muted_by_host": Code(
        409, "Muted by a host", "A host's mute is lifted by a host.", "Ask to be allowed (unmute by a host or cohost)."
    ),
    "no_hand": Code(409, "No hand is raised", "Only a raised hand is answered.", "Invite them instead."),
    "hand_answered": Code(
        409, "Another moderator has answered this hand", "A hand is answered once.", "Promote or demote them instead."
    ),
    "not_blocked": Code(409, "Not blocked", "Only a block is lifted."),
    "participant_left": Code(
        409, "They have just left", "Acts are upon people who are here.", "Block them, or wait until they are back."
    ),
    "duplicate_identity": Code(
        409,
        "Somebody else is here by this identity",
        "An identity belongs to the application (API key) that brought it first.",
        "Use another identity, or wait until it has left.",
    ),
    "not_started": Code(
        409, "The space has not begun", "A scheduled space is joined from its start on.", "Come back at `starts_at`."
    ),
    "already_live": Code(
        409, "The space has begun", "A start is moved, made or cancelled before it.", "End the space instead."
    ),
    "too_many_scheduled": Code(
        409,
        "This host has scheduled as many spaces as may be",
        "A host has so many scheduled spaces at a time.",
        "Start or cancel one.",
    ),
    "no_tickets": Code(
        409, "This space needs no ticket", "Tickets are issued where they are needed.", "Give the space a `ticket`."
    ),
    "sold_out": Code(
        409, "No ticket is left", "A space issues tickets up to its capacity.", "Revoke one, or raise the capacity."
    ),
    "has_ticket": Code(409, "They have a ticket already", "One ticket admits one person, and one is enough."),
    "not_transferable": Code(
        409, "Tickets are not transferable here", "Whether tickets may be passed on is the space's to say."
    ),
    "ticket_used": Code(409, "The ticket has been used", "A ticket is its first user's for good."),
    "ticket_revoked": Code(409, "The ticket was revoked", "A revoked ticket admits nobody.", "Issue a new one."),
    "too_many_links": Code(
        409, "The stage has as many links as it takes", "A stage has five pinned links.", "Remove one first."
    ),
    "links_changed": Code(
        409, "The links are other ones by now", "An order names each link once.", "Read the links again."
    ),
    "too_many_sessions": Code(409, "This identity has too many sessions"),
    "too_many_subscriptions": Code(409, "This identity has too many event streams"),
    "space_ended": Code(410, "The space has ended"),
    "space_cancelled": Code(410, "The space was called off"),
    "stale_etag": Code(412, "The session has changed since"),
    "precondition_required": Code(428, "If-Match is required"),
    # The server
    "internal": Code(500, "A fault of this server"),
    "draining": Code(503, "This server is going out of service"),
    "overloaded": Code(503, "This server is full"),
    "sfu_unavailable": Code(503, "The media server is not there"),
    "store_unavailable": Code(503, "The database is not there"),
}

RETRY_AFTER_S: Final[Mapping[str, int]] = {
    "too_many_requests": 1,
    "idempotency_key_in_flight": 1,
    "too_many_idempotency_keys": 3600,
    "too_many_subscriptions": 10,
    "draining": 30,
    "overloaded": 15,
    "sfu_unavailable": 2,
    "store_unavailable": 2,
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
