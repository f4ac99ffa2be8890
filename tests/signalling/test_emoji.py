"""Which texts are one emoji."""

import pytest

from signalling.emoji import is_emoji

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize("text", ["👏", "❤️", "❤", "👍🏽", "👩‍🚀", "🏳️‍🌈", "🇧🇷", "1️⃣", "☺", FAMILY, ENGLAND, "🫱🏿‍🫲🏻"])
def test_these_are(text: str) -> None:
    assert is_emoji(text)


@pytest.mark.parametrize(
    "text",
    ["", "a", "1", "#", "ok 👏", "👏👏", "<b>", "\u200d", "\ufe0f", "\n", "é", "🏽", "🇧", "🇽🇽", "👏\u200d", "\u200d👏"],
)
def test_these_are_not(text: str) -> None:
    assert not is_emoji(text)


@pytest.mark.parametrize("text", ["😀\u200d😀", "┌", "♔", "☃☃", "👏\u0301", " 👏"])
def test_nor_are_these_that_look_like_it(text: str) -> None:
    assert not is_emoji(text)
