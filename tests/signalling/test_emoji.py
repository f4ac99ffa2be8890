"""Which texts are one emoji."""

import pytest

from signalling.emoji import is_emoji


@pytest.mark.parametrize("text", ["👏", "❤️", "👍🏽", "👩‍🚀", "🏳️‍🌈", "🇧🇷", "1️⃣", "☺"])
def test_these_are(text: str) -> None:
    assert is_emoji(text)


@pytest.mark.parametrize("text", ["", "a", "1", "ok 👏", "👏👏", "<b>", "\u200d", "\ufe0f", "\n", "é"])
def test_these_are_not(text: str) -> None:
    assert not is_emoji(text)
