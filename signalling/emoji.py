"""Whether a text is one emoji. Pure."""

import unicodedata

_JOINER = "\u200d"
_PARTS = frozenset({"So", "Sk", "Mn", "Me", "Cf"})
"""Symbols, skin tones, variation selectors, keycaps, and the joiner and tags of composed emoji (UTS #51)."""


def is_emoji(text: str) -> bool:
    """True for a pictograph with its modifiers, a joined sequence of them, a flag or a keycap."""
    keycap = text[1:] in {"\ufe0f\u20e3", "\u20e3"} and text[:1] in "0123456789#*" and text != ""
    if keycap:
        return True
    symbols = sum(unicodedata.category(character) == "So" for character in text)
    allowed = 2 if _is_flag(text) else 1 + text.count(_JOINER)
    return 1 <= symbols <= allowed and all(unicodedata.category(character) in _PARTS for character in text)


def _is_flag(text: str) -> bool:
    return len(text) == 2 and all("\U0001f1e6" <= character <= "\U0001f1ff" for character in text)
