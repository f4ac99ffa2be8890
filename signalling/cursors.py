"""Cursors: where a page ended, as a word that clients hand back and need not understand. Pure.

A cursor is the key of the last thing shown, so pages do not shift when something is added before it. It is not signed:
it says where to go on, and what may be seen there is asked anew.
"""

import base64
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from signalling.errors import PeerError

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100

CursorText = Annotated[str, Meta(max_length=400, description="`next` of the page before; empty for the first.")]
Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT, description="How many to a page.")]

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A row's, as a cursor holds it."""

KeyText = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00]*$")]

Key = TypeVar("Key")


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a list without filters."""

    cursor: CursorText = ""
    limit: Limit = DEFAULT_LIMIT


def build_cursor(key: object) -> str:
    """`key` is a tuple of text and numbers."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def parse_cursor(cursor: str, kind: type[Key]) -> Key | None:
    """The key, of type `kind`; None for the first page. Raises PeerError `bad_cursor`."""
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(text, type=kind)
    except ValueError:  # msgspec's errors among them
        raise PeerError("bad_cursor", "this cursor is not of ours; begin again without one") from None
