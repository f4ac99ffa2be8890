"""Idempotency keys: what makes two requests the same, and what a second one is answered. Pure.

`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07) goes with a call that creates something. What was
created is answered again to the same key with the same body; a refusal created nothing and is not kept, so that a
corrected request may carry the same key. Keys belong to an identity: nobody meets another's.
"""

import hashlib
from typing import Final, Literal

from msgspec import Struct

from signalling.errors import CommandError, PeerError

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"

MAX_KEY_CHARACTERS: Final = 128

IN_FLIGHT_FOR_S: Final = 60.0
"""No call takes that long; one that is still in flight then was cut short by a crash, and may be done again."""


class KeptAnswer(Struct, frozen=True, kw_only=True):
    """A call, and once it is done what it was answered."""

    fingerprint: str
    state: Literal["in_flight", "done"]
    at_s: float
    status: int = 0
    headers: dict[str, str] = {}
    body: str = ""


def parse_key(value: str | None) -> str | None:
    """The key, with the quotes of a structured field or without. Raises PeerError `bad_request`."""
    if value is None:
        return None
    key = value.strip().removeprefix('"').removesuffix('"')
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isascii() or not key.isprintable():
        raise PeerError("bad_request", f"{HEADER} must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters")
    return key


def fingerprint(method: str, path: str, body: bytes) -> str:
    """SHA-256 over what makes a request what it is."""
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    digest.update(body)
    return digest.hexdigest()


def check_same(kept: KeptAnswer, wanted: str) -> None:
    """Raises CommandError `idempotency_key_reused`, `idempotency_key_in_flight`."""
    if kept.fingerprint != wanted:
        raise CommandError(
            "idempotency_key_reused", f"this {HEADER} came with another request before; use a fresh key for each"
        )
    if kept.state == "in_flight":
        raise CommandError(
            "idempotency_key_in_flight", "the first request with this key is not done yet; repeat this one in a moment"
        )


def is_abandoned(kept: KeptAnswer, now_s: float) -> bool:
    return kept.state == "in_flight" and kept.at_s <= now_s - IN_FLIGHT_FOR_S
