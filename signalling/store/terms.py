"""The words and topics by which spaces are found, kept beside them. Edge (files)."""

from typing import Final

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.records import SpaceRecord
from signalling.store.outreach_tables import terms
from signalling.words import words_of

MAX_TERM_CHARACTERS: Final = 80


async def write_terms(connection: AsyncConnection, record: SpaceRecord) -> None:
    """Within the transaction that writes `record`. What is over can no longer be found."""
    wanted = _terms_of(record) if record.ended_at_s is None else set()
    there = select(terms.c.term).where(terms.c.space == record.space)
    found = set((await connection.execute(there)).scalars())
    if gone := found - wanted:
        await connection.execute(delete(terms).where(terms.c.space == record.space, terms.c.term.in_(gone)))
    if new := sorted(wanted - found):
        await connection.execute(insert(terms), [{"term": term, "space": record.space} for term in new])


def title_term(word: str) -> str:
    return f"title:{word}"[:MAX_TERM_CHARACTERS]


def topic_term(topic: str) -> str:
    return f"topic:{topic}"[:MAX_TERM_CHARACTERS]


def _terms_of(record: SpaceRecord) -> set[str]:
    return {*map(title_term, words_of(record.title)), *map(topic_term, record.topics)}
