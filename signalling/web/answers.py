"""Responses: JSON, problems and the headers that all of them carry."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from signalling.errors import CODES, RETRY_AFTER_S, Refusal

PROBLEM: Final = "application/problem+json"

METHODS: Final = "OPTIONS, HEAD, GET, POST, PUT, PATCH, DELETE"
PREFLIGHT: Final[Mapping[str, str]] = {
    "Access-Control-Allow-Methods": METHODS,
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, Idempotency-Key",
    "Access-Control-Max-Age": "86400",
}
EXPOSED: Final = "Location, ETag, Link, Retry-After, Accept-Post, Idempotency-Replayed"
"""Without these a browser's script cannot see where its session is (RFC 9725 §4.2)."""

_encoder = msgspec.json.Encoder()


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_encoder.encode(value), status, headers, media_type="application/json")


def empty(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=status, headers=headers)


def problem(refusal: Refusal) -> Response:
    """The refusal as RFC 9457 has it, with the headers that belong to its status."""
    code = CODES[refusal.code]
    document = {
        "type": f"urn:palco:problem:{refusal.code}",
        "title": code.title,
        "status": code.status,
        "detail": refusal.detail,
        "code": refusal.code,
        **({"rule": code.rule} if code.rule else {}),
        **({"remedy": code.remedy} if code.remedy else {}),
        **refusal.facts,
    }
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if code.status == 401:
        headers["WWW-Authenticate"] = _challenge(refusal.code)
    if refusal.code in RETRY_AFTER_S:
        headers["Retry-After"] = str(refusal.facts.get("retry_after_s", RETRY_AFTER_S[refusal.code]))
    if allowed := refusal.facts.get("allow"):
        headers["Allow"] = str(allowed)
    if refusal.code == "unsupported_media_type":
        headers["Accept"] = str(refusal.facts.get("expected", ""))
    return Response(_encoder.encode(document), code.status, headers, media_type=PROBLEM)


def cors(origin: str | None, allowed: list[str]) -> dict[str, str]:
    """The CORS headers for a request from `origin` (None: no browser asks). Credentials are never allowed."""
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
    if origin is not None and origin in allowed:
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}
    return {"Vary": "Origin"}


def _challenge(code: str) -> str:
    """RFC 6750 §3: without a token the realm alone."""
    return 'Bearer realm="palco"' if code == "unauthenticated" else 'Bearer realm="palco", error="invalid_token"'
