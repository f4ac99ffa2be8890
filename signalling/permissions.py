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

Standing = Literal["host", "cohost", "speaker", "listener", "creator", "browser", "publisher", "subscriber"]
"""The four roles, and what a token says beyond them: it may create spaces, list them, be heard, hear."""

Action = Literal[
    "create_space",
    "list_spaces",
    "read_space",
    "edit_space",
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
    "accept_invitation",
    "raise_hand",
    "react",
]

_MODERATORS: Final = frozenset[Standing]({"host", "cohost"})
_PARTICIPANTS: Final = frozenset[Standing]({"host", "cohost", "speaker", "listener"})

ALLOWED: Final[Mapping[Action, frozenset[Standing]]] = {
    "create_space": frozenset({"creator"}),
    "list_spaces": frozenset({"browser"}),
    "read_space": _PARTICIPANTS | {"browser"},
    "edit_space": _MODERATORS,
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
    "accept_invitation": _PARTICIPANTS,
    "raise_hand": frozenset({"listener"}),
    "react": _PARTICIPANTS,
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
    if grants.room != space and not grants.room_create and not grants.room_list:
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
        )
