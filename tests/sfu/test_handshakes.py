"""Many peers' DTLS at once: when each begins, what is kept, what is said at the end."""

import pytest

from sfu.association import Left, Send
from sfu.certificate import parse_expected
from sfu.contract.messages import Setup
from sfu.handshake import DEADLINE_S, FIRST_RESEND_S, DtlsContexts, Established, Failed
from sfu.handshakes import Handshakes
from tests.sfu.dtls_link import OURS, THEIRS

CONTEXTS = DtlsContexts(OURS)
THEIR_CONTEXTS = DtlsContexts(THEIRS)
OPPOSITE: dict[Setup, Setup] = {"active": "passive", "passive": "active"}


@pytest.fixture
def ours() -> Handshakes:
    return Handshakes(CONTEXTS)


@pytest.fixture
def theirs() -> Handshakes:
    return Handshakes(THEIR_CONTEXTS)


def open_pair(ours: Handshakes, theirs: Handshakes, *, setup: Setup, peer: int = 1) -> None:
    ours.on_opened(peer, setup=setup, expected=parse_expected([THEIRS.fingerprint]))
    theirs.on_opened(peer, setup=OPPOSITE[setup], expected=parse_expected([OURS.fingerprint]))


def converse(ours: Handshakes, theirs: Handshakes, *, peer: int = 1) -> tuple[list[object], list[object]]:
    """All effects of both sides on a perfect path, ours first."""
    ends = (ours, theirs)
    said: tuple[list[object], list[object]] = ([], [])
    waiting = [(end, effect) for end in (0, 1) for effect in ends[end].on_validated(peer, 0.0)]
    while waiting:
        end, effect = waiting.pop(0)
        said[end].append(effect)
        if isinstance(effect, Send):
            for datagram in effect.datagrams:
                waiting += [(1 - end, each) for each in ends[1 - end].on_datagram(peer, datagram, 0.0)]
    return said


@pytest.mark.parametrize("setup", ["active", "passive"])
def test_both_sides_are_established_whoever_begins(ours: Handshakes, theirs: Handshakes, setup: Setup) -> None:
    open_pair(ours, theirs, setup=setup)
    assert all(any(isinstance(effect, Established) for effect in said) for said in converse(ours, theirs))
    assert ours.under_way == 0
    assert ours.wakes_at_s is None


def test_a_passive_peer_says_nothing_until_it_is_spoken_to(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="passive")
    assert ours.on_validated(1, 0.0) == []
    assert (ours.under_way, ours.wakes_at_s) == (0, None)


def test_an_active_peer_begins_once_when_it_has_an_address(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="active")
    assert len(ours.on_validated(1, 0.0)) == 1
    assert ours.on_validated(1, 0.1) == []


def test_a_move_to_another_address_does_not_shake_hands_again(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="active")
    converse(ours, theirs)
    assert ours.on_validated(1, 5.0) == []


def test_the_next_alarm_is_the_earliest_of_all_peers(ours: Handshakes, theirs: Handshakes) -> None:
    for peer, now_s in ((1, 3.0), (2, 1.0), (3, 2.0)):
        open_pair(ours, theirs, setup="active", peer=peer)
        ours.on_validated(peer, now_s)
    assert ours.wakes_at_s == 1.0 + FIRST_RESEND_S
    assert [peer for peer, _ in ours.on_timer(2.0 + FIRST_RESEND_S)] == [2, 3]
    assert ours.wakes_at_s == 2.0 + FIRST_RESEND_S + 2 * FIRST_RESEND_S


def test_a_silent_peer_fails_at_its_deadline_and_is_not_heard_again(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="active")
    (hello,) = ours.on_validated(1, 0.0)
    assert isinstance(hello, Send)
    effects = [effect for step in range(int(DEADLINE_S) + 1) for _, effect in ours.on_timer(float(step))]
    assert isinstance(effects[-1], Failed)
    assert ours.wakes_at_s is None
    assert ours.on_datagram(1, hello.datagrams[0], 30.0) == []
    assert ours.on_validated(1, 30.0) == []


def test_closing_says_goodbye_to_a_connected_peer(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="passive")
    converse(ours, theirs)
    (farewell,) = ours.on_closed(1)
    assert theirs.on_datagram(1, farewell, 1.0) == [Left()]


def test_closing_says_nothing_to_a_peer_without_keys(ours: Handshakes, theirs: Handshakes) -> None:
    open_pair(ours, theirs, setup="active")
    ours.on_validated(1, 0.0)
    assert ours.on_closed(1) == ()
    assert ours.wakes_at_s is None
    assert ours.on_timer(100.0) == []


def test_datagrams_for_a_peer_that_is_gone_are_no_surprise(ours: Handshakes) -> None:
    assert ours.on_datagram(7, b"anything", 0.0) == []
    assert ours.on_closed(7) == ()
