"""Access tokens: JWTs signed with HS256, in LiveKit's grant shape (RFC 7519, RFC 8725). Pure.

    iss  API key       which secret signed it      sub   identity     who speaks
    exp  required      nbf, iat, jti  optional     name  for people   video  the grants   palco  ours beyond them

`RawToken` is what a stranger sent; only `verify` makes a `Token` of it, and everything else takes a `Token`. The
algorithm is ours and never the token's (RFC 8725 §3.1); a JSON object that names a member twice is refused, because two
readers of it may see two different tokens; `crit` and compressed or nested forms are not spoken.

Where LiveKit's defaults are open ours are shut: `canPublish` must be said. `canSubscribe` may be left out, as there.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any, Final, NewType

import jwt
import msgspec
from msgspec import Struct, field

from signalling import strict_json
from signalling.errors import PeerError

RawToken = NewType("RawToken", str)

ALGORITHM: Final = "HS256"

LEEWAY_S: Final = 10.0
"""Clocks differ; ten seconds is the lower end of what is usual, since tokens are minted on servers that keep time."""

_signatures: Final = jwt.PyJWS(algorithms=[ALGORITHM])

MAX_TOKEN_CHARACTERS: Final = 4096
MAX_IDENTITY_CHARACTERS: Final = 128
MAX_NAME_CHARACTERS: Final = 128


class Grants(Struct, frozen=True, rename="camel"):
    """The `video` claim. Grants that Palco does not know are ignored, as LiveKit's SDKs add some with every release."""

    room: str = ""
    room_join: bool = False
    room_create: bool = False
    room_list: bool = False
    room_admin: bool = False
    can_publish: bool = False
    can_subscribe: bool = True
    hidden: bool = False
    recorder: bool = False
    """Its sessions are there to record: while one is, everybody is told that the space is recorded."""


class _Video(Grants, frozen=True, rename="camel"):
    """The claim as others write it."""

    can_publish_sources: list[str] | None = None
    """Where some are named and the microphone is not, `can_publish` is about other media than sound."""


class PalcoGrants(Struct, frozen=True, rename="camel"):
    """The `palco` claim: what LiveKit's grants have no word for."""

    operator: bool = False
    """May do what the operator of the server does: in all spaces, to everyone."""
    captions: bool = False
    """May publish captions of the space."""
    follows: list[str] = []
    """Identities whom the holder follows; of a host it says who may speak where `speak` is `followed`."""
    followed_by: list[str] = []
    """Identities that follow the holder."""
    blocks: list[str] = []
    """Identities whom the holder does not want to hear; they are warned, not kept apart."""


class Token(Struct, frozen=True, kw_only=True):
    """A token whose signature and times were right when `verify` looked."""

    identity: str
    name: str
    grants: Grants
    palco: PalcoGrants = field(default_factory=PalcoGrants)
    issued_at_s: float | None
    """`iat`, or `nbf` where there is no `iat` (LiveKit's SDKs set that one alone): what it cannot be older than."""
    expires_at_s: float
    key: str


class _Claims(Struct, frozen=True, kw_only=True):
    iss: str
    sub: str
    exp: float
    nbf: float | None = None
    iat: float | None = None
    jti: str | None = None
    name: str | None = None
    video: _Video = field(default_factory=_Video)
    palco: PalcoGrants = field(default_factory=PalcoGrants)


class _Header(Struct, frozen=True):
    alg: str
    typ: str | None = None
    kid: str | None = None


def verify(raw: RawToken, *, keys: Mapping[str, str], now_s: float) -> Token:
    """The token's content, if one of `keys` (API key to secret) signed it and its time has come and not gone.

    Raises PeerError `bad_token`; its text never repeats the token.
    """
    claims_object = _read_segments(raw)
    try:
        claims = msgspec.convert(claims_object, _Claims)
    except msgspec.ValidationError as error:
        raise _refused(f"a claim is missing or of the wrong type: {error}") from None
    _verify_signature(raw, keys.get(claims.iss))
    _check_times(claims, now_s)
    _check_texts(claims)
    issued_at_s = claims.nbf if claims.iat is None else claims.iat
    return Token(
        identity=claims.sub,
        name=claims.name or claims.sub,
        grants=_as_heard(claims.video),
        palco=claims.palco,
        issued_at_s=issued_at_s,
        expires_at_s=claims.exp,
        key=claims.iss,
    )


