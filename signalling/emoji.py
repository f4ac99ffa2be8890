"""Whether a text is one emoji, by Unicode's own list. Pure."""

import emoji

_COMPONENT = emoji.STATUS["component"]
"""Skin tones and hair by themselves, which modify an emoji and are none."""


def is_emoji(text: str) -> bool:
    """True for one emoji that Unicode recommends for interchange, with or without its variation selectors.

    Sequences count as the one that people see: a family, a flag, a keycap, a skin tone (UTS #51 §1.4.9, RGI).
    """
    known = emoji.EMOJI_DATA.get(text)
    return known is not None and known["status"] != _COMPONENT
