"""T22 and T23: tokens that nobody signed, and tokens of those who were shown the door."""

import base64
import hmac
import json
import secrets
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.harness.processes import Palco
from tests.harness.room import CREATOR, SPEAKER, Room
from tests.harness.wire import Manner

pytestmark = pytest.mark.live


def encode(part: object) -> str:
    text = part if isinstance(part, str) else json.dumps(part)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def claims_of(palco: Palco, space: str) -> dict[str, Any]:
    now_s = int(time.time())
    grants = {"room": space, "roomJoin": True, **CREATOR}
    return {"iss": palco.key, "sub": "mallory", "iat": now_s, "nbf": now_s, "exp": now_s + 600, "video": grants}


def forged(palco: Palco, space: str) -> dict[str, str]:
    """Tokens that are wrong in one way each, though all say what would open every door."""
    claims, secret = claims_of(palco, space), palco.secret
    now_s, own = claims["iat"], secrets.token_hex(32)

    def signed(changes: dict[str, Any], *, key: str = secret, alg: str = "HS256", **headers: Any) -> str:
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        return jwt.encode(changed, key, algorithm=alg, headers=headers)

    true = signed({})
    head, body, signature = true.split(".")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = rsa_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    hs256 = {"alg": "HS256", "typ": "JWT"}
    twice = json.dumps(claims)[:-1] + ', "sub": "host"}'
    twice_signed = _sign(encode(hs256), encode(twice), secret)
    return {
        "unsigned": f"{encode({'alg': 'none'})}.{body}.",
        "unsigned, odd case": f"{encode({'alg': 'nOnE'})}.{body}.",
        "signature left out": f"{head}.{body}.",
        "signature of another": f"{head}.{body}.{jwt.encode({'a': 1}, secret, 'HS256').split('.')[2]}",
        "one bit flipped": f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "body exchanged": f"{head}.{encode({**claims, 'sub': 'host'})}.{signature}",
        "empty secret": _sign(head, body, ""),
        "other secret": signed({}, key=own),
        "HS384": signed({}, alg="HS384"),
        "HS512": signed({}, alg="HS512"),
        "RS256": signed({}, key=pem, alg="RS256"),
        "no issuer": signed({"iss": None}),
        "unknown issuer": signed({"iss": "nobody"}),
        "issuer that contains a true one": signed({"iss": f"{palco.key}x"}),
        "issuer that is part of a true one": signed({"iss": palco.key[:-1]}),
        "issuer in a list": f"{_sign(encode(hs256), encode({**claims, 'iss': [palco.key]}), secret)}",
        "no subject": signed({"sub": None}),
        "empty subject": signed({"sub": ""}),
        "subject that is no text": f"{_sign(encode(hs256), encode({**claims, 'sub': 5}), secret)}",
        "subject with a line break": signed({"sub": "a\r\nb"}),
        "no expiry": signed({"exp": None}),
        "expired": signed({"exp": now_s - 60}),
        "expiry as text": f"{_sign(encode(hs256), encode({**claims, 'exp': str(now_s + 600)}), secret)}",
        "expiry without end": _sign(
            encode(hs256), encode(json.dumps(claims).replace(str(now_s + 600), "Infinity")), secret
        ),
        "not yet valid": signed({"nbf": now_s + 600}),
        "issued tomorrow": signed({"iat": now_s + 86_400}),
        "meant for another audience": signed({"aud": "elsewhere"}),
        "critical extension": signed({}, crit=["exp"]),
        "kid that climbs the file tree": signed({}, kid="../../dev/null"),
        "key in its own header": signed({}, key=own, jwk={"kty": "oct", "k": encode(own)}),
        "the same member twice": twice_signed,
        "grants that are no object": f"{_sign(encode(hs256), encode({**claims, 'video': 'all'}), secret)}",
        "compressed": f"{_sign(encode({**hs256, 'zip': 'DEF'}), encode(claims), secret[:-1] + 'x')}",
        "nested": jwt.encode({"payload": true}, secret, "HS256", headers={"cty": "JWT"}),
        "five parts": f"{true}.x.y",
        "nothing": "..",
        "8 kB": "a" * 8000 + ".b.c",
    }


