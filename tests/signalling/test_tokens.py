"""Access tokens: what is accepted, and every forgery that has been accepted somewhere (threat T22)."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from livekit.api import AccessToken, VideoGrants

from signalling.errors import PeerError
from signalling.tokens import LEEWAY_S, Grants, RawToken, mint, verify

KEY = "application"
SECRET = "0123456789abcdef0123456789abcdef"
KEYS = {KEY: SECRET, "other": "fedcba9876543210fedcba9876543210"}
NOW_S = 1_800_000_000.0


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones; a change to None leaves the claim out."""
    good: dict[str, Any] = {
        "iss": KEY,
        "sub": "ada",
        "iat": NOW_S,
        "exp": NOW_S + 60,
        "video": {"room": "hall", "roomJoin": True},
    }
    good.update(changes)
    return {name: value for name, value in good.items() if value is not None}


def part(content: bytes | dict[str, Any]) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: bytes | dict[str, Any], payload: bytes | dict[str, Any], *, secret: str = SECRET) -> RawToken:
    """A JWT made by hand, so that it can say what no library would."""
    content = f"{part(header)}.{part(payload)}"
    return RawToken(f"{content}.{part(hmac.new(secret.encode(), content.encode(), hashlib.sha256).digest())}")


HS256 = {"alg": "HS256", "typ": "JWT"}


def test_a_signed_token_says_who_and_what() -> None:
    token = verify(signed(HS256, claims(name="Ada L.")), keys=KEYS, now_s=NOW_S)

    assert (token.identity, token.name, token.key) == ("ada", "Ada L.", KEY)
    assert token.grants == Grants(room="hall", room_join=True)


def test_what_mint_makes_verify_accepts() -> None:
    grants = Grants(room="hall", room_join=True, room_admin=True, can_publish=True, hidden=True)
    raw = mint(key=KEY, secret=SECRET, identity="ada", name="Ada", grants=grants, now_s=NOW_S, lifetime_s=60)

    assert verify(raw, keys=KEYS, now_s=NOW_S).grants == grants


def test_a_token_made_by_livekits_sdk_is_accepted() -> None:
    grants = VideoGrants(room="hall", room_join=True, can_publish=True, can_subscribe=True, room_admin=True)
    made = AccessToken(KEY, SECRET).with_identity("ada").with_name("Ada").with_grants(grants)
    raw = RawToken(made.with_ttl(timedelta(hours=1)).to_jwt())
    issued_at_s = jwt.decode(raw, SECRET, algorithms=["HS256"])["nbf"]

    token = verify(raw, keys=KEYS, now_s=issued_at_s)

    assert (token.identity, token.name) == ("ada", "Ada")
    assert token.grants == Grants(room="hall", room_join=True, room_admin=True, can_publish=True)
    assert token.issued_at_s == issued_at_s


def by_livekit(**grants: Any) -> Grants:
    made = AccessToken(KEY, SECRET).with_identity("ada").with_grants(VideoGrants(**grants))
    raw = RawToken(made.with_ttl(timedelta(hours=1)).to_jwt())
    return verify(raw, keys=KEYS, now_s=jwt.decode(raw, SECRET, algorithms=["HS256"])["nbf"]).grants


NOTHING = Grants(can_publish=False, can_subscribe=False)


@pytest.mark.parametrize(
    "grant",
    ["room_create", "room_list", "room_admin", "room_join", "can_publish", "can_subscribe", "hidden", "recorder"],
)
def test_each_grant_of_livekits_sdk_is_the_one_of_its_name(grant: str) -> None:
    others = {"room": "hall", "can_publish": False, "can_subscribe": False, "can_publish_data": False}
    assert by_livekit(**{**others, grant: True}) == msgspec.structs.replace(NOTHING, room="hall", **{grant: True})


def test_what_livekits_sdk_leaves_out_is_not_granted_but_for_its_own_defaults() -> None:
    assert by_livekit() == Grants(can_publish=True, can_subscribe=True)


