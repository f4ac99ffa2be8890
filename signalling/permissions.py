"""Who may do what: one table of roles by actions, and the only place where anything is authorised. Pure.

A token is a ceiling and a key to one space; the live role is held by the server (`signalling.spaces`). A standing is
what either says of the caller, and the caller may act if any of his standings stands in the action's row.

Not here: whether a participant was removed or blocked (`spaces.Space.check_admission`), because that is no question of
rank; and the bearer token of a session's own URL, which must be of the same identity or pass `close_session`.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from signalling.errors import CommandError
from signalling.tokens import Token

Role = Literal["host", "cohost", "speaker", "listener"]

ROLES: Final[tuple[Role, ...]] = ("host", "cohost", "speaker", "listener")

Standing = Literal[
    "host", "cohost", "speaker", "listener", "creator", "browser", "publisher", "subscriber", "captioner", "operator"
]
"""The four roles, and what a token says beyond them: create spaces, list them, be heard, hear, caption, operate."""

Action = Literal[
    "create_space",
    "list_spaces",
    "read_space",
    "edit_space",
    "start_space",
    "cancel_space",
    "end_space",
    "read_participants",
    "watch_events",
    "publish",
    "subscribe",
    "open_stage_session",
    "close_session",
    "mute",
    "unmute",
    "mute_all",
    "invite",
    "promote",
    "promote_to_cohost",
    "demote",
    "remove",
    "block",
    "unblock",
    "read_blocks",
    "read_hands",
    "accept_hand",
    "decline_hand",
    "issue_ticket",
    "read_tickets",
    "revoke_ticket",
    "transfer_ticket",
    "accept_invitation",
    "decline_invitation",
    "raise_hand",
    "step_up",
    "step_down",
    "mute_oneself",
    "react",
    "publish_captions",
    "read_links",
    "pin_link",
    "unpin_own_link",
    "unpin_link",
    "order_links",
    "remind",
    "file_report",
    "read_audit",
    "operate_spaces",
    "ban",
    "read_reports",
    "export_person",
    "erase_person",
    "read_webhooks",
    "redeliver_webhook",
]

_MODERATORS: Final = frozenset[Standing]({"host", "cohost"})
_PARTICIPANTS: Final = frozenset[Standing]({"host", "cohost", "speaker", "listener"})

ALLOWED: Final[Mapping[Action, frozenset[Standing]]] = {
    "create_space": frozenset({"creator"}),
    "list_spaces": frozenset({"browser"}),
    "read_space": _PARTICIPANTS | {"browser"},
    "edit_space": _MODERATORS,
    "start_space": _MODERATORS,
    "cancel_space": frozenset({"host"}),
    "end_space": frozenset({"host"}),
    "read_participants": _PARTICIPANTS,
    "watch_events": _PARTICIPANTS,
    "publish": frozenset({"publisher", "speaker"}),
    "subscribe": frozenset({"subscriber"}),
    "open_stage_session": frozenset({"subscriber"}),
    "close_session": _MODERATORS,
    "mute": _MODERATORS,
    "unmute": _MODERATORS,
    "mute_all": _MODERATORS,
    "invite": _MODERATORS,
    "promote": _MODERATORS,
    "promote_to_cohost": frozenset({"host"}),
    "demote": _MODERATORS,
    "remove": _MODERATORS,
    "block": _MODERATORS,
    "unblock": _MODERATORS,
    "read_blocks": _MODERATORS,
    "read_hands": _MODERATORS,
    "accept_hand": _MODERATORS,
    "decline_hand": _MODERATORS,
    "issue_ticket": _MODERATORS,
    "read_tickets": _MODERATORS,
    "revoke_ticket": _MODERATORS,
    "transfer_ticket": _PARTICIPANTS,
    "accept_invitation": _PARTICIPANTS,
    "decline_invitation": _PARTICIPANTS,
    "raise_hand": frozenset({"listener"}),
    "step_up": _PARTICIPANTS,
    "step_down": _PARTICIPANTS,
    "mute_oneself": _PARTICIPANTS,
    "react": _PARTICIPANTS,
    "publish_captions": frozenset({"captioner"}),
    "read_links": _PARTICIPANTS,
    "pin_link": _MODERATORS | {"speaker", "publisher"},
    "unpin_own_link": _MODERATORS | {"speaker", "publisher"},
    "unpin_link": _MODERATORS,
    "order_links": _MODERATORS,
    "remind": _PARTICIPANTS | {"browser"},
    "file_report": _PARTICIPANTS | {"browser"},
    "read_audit": frozenset({"host", "operator"}),
    "operate_spaces": frozenset({"operator"}),
    "ban": frozenset({"operator"}),
    "read_reports": frozenset({"operator"}),
    "export_person": frozenset({"operator"}),
    "erase_person": frozenset({"operator"}),
    "read_webhooks": frozenset({"operator"}),
    "redeliver_webhook": frozenset({"operator"}),
}

OUTRANKS: Final[Mapping[Role, frozenset[Role]]] = {
    "host": frozenset({"host", "cohost", "speaker", "listener"}),
    "cohost": frozenset({"speaker", "listener"}),
    "speaker": frozenset(),
    "listener": frozenset(),
}
"""Whom a moderator may act upon. A space has one host, so a host upon a host is upon himself."""

_GRANT_FOR: Final[Mapping[Standing, str]] = {
    "creator": "roomCreate",
    "browser": "roomList",
    "publisher": "canPublish",
    "subscriber": "canSubscribe",
    "captioner": "palco.captions",
    "operator": "palco.operator",
    "host": "roomAdmin",
    "cohost": "roomAdmin",
    "speaker": "canPublish",
    "listener": "roomJoin",
}


class Caller(Struct, frozen=True):
    """Who asks, as far as one space goes. Made from a verified token and the live role; never from a message."""

    identity: str
    standings: frozenset[Standing]

    @property
    def role(self) -> Role:
        """The highest role among the standings; a stranger ranks as a listener (and may not act as one)."""
        return next((role for role in ROLES if role in self.standings), "listener")


def caller_at_large(token: Token) -> Caller:
    """The holder of `token` where no space is concerned yet."""
    grants = token.grants
    standings: set[Standing] = set()
    if grants.room_create:
        standings.add("creator")
    if grants.room_list:
        standings.add("browser")
    if token.palco.operator:
        standings.add("operator")
    return Caller(token.identity, frozenset(standings))


def caller_in(token: Token, space: str, *, host: str, live_role: Role | None) -> Caller:
    """The holder of `token` in `space`, whose host is the identity `host`.

    `live_role` is what the server gave (promotion) or took (demotion), None where it did neither. An identity alone is
    no title: the host is who holds `roomAdmin` (or `roomCreate`, as when he made the space) under the host's identity.
    """
    grants = token.grants
    standings = set(caller_at_large(token).standings)
    is_inside = grants.room == space
    if token.identity == host and ((grants.room_admin and is_inside) or grants.room_create):
        standings.add("host")
    elif grants.room_admin and is_inside:
        standings.add("cohost")
    if token.palco.captions and is_inside:
        standings.add("captioner")
    if grants.room_join and is_inside:
        standings.add(live_role or "listener")
        if grants.can_publish:
            standings.add("publisher")
        if grants.can_subscribe:
            standings.add("subscriber")
    return Caller(token.identity, frozenset(standings))


def require_key(token: Token, space: str) -> None:
    """Raises CommandError unless the token is for `space`, or for spaces in general.

    To be asked before `space` is looked up: whoever has no key does not learn which doors there are.
    """
    grants = token.grants
    is_general = grants.room_create or grants.room_list or token.palco.operator
    if grants.room != space and not is_general:
        raise CommandError(
            "missing_permission",
            f"this token is not for space {space[:64]!r}; ask for one whose `room` it is",
            missing_permission="room",
        )


def permits(standings: frozenset[Standing], action: Action) -> bool:
    """Whether the table has one of `standings` in the row of `action`."""
    return bool(ALLOWED[action] & standings)


def require(caller: Caller, action: Action) -> None:
    """Raises CommandError `missing_permission`, which names the grant that would do."""
    if permits(caller.standings, action):
        return
    needed = sorted({_GRANT_FOR[standing] for standing in ALLOWED[action]})
    lacking = " or ".join(needed)
    raise CommandError(
        "missing_permission",
        f"{caller.identity!r} may not {action.replace('_', ' ')}: that takes a token with {lacking} for this space, "
        "or a role that a host can give",
        missing_permission=needed[0] if len(needed) == 1 else lacking,
        action=action,
        rule=f"{action}: {', '.join(sorted(ALLOWED[action]))}",
        remedy=f"a token with {lacking} for this space, or a role that a host can give",
    )


def require_upon(caller: Caller, action: Action, target: Role) -> None:
    """As `require`, for an act upon a participant of role `target`; raises `outranked` where rank forbids it."""
    require(caller, action)
    if target not in OUTRANKS[caller.role]:
        raise CommandError(
            "outranked",
            f"a {caller.role} may not {action.replace('_', ' ')} a {target}; ask the host",
            action=action,
            target_role=target,
            rule=f"a {caller.role} acts upon: {', '.join(sorted(OUTRANKS[caller.role])) or 'nobody'}",
            remedy="ask the host to do it",
        )
