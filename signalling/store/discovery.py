"""Live and upcoming spaces, a page at a time, and the words by which they are found. Edge (files)."""

from collections.abc import Collection, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, func, select

from signalling.cursors import KeyText
from signalling.records import SpaceRecord
from signalling.store.database import Database
from signalling.store.outreach_tables import terms
from signalling.store.tables import blocks, exclusions, spaces
from signalling.store.terms import title_term, topic_term, write_terms

Listed = Literal["live", "upcoming"]

_AFTER_ALL: Final = "\U0010ffff"
"""No word has it: behind a prefix, the end of its range."""


class Place(Struct, frozen=True, array_like=True):
    """Where a page ended: `at_s` is when the space started, or is to start."""

    listed: Listed
    at_s: float
    space: KeyText


class Wanted(Struct, frozen=True, kw_only=True):
    """What is looked for; what is empty or None is not asked for."""

    viewer: str
    """Whom what he must not find is kept from."""
    words: Sequence[str] = ()
    """Folded; each must begin a word of the title."""
    topic: str = ""
    language: str = ""
    host: str = ""
    speaking_in: Collection[str] | None = None
    """Only these live spaces."""
    hosted_by: Collection[str] | None = None
    """Only upcoming spaces of these hosts."""


class DiscoveryRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, listed: Listed, wanted: Wanted, *, after: Place | None, limit: int) -> list[SpaceRecord]:
        """Live ones begin with the newest, upcoming ones with the next."""
        is_live = listed == "live"
        moment = spaces.c.started_at_s if is_live else spaces.c.starts_at_s
        found = select(spaces).where(*_listed(listed), *_filters(listed, wanted))
        if after is not None:
            beyond = moment < after.at_s if is_live else moment > after.at_s
            found = found.where(beyond | ((moment == after.at_s) & (spaces.c.space > after.space)))
        order = moment.desc() if is_live else moment
        rows = await self._database.rows(found.order_by(order, spaces.c.space).limit(limit))
        return msgspec.convert(rows, list[SpaceRecord])

    async def index_missing(self) -> None:
        """Spaces from before there were words."""
        is_missing = spaces.c.ended_at_s.is_(None) & ~spaces.c.space.in_(select(terms.c.space))
        records = msgspec.convert(await self._database.rows(select(spaces).where(is_missing)), list[SpaceRecord])
        if records:
            async with self._database.writing() as connection:
                for record in records:
                    await write_terms(connection, record)


def _listed(listed: Listed) -> list[ColumnElement[bool]]:
    is_started = spaces.c.started_at_s.is_not(None)
    return [spaces.c.ended_at_s.is_(None), is_started if listed == "live" else ~is_started]


def _filters(listed: Listed, wanted: Wanted) -> list[ColumnElement[bool]]:
    blocking = select(blocks.c.host).where(blocks.c.identity == wanted.viewer)
    excluded = select(exclusions.c.space).where(exclusions.c.identity == wanted.viewer, exclusions.c.is_block)
    filters: list[ColumnElement[bool]] = [~spaces.c.host.in_(blocking), ~spaces.c.space.in_(excluded)]
    for word in wanted.words:
        prefix = title_term(word)
        titled = select(terms.c.space).where(terms.c.term >= prefix, terms.c.term < prefix + _AFTER_ALL)
        filters.append(spaces.c.space.in_(titled))
    if wanted.topic:
        filters.append(spaces.c.space.in_(select(terms.c.space).where(terms.c.term == topic_term(wanted.topic))))
    if wanted.language:
        spoken, asked = func.lower(spaces.c.language), wanted.language.lower()
        filters.append((spoken == asked) | spoken.startswith(f"{asked}-", autoescape=True))
    if wanted.host:
        filters.append(spaces.c.host == wanted.host)
    if listed == "live" and wanted.speaking_in is not None:
        filters.append(spaces.c.space.in_(wanted.speaking_in))
    if listed == "upcoming" and wanted.hosted_by is not None:
        filters.append(spaces.c.host.in_(wanted.hosted_by))
    return filters
