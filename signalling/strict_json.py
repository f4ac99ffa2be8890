"""JSON read so that two readers cannot see two things in it. Pure."""

import json
from typing import Any, NoReturn


def loads(text: bytes | str) -> Any:
    """The value of `text`. Raises ValueError: also for a member named twice, NaN, Infinity and bottomless nesting.

    Half a surrogate pair (`"\\ud800"`) is no text either: nobody could write it down again.
    """
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object names the same member twice")
    return members


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
