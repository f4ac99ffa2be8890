"""The words by which a title is found: one way to take text apart, whatever database keeps the words. Pure.

SQLite's FTS5 and PostgreSQL's tsvector split, fold and stem differently, and each has a query language to be escaped.
A title has at most 70 characters, so here its words are made once in Python and looked up by an index: the same results
on both, and a query has no syntax. It finds titles in which every word of it begins a word.

A word is a run of letters and digits, with the marks that belong to them, compared without case, width, and the accents
of Latin, Greek and Cyrillic. Ideographs and kana, which are written without spaces, are words one by one.
"""

import unicodedata
from collections.abc import Iterator
from typing import Final

MAX_WORD_CHARACTERS: Final = 40
MAX_QUERY_WORDS: Final = 8
MAX_QUERY_CHARACTERS: Final = 200

_ACCENTS: Final = range(0x300, 0x370)  # Combining Diacritical Marks
_ALONE: Final = (
    range(0x3040, 0x3100),  # hiragana, katakana
    range(0x3400, 0x4DC0),  # ideographs
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x40000),
)


def words_of(text: str) -> list[str]:
    """Each word once, in the order of the text, folded."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(character for character in decomposed if ord(character) not in _ACCENTS)
    folded = unicodedata.normalize("NFC", bare)
    return list(dict.fromkeys(word[:MAX_WORD_CHARACTERS] for word in _runs(folded)))


def query_words(text: str) -> list[str]:
    """As `words_of`, of as much of a query as is looked at."""
    return words_of(text[:MAX_QUERY_CHARACTERS])[:MAX_QUERY_WORDS]


def _runs(text: str) -> Iterator[str]:
    run = ""
    for character in text:
        kind = unicodedata.category(character)[0]
        is_alone = any(ord(character) in block for block in _ALONE)
        if not is_alone and (kind in "LN" or (kind == "M" and run)):
            run += character
            continue
        if run:
            yield run
        run = ""
        if is_alone and kind in "LN":
            yield character
    if run:
        yield run