def _sign(head: str, body: str, secret: str) -> str:
    signature = hmac.digest(secret.encode(), f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def doors(space: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Every call that takes a token."""
    people = f"/v1/spaces/{space}/participants"
    moderation = ("mute", "unmute", "remove", "block", "promote", "demote", "invite")
    sdp = {"headers": {"Content-Type": "application/sdp"}, "content": "v=0"}
    return [
        ("POST", "/v1/spaces", {"json": {"title": "x"}}),
        ("GET", "/v1/spaces", {}),
        ("GET", f"/v1/spaces/{space}", {}),
        ("PATCH", f"/v1/spaces/{space}", {"json": {"title": "x"}}),
        ("POST", f"/v1/spaces/{space}/end", {}),
        ("GET", people, {}),
        *[("POST", f"{people}/ana/{action}", {}) for action in moderation],
        ("POST", f"/v1/spaces/{space}/mute-all", {}),
        ("POST", f"/v1/spaces/{space}/hand", {}),
        ("DELETE", f"/v1/spaces/{space}/hand", {}),
        ("POST", f"/v1/spaces/{space}/reactions", {"json": {"emoji": "👏"}}),
        ("GET", f"/v1/spaces/{space}/events", {}),
        ("POST", f"/whip/{space}", sdp),
        ("POST", f"/whep/{space}", sdp),
        ("POST", f"/v1/spaces/{space}/sessions", sdp),
        ("DELETE", f"/whip/{space}/{'x' * 32}", {}),
        ("PATCH", f"/whep/{space}/{'x' * 32}", {}),
    ]


async def test_t22_jwt_no_forged_token_opens_any_door(palco: Palco, room: Room) -> None:
    """Every forgery at every door: a 401 each, which says how to do better and repeats nothing of the token."""
    opened = []
    tokens = forged(palco, room.space)
    for fault, token in tokens.items():
        for method, path, request in doors(room.space):
            response = await room.call(method, path, token, **request)
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or not challenge.startswith("Bearer") or token in response.text:
                opened.append((fault, method, path, response.status_code))
    assert not opened
    assert len(tokens) * len(doors(room.space)) > 500
    space = (await room.call("GET", f"/v1/spaces/{room.space}", room.host)).json()
    assert (space["title"], space["state"]) == ("A test", "live")


async def test_t22_jwt_no_token_is_401_and_another_scheme_too(room: Room) -> None:
    for method, path, request in doors(room.space):
        for headers in ({}, {"Authorization": "Basic aG9zdDpob3N0"}, {"Authorization": "Bearer"}):
            merged = {**request, "headers": {**request.get("headers", {}), **headers}}
            response = await room.call(method, path, None, **merged)
            assert response.status_code == 401, (method, path, headers)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_t22_jwt_a_token_in_the_url_is_no_token(room: Room) -> None:
    path = f"/v1/spaces/{room.space}/participants?access_token={room.host}&token={room.host}"
    assert (await room.call("GET", path)).status_code == 401


async def test_t22_jwt_a_token_for_one_space_opens_no_other(palco: Palco, room: Room) -> None:
    async with Room(palco) as other:
        ana = await room.speaker("ana")
        grants = {"roomAdmin": True, "canPublish": True}
        stranger = other.token("ana", **grants)
        for method, path, request in doors(room.space):
            if path == "/v1/spaces":
                continue
            response = await room.call(method, path, stranger, **request)
            assert response.status_code in {403, 404}, (method, path, response.text)
        assert (await room.call("DELETE", ana.location, stranger)).status_code in {403, 404}
        assert "ana" in await room.participants()


async def test_t23_removed_participant_finds_every_door_shut_to_the_old_token(room: Room) -> None:
    """livekit#2804: the token outlived the removal. What restarts do to it: tests/scenarios/test_restarts.py."""
    ana = await room.speaker("ana")
    await room.must("remove", "ana")
    public = [("POST", "/v1/spaces"), ("GET", "/v1/spaces"), ("GET", f"/v1/spaces/{room.space}")]
    for method, path, request in doors(room.space):
        if (method, path) not in public:  # a space's name and numbers are what a list of spaces shows anyone
            response = await room.call(method, path, ana.token, **request)
            assert response.status_code == 403, (method, path, response.text)
    assert (await room.call("DELETE", ana.location, ana.token)).status_code in {403, 404}


async def test_t23_removed_participant_is_let_in_with_a_token_made_afterwards_and_the_blocked_is_not(
    room: Room,
) -> None:
    for name in ("ana", "ben"):
        await room.speaker(name)
    await room.must("remove", "ana")
    await room.must("block", "ben")
    await room.speaker("ana")
    back = await room.guest("ben", room.token("ben", **SPEAKER), Manner(sections=["sendonly"]))
    response = await room.offer(back, "whip")
    assert (response.status_code, response.json()["code"]) == (403, "blocked")


async def test_t23_removed_participant_cannot_use_a_token_that_hides_its_age(palco: Palco, room: Room) -> None:
    """Neither without `iat` nor with one that was set forward beforehand."""
    undated = claims_of(palco, room.space)
    del undated["iat"], undated["nbf"]
    undated["sub"] = "ana"
    await room.speaker("ana")
    await room.must("remove", "ana")
    token = jwt.encode(undated, palco.secret, "HS256")
    back = await room.guest("ana", token, Manner(sections=["sendonly"]))
    assert (await room.offer(back, "whip")).status_code == 403
