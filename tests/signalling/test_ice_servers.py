"""What a session is told of STUN and TURN servers, and credentials that a relay with the same secret accepts."""

import base64
import hashlib
import hmac
import re

import pytest

from sfu.contract.config import Rtc, TurnServer
from signalling.ice_servers import ice_servers, turn_credentials, turn_url

SECRET = "north"
NOW_S = 1_433_895_918.5


def test_the_credential_is_the_hmac_of_a_name_that_says_until_when() -> None:
    """draft-uberti-behave-turn-rest-00 §2.2: timestamp:userid, and base64(hmac-sha1(secret, username))."""
    turn = TurnServer(host="x", secret=SECRET, ttl_s=600)
    username, credential = turn_credentials(turn, label="mbzrxpgjys", now_s=NOW_S)
    assert username == "1433896518:mbzrxpgjys"
    expected = hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(credential) == expected


def test_a_relay_without_a_secret_has_the_same_credentials_for_all() -> None:
    turn = TurnServer(host="x", username="palco", credential="relay")
    assert turn_credentials(turn, label="anyone", now_s=NOW_S) == ("palco", "relay")


@pytest.mark.parametrize(
    ("turn", "url"),
    [
        (TurnServer(host="turn.example.org"), "turn:turn.example.org:3478?transport=udp"),
        (TurnServer(host="turn.example.org", protocol="tcp"), "turn:turn.example.org:3478?transport=tcp"),
        (TurnServer(host="[2001:db8::1]", port=5349, protocol="tls"), "turns:[2001:db8::1]:5349?transport=tcp"),
    ],
)
def test_addresses_are_those_of_rfc_7065(turn: TurnServer, url: str) -> None:
    assert turn_url(turn) == url


def test_each_server_is_one_link_in_the_form_of_rfc_9725() -> None:
    rtc = Rtc(stun_servers=["stun.example.org:3478"], turn_servers=[TurnServer(host="turn.example.org", secret=SECRET)])
    stun, turn = (server.link for server in ice_servers(rtc, session="abcdefghijkl", now_s=NOW_S))
    assert stun == '<stun:stun.example.org:3478>; rel="ice-server"'
    assert re.fullmatch(
        r'<turn:turn\.example\.org:3478\?transport=udp>; rel="ice-server"; username="1433982318:abcdefgh"; '
        r'credential="[A-Za-z0-9+/]{27}="; credential-type="password"',
        turn,
    )


def test_the_name_holds_no_more_of_the_session_than_the_log_does() -> None:
    rtc = Rtc(turn_servers=[TurnServer(host="x", secret=SECRET)])
    assert "abcdefghi" not in ice_servers(rtc, session="abcdefghijkl", now_s=NOW_S)[0].link


def test_a_quote_in_a_configured_name_does_not_end_it() -> None:
    rtc = Rtc(turn_servers=[TurnServer(host="x", username='a"b\\', credential="c")])
    assert r'username="a\"b\\";' in ice_servers(rtc, session="s", now_s=NOW_S)[0].link


def test_a_server_without_any_tells_of_none() -> None:
    assert ice_servers(Rtc(), session="s", now_s=NOW_S) == []