def mint(
    *,
    key: str,
    secret: str,
    identity: str,
    name: str,
    grants: Grants,
    now_s: float,
    lifetime_s: float,
    palco: PalcoGrants | None = None,
) -> RawToken:
    """A token that `verify` accepts from `now_s` on."""
    claims: dict[str, Any] = {
        "iss": key,
        "sub": identity,
        "name": name,
        "iat": int(now_s),
        "nbf": int(now_s),
        "exp": int(now_s + lifetime_s),
        "video": msgspec.to_builtins(grants),
    }
    if palco is not None:
        claims["palco"] = msgspec.to_builtins(palco)
    return RawToken(jwt.encode(claims, secret, algorithm=ALGORITHM))


def _as_heard(video: _Video) -> Grants:
    """With `can_publish` as it is for sound, the only medium here; as LiveKit reads it."""
    may_speak = not video.can_publish_sources or "microphone" in video.can_publish_sources
    granted = {name: getattr(video, name) for name in Grants.__struct_fields__}
    return Grants(**{**granted, "can_publish": video.can_publish and may_speak})


def _read_segments(raw: RawToken) -> dict[str, Any]:
    """The claims as yet unverified, from a token whose form and header are the ones that are spoken here."""
    if len(raw) > MAX_TOKEN_CHARACTERS:
        raise _refused(f"it is longer than {MAX_TOKEN_CHARACTERS} characters")
    segments = raw.split(".")
    if len(segments) != 3:
        raise _refused("it is not a JWT")
    header_object = _read_json(segments[0])
    if "crit" in header_object:
        raise _refused("its header has critical extensions")
    try:
        header = msgspec.convert(header_object, _Header)
    except msgspec.ValidationError:
        raise _refused("its header is malformed") from None
    if header.alg != ALGORITHM:
        raise _refused(f"it is not signed with {ALGORITHM}")
    claims = _read_json(segments[1])
    if "aud" in claims:
        raise _refused("it is meant for somebody else (`aud`)")  # RFC 7519 §4.1.3: Palco has no audience name
    if header.kid is not None and header.kid != claims.get("iss"):
        raise _refused("its header and its claims name different keys")
    return claims


def _read_json(segment: str) -> dict[str, Any]:
    try:
        text = base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
        value = strict_json.loads(text)
    except ValueError:  # binascii.Error and UnicodeDecodeError among them
        raise _refused("its JSON is not well-formed, or names a member twice") from None
    if not isinstance(value, dict):
        raise _refused("it is not well-formed")
    return value


def _verify_signature(raw: RawToken, secret: str | None) -> None:
    if secret is None:
        raise _refused("it was signed with an API key that is not configured here (`iss`)")
    try:
        # Claims are checked by ourselves, with our clock; PyJWT's part is the signature.
        _signatures.decode(raw, secret, algorithms=[ALGORITHM])
    except jwt.PyJWTError:
        raise _refused("its signature is wrong") from None


def _check_times(claims: _Claims, now_s: float) -> None:
    if not all(math.isfinite(moment) for moment in (claims.exp, claims.nbf or 0.0, claims.iat or 0.0)):
        raise _refused("a time in it is not a number")
    if claims.exp <= now_s - LEEWAY_S:
        raise _refused("it has expired; ask for a new one")
    if claims.nbf is not None and claims.nbf > now_s + LEEWAY_S:
        raise _refused("it is not valid yet (`nbf`)")
    if claims.iat is not None and claims.iat > now_s + LEEWAY_S:
        raise _refused("it was issued in the future (`iat`)")


def _check_texts(claims: _Claims) -> None:
    if not 1 <= len(claims.sub) <= MAX_IDENTITY_CHARACTERS or not claims.sub.isprintable():
        raise _refused(f"its identity (`sub`) must be 1 to {MAX_IDENTITY_CHARACTERS} printable characters")
    name = claims.name or ""
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise _refused(f"its `name` must be at most {MAX_NAME_CHARACTERS} printable characters")


def _refused(why: str) -> PeerError:
    return PeerError("bad_token", f"the token was refused: {why}")
