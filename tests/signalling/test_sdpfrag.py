"""Trickle fragments (RFC 8840 §9): what PATCH bodies say, and the answer to an ICE restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.contract.messages import Candidate
from signalling.errors import PeerError
from signalling.sdpfrag import MAX_BYTES, Fragment, build_fragment, parse_fragment

PWD = "0123456789012345678901"
WHIP_WHEP_JS = f"""a=ice-ufrag:abcd
a=ice-pwd:{PWD}
m=audio 9 UDP/TLS/RTP/SAVPF 0
a=mid:0
a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host
a=candidate:2 1 udp 2122260222 6e1a.local 61765 typ host
a=end-of-candidates
"""


def test_a_fragment_names_its_credentials_and_brings_candidates() -> None:
    assert parse_fragment(WHIP_WHEP_JS.encode()) == Fragment("abcd", PWD, 2)


def test_a_fragment_without_credentials_is_about_the_session_as_it_is() -> None:
    assert parse_fragment(b"a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n") == Fragment(None, None, 1)


def test_credentials_said_again_for_every_section_are_still_one() -> None:
    assert parse_fragment((WHIP_WHEP_JS * 3).encode()).ufrag == "abcd"


BROKEN: dict[str, bytes] = {
    "two ufrags": b"a=ice-ufrag:abcd\na=ice-ufrag:efgh\n",
    "ufrag too short": b"a=ice-ufrag:abc\n",
    "ufrag too long": b"a=ice-ufrag:" + b"a" * 257,
    "ufrag with a space": b"a=ice-ufrag:ab cd\n",
    "pwd too short": b"a=ice-ufrag:abcd\na=ice-pwd:short\n",
    "other lines": b"v=0\n",
    "not SDP": b"{}",
    "too many lines": b"a=x\n" * 301,
    "not UTF-8": b"\xff",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_fragment_is_refused(body: bytes) -> None:
    with pytest.raises(PeerError) as refusal:
        parse_fragment(body)
    assert refusal.value.code == "bad_sdpfrag"


def test_a_fragment_above_the_limit_is_refused() -> None:
    with pytest.raises(PeerError) as refusal:
        parse_fragment(b"a" * (MAX_BYTES + 1))
    assert refusal.value.code == "too_large"


@given(st.binary(max_size=200) | st.text(alphabet="a=mice-ufrag:\r\n candidt", max_size=200).map(str.encode))
def test_any_bytes_raise_our_error_or_none(body: bytes) -> None:
    assert code_of(body) in {None, "bad_sdpfrag"}


def code_of(body: bytes) -> str | None:
    try:
        parse_fragment(body)
    except PeerError as refusal:
        return refusal.code
    return None


def test_what_answers_a_restart_can_be_read_as_a_fragment() -> None:
    candidates = [Candidate("192.0.2.7", 7882), Candidate("2001:db8::7", 7882)]

    text = build_fragment(mid="0", ufrag="wxyz", pwd=PWD, candidates=candidates)

    assert parse_fragment(text.encode()) == Fragment("wxyz", PWD, 2)
    assert "a=ice-lite\r\n" in text
    assert "a=candidate:6 1 udp 2130706175 2001:db8::7 7882 typ host\r\n" in text