def test_grants_that_have_no_meaning_here_open_nothing() -> None:
    unknown = {
        "room_record": True,
        "destination_room": "hall",
        "can_update_own_metadata": True,
        "ingress_admin": True,
        "agent": True,
        "can_subscribe_metrics": True,
    }
    assert by_livekit(can_publish=False, can_subscribe=False, **unknown) == NOTHING


@pytest.mark.parametrize(
    ("sources", "may_speak"),
    [([], True), (["microphone"], True), (["camera", "microphone"], True), (["camera"], False)],
)
def test_who_may_publish_other_media_alone_may_not_speak(sources: list[str], *, may_speak: bool) -> None:
    assert by_livekit(can_publish=True, can_publish_sources=sources).can_publish is may_speak
    assert not by_livekit(can_publish=False, can_publish_sources=sources).can_publish


def test_the_claim_of_our_own_is_read_beside_theirs() -> None:
    raw = signed(HS256, claims(palco={"captions": True, "unheardOf": 1}))
    assert verify(raw, keys=KEYS, now_s=NOW_S).palco.captions
    assert not verify(signed(HS256, claims()), keys=KEYS, now_s=NOW_S).palco.captions
    with pytest.raises(PeerError, match="bad_token"):
        verify(signed(HS256, claims(palco={"captions": "yes"})), keys=KEYS, now_s=NOW_S)


def test_to_be_heard_must_be_granted_in_words_but_hearing_need_not() -> None:
    grants = verify(signed(HS256, claims()), keys=KEYS, now_s=NOW_S).grants

    assert not grants.can_publish
    assert grants.can_subscribe


def test_without_iat_the_token_is_as_old_as_its_nbf() -> None:
    raw = signed(HS256, claims(iat=None, nbf=NOW_S - 5))
    assert verify(raw, keys=KEYS, now_s=NOW_S).issued_at_s == NOW_S - 5


def test_clocks_may_differ_by_the_leeway() -> None:
    late = signed(HS256, claims(exp=NOW_S - LEEWAY_S + 1))
    early = signed(HS256, claims(nbf=NOW_S + LEEWAY_S, iat=NOW_S + LEEWAY_S))

    assert verify(late, keys=KEYS, now_s=NOW_S).identity == "ada"
    assert verify(early, keys=KEYS, now_s=NOW_S).identity == "ada"


def duplicate(name: str, first: object, second: object) -> bytes:
    """The claims as JSON, with `name` named twice."""
    rest = json.dumps(claims(**{name: None}))[1:-1]
    return f"{{{json.dumps(name)}: {json.dumps(first)}, {rest}, {json.dumps(name)}: {json.dumps(second)}}}".encode()


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
UNSIGNED = f"{part({'alg': 'none'})}.{part(claims())}."
GOOD = signed(HS256, claims())

