"""The permission table, all of it: every role with every action, and who may act upon whom."""

from typing import get_args

import pytest

from signalling.errors import CommandError
from signalling.permissions import (
    ALLOWED,
    OUTRANKS,
    ROLES,
    Action,
    Caller,
    Role,
    Standing,
    caller_at_large,
    caller_in,
    permits,
    require,
    require_key,
    require_upon,
)
from signalling.tokens import Grants, Token

ACTIONS: tuple[Action, ...] = get_args(Action)
STANDINGS: tuple[Standing, ...] = get_args(Standing)

EXPECTED: dict[str, str] = {
    # one letter for each that may: host, cohost, speaker, listener, Creator, Browser, Publisher, Subscriber, capTioner
    "create_space": "C",
    "list_spaces": "B",
    "read_space": "hcslB",
    "edit_space": "hc",
    "start_space": "hc",
    "cancel_space": "h",
    "end_space": "h",
    "read_participants": "hcsl",
    "watch_events": "hcsl",
    "publish": "sP",
    "subscribe": "S",
    "open_stage_session": "S",
    "close_session": "hc",
    "mute": "hc",
    "unmute": "hc",
    "mute_all": "hc",
    "invite": "hc",
    "promote": "hc",
    "promote_to_cohost": "h",
    "demote": "hc",
    "remove": "hc",
    "block": "hc",
    "unblock": "hc",
    "read_blocks": "hc",
    "read_hands": "hc",
    "accept_hand": "hc",
    "decline_hand": "hc",
    "issue_ticket": "hc",
    "read_tickets": "hc",
    "revoke_ticket": "hc",
    "transfer_ticket": "hcsl",
    "accept_invitation": "hcsl",
    "decline_invitation": "hcsl",
    "raise_hand": "l",
    "step_up": "hcsl",
    "step_down": "hcsl",
    "mute_oneself": "hcsl",
    "react": "hcsl",
    "publish_captions": "T",
    "read_links": "hcsl",
    "pin_link": "hcsP",
    "unpin_own_link": "hcsP",
    "unpin_link": "hc",
    "order_links": "hc",
    "remind": "hcslB",
    "file_report": "hcslB",
    "read_audit": "hO",
    "operate_spaces": "O",
    "ban": "O",
    "read_reports": "O",
    "export_person": "O",
    "erase_person": "O",
    "read_webhooks": "O",
    "redeliver_webhook": "O",
}
LETTERS: dict[Standing, str] = {
    "host": "h",
    "cohost": "c",
    "speaker": "s",
    "listener": "l",
    "creator": "C",
    "browser": "B",
    "publisher": "P",
    "subscriber": "S",
    "captioner": "T",
    "operator": "O",
}


def token(identity: str = "ada", **grants: object) -> Token:
    return Token(
        identity=identity,
        name=identity,
        grants=Grants(**grants),  # type: ignore[arg-type]
        issued_at_s=0.0,
        expires_at_s=60.0,
        key="k",
    )


@pytest.mark.parametrize("standing", STANDINGS)
@pytest.mark.parametrize("action", ACTIONS)
def test_the_table_says_what_the_rules_say(action: Action, standing: Standing) -> None:
    assert permits(frozenset({standing}), action) == (LETTERS[standing] in EXPECTED[action])


def test_every_action_has_a_row_and_every_row_an_action() -> None:
    assert set(ALLOWED) == set(ACTIONS) == set(EXPECTED)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_stranger_may_do_nothing(action: Action) -> None:
    with pytest.raises(CommandError) as refusal:
        require(Caller("eve", frozenset()), action)

    assert refusal.value.code == "missing_permission"
    assert refusal.value.facts["missing_permission"]


@pytest.mark.parametrize("target", ROLES)
@pytest.mark.parametrize("actor", ROLES)
def test_nobody_acts_upon_those_who_are_not_below(actor: Role, target: Role) -> None:
    caller = Caller("ada", frozenset({actor}))
    may = actor == "host" or (actor == "cohost" and target in {"speaker", "listener"})
    if may:
        require_upon(caller, "mute", target)
        return
    with pytest.raises(CommandError) as refusal:
        require_upon(caller, "mute", target)
    assert refusal.value.code == ("outranked" if actor == "cohost" else "missing_permission")


def test_every_role_has_a_rank() -> None:
    assert set(OUTRANKS) == set(ROLES)


def test_a_token_for_another_space_counts_for_nothing_here() -> None:
    everything = token(room="other", room_join=True, room_admin=True, can_publish=True, can_subscribe=True, hidden=True)
    assert caller_in(everything, "hall", host="grace", live_role=None).standings == frozenset()


def test_a_token_for_no_space_in_particular_is_for_none() -> None:
    assert caller_in(token(room_join=True, room_admin=True), "", host="grace", live_role=None).standings >= frozenset()
    assert caller_in(token(room_join=True, room_admin=True), "hall", host="g", live_role=None).standings == frozenset()


def test_without_room_join_nobody_takes_part() -> None:
    outside = token(room="hall", can_publish=True, can_subscribe=True)
    assert caller_in(outside, "hall", host="grace", live_role="speaker").standings == frozenset()


def test_room_admin_moderates_without_taking_part() -> None:
    assert caller_in(token(room="hall", room_admin=True), "hall", host="grace", live_role=None).role == "cohost"


def test_the_host_is_who_made_the_space_and_still_may() -> None:
    admin = token("grace", room="hall", room_admin=True)
    maker = token("grace", room_create=True)
    namesake = token("grace", room="hall", room_join=True)

    assert caller_in(admin, "hall", host="grace", live_role=None).role == "host"
    assert caller_in(maker, "hall", host="grace", live_role=None).role == "host"
    assert caller_in(namesake, "hall", host="grace", live_role=None).role == "listener"


def test_a_promoted_listener_may_publish_and_a_cohost_by_promotion_may_moderate() -> None:
    listener = token(room="hall", room_join=True)

    assert permits(caller_in(listener, "hall", host="grace", live_role="speaker").standings, "publish")
    assert permits(caller_in(listener, "hall", host="grace", live_role="cohost").standings, "mute")
    assert not permits(caller_in(listener, "hall", host="grace", live_role=None).standings, "publish")


def test_only_who_has_a_key_learns_whether_a_space_is_there() -> None:
    for key in (token(room="hall"), token(room_create=True), token(room_list=True)):
        require_key(key, "hall")
    for stranger in (token(room="other", room_admin=True), token()):
        with pytest.raises(CommandError) as refusal:
            require_key(stranger, "hall")
        assert refusal.value.code == "missing_permission"


def test_creating_and_listing_need_no_space() -> None:
    assert caller_at_large(token(room_create=True, room_list=True)).standings == {"creator", "browser"}
    assert caller_at_large(token(room="hall", room_join=True, room_admin=True)).standings == frozenset()
