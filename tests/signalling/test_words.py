"""The words by which titles are found: how text is taken apart, and that nothing in it is a command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.words import MAX_QUERY_WORDS, MAX_WORD_CHARACTERS, query_words, words_of


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Town hall", ["town", "hall"]),
        ("  Town--HALL!  ", ["town", "hall"]),
        ("Café Zürich, Ελλάδα", ["cafe", "zurich", "ελλαδα"]),
        ("Straße STRASSE", ["strasse"]),
        ("\uff26\uff35\uff2c\uff2c width \u2460", ["full", "width", "1"]),
        ("İstanbul", ["istanbul"]),
        ("हिन्दी चर्चा", ["हिन्दी", "चर्चा"]),
        ("한국 이야기", ["한국", "이야기"]),
        ("東京タワー", ["東", "京", "タ", "ワ", "ー"]),
        ("it's 5 o'clock", ["it", "s", "5", "o", "clock"]),
        ("snake_case", ["snake", "case"]),
        ("👏👏", []),
        ("", []),
    ],
)
def test_a_title_is_taken_apart_into(title: str, words: list[str]) -> None:
    assert words_of(title) == words


@pytest.mark.parametrize(
    "hostile",
    ['"', "'", "* OR 1=1", "NEAR(a b)", "title:x", "-x", "a AND (", "%", "_", "\\", ";DROP TABLE spaces;--", "\x00"],
)
def test_a_query_has_no_syntax(hostile: str) -> None:
    assert all(word.isalnum() for word in query_words(hostile))


@given(st.text())
def test_taking_apart_what_was_taken_apart_changes_nothing(text: str) -> None:
    words = words_of(text)

    assert words_of(" ".join(words)) == words
    assert all(0 < len(word) <= MAX_WORD_CHARACTERS for word in words)


@given(st.text(min_size=1, max_size=5000))
def test_of_a_long_query_only_so_much_is_looked_at(text: str) -> None:
    assert len(query_words(text * 10)) <= MAX_QUERY_WORDS