FORGERIES: dict[str, str] = {
    "empty": "",
    "not a JWT": "bearer",
    "two segments": GOOD.rpartition(".")[0],
    "four segments": f"{GOOD}.AAAA",
    "too long": signed(HS256, claims(name="n" * 8000)),
    "not base64": f"{part(HS256)}.!!!!.{GOOD.rpartition('.')[2]}",
    "not JSON": signed(HS256, b"ada"),
    "a list of claims": signed(HS256, b"[]"),
    "not UTF-8": signed(HS256, b'{"sub": "\xff"}'),
    "bottomless": signed(HS256, b"[" * 2500),
    "alg none": UNSIGNED,
    "alg None": f"{part({'alg': 'None'})}.{part(claims())}.",
    "alg none, signed": signed({"alg": "none"}, claims()),
    "no alg": signed({"typ": "JWT"}, claims()),
    "alg HS512": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "alg RS256": jwt.encode(claims(), RSA_KEY, algorithm="RS256"),
    "alg as a list": signed({"alg": ["HS256"]}, claims()),
    "RSA's public key as HMAC secret": signed(HS256, claims(), secret=PUBLIC_PEM.decode()),
    "a key in the header": signed({**HS256, "jwk": {"kty": "oct", "k": part(b"mine")}}, claims(), secret="mine"),
    "a key address in the header": signed({**HS256, "jku": "https://example.org/"}, claims(), secret="mine"),
    "another key's id": signed({**HS256, "kid": "other"}, claims()),
    "signed with another key": signed(HS256, claims(), secret=KEYS["other"]),
    "another issuer, our signature": signed(HS256, claims(iss="other")),
    "signature cut": GOOD[:-4],
    "signature empty": f"{GOOD.rpartition('.')[0]}.",
    "claims changed": f"{part(HS256)}.{part(claims(sub='eve'))}.{GOOD.rpartition('.')[2]}",
    "critical extension": signed({**HS256, "crit": ["exp"]}, claims()),
    "unencoded payload": signed({**HS256, "b64": False, "crit": ["b64"]}, claims()),
    "no issuer": signed(HS256, claims(iss=None)),
    "unknown issuer": signed(HS256, claims(iss="nobody")),
    "a part of the issuer": signed(HS256, claims(iss=KEY[:4])),
    "more than the issuer": signed(HS256, claims(iss=f"{KEY} other")),
    "empty issuer": signed(HS256, claims(iss="")),
    "a list of issuers": signed(HS256, claims(iss=[KEY])),
    "no subject": signed(HS256, claims(sub=None)),
    "empty subject": signed(HS256, claims(sub="")),
    "a number for a subject": signed(HS256, claims(sub=7)),
    "subject with a line break": signed(HS256, claims(sub="ada\nadmin")),
    "subject too long": signed(HS256, claims(sub="a" * 129)),
    "name with a control character": signed(HS256, claims(name="Ada\x1b[2J")),
    "for another audience": signed(HS256, claims(aud="bank")),
    "no expiry": signed(HS256, claims(exp=None)),
    "expired": signed(HS256, claims(exp=NOW_S - LEEWAY_S)),
    "expiry as text": signed(HS256, claims(exp=str(NOW_S + 60))),
    "never expires": signed(HS256, json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": 1e999').encode()),
    "expiry not a number": signed(HS256, json.dumps(claims(exp=0)).replace('"exp": 0', '"exp": NaN').encode()),
    "not valid yet": signed(HS256, claims(nbf=NOW_S + LEEWAY_S + 1)),
    "issued in the future": signed(HS256, claims(iat=NOW_S + LEEWAY_S + 1)),
    "subject twice": signed(HS256, duplicate("sub", "ada", "admin")),
    "issuer twice": signed(HS256, duplicate("iss", "other", KEY)),
    "expiry twice": signed(HS256, duplicate("exp", 1, NOW_S + 60)),
    "a grant twice": signed(
        HS256, json.dumps(claims(video=None))[:-1].encode() + b', "video": {"room": "a", "room": "hall"}}'
    ),
    "alg twice": signed(b'{"alg": "none", "alg": "HS256"}', claims()),
    "grants as text": signed(HS256, claims(video="roomAdmin")),
    "grant as text": signed(HS256, claims(video={"room": "hall", "roomAdmin": "true"})),
    "grant as a number": signed(HS256, claims(video={"room": "hall", "roomAdmin": 1})),
}


@pytest.mark.parametrize("raw", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_refused(raw: str) -> None:
    with pytest.raises(PeerError) as refusal:
        verify(RawToken(raw), keys=KEYS, now_s=NOW_S)

    assert refusal.value.code == "bad_token"
    assert not raw or raw not in refusal.value.detail


@given(st.text(max_size=200))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(PeerError):
        verify(RawToken(text), keys=KEYS, now_s=NOW_S)


@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.characters(codec="ascii"))
def test_one_changed_character_is_noticed(place: int, character: str) -> None:
    """But for the last of the signature, whose low bits are padding in base64."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    if changed == GOOD or place == len(GOOD) - 1:
        return
    with pytest.raises(PeerError):
        verify(RawToken(changed), keys=KEYS, now_s=NOW_S)
