"""Request bodies, within their limits and of the right type."""

import asyncio
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from signalling import strict_json
from signalling.errors import PeerError

BODY_WITHIN_S: Final = 10.0
"""An offer of 64 KiB takes a 2G telephone four seconds."""

SDP: Final = "application/sdp"
SDPFRAG: Final = "application/trickle-ice-sdpfrag"
JSON: Final = "application/json"

T = TypeVar("T")


async def read_body(request: Request, content_type: str, *, max_bytes: int) -> bytes:
    """The body. Raises PeerError `unsupported_media_type`, `too_large`, `request_timeout`."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != content_type:
        raise PeerError(
            "unsupported_media_type", f"send Content-Type: {content_type}", sent=sent[:80], expected=content_type
        )
    return await read_bounded(request, max_bytes)


async def read_json(request: Request, kind: type[T], *, max_bytes: int) -> T:
    """The body as `kind`; an empty one stands for `{}`. Raises PeerError, `bad_request` among them."""
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return _convert({}, kind)
    body = await read_body(request, JSON, max_bytes=max_bytes)
    try:
        return _convert(strict_json.loads(body or b"{}"), kind)
    except ValueError as error:
        raise PeerError("bad_request", f"the body is not JSON: {error}") from None


def read_query(request: Request, kind: type[T]) -> T:
    """The query string as `kind`, whose fields are text, numbers and booleans. Raises PeerError `bad_request`."""
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) != len(pairs):
        raise PeerError("bad_request", "the query names a parameter twice")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise PeerError("bad_request", f"the query does not fit: {error}") from None


def _convert(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise PeerError("bad_request", f"the body does not fit: {error}") from None


async def read_bounded(request: Request, max_bytes: int) -> bytes:
    """The body, whatever it is. Raises PeerError `too_large`, `request_timeout`."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:12]) > max_bytes:
        raise _too_large(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise PeerError("request_timeout", f"the body was not here after {BODY_WITHIN_S:.0f} s") from None
    except ClientDisconnect:
        raise PeerError("bad_request", "the connection closed before the body was here") from None
    return bytes(body)


def _too_large(max_bytes: int) -> PeerError:
    return PeerError("too_large", f"the body may have {max_bytes} bytes", limit=max_bytes)
