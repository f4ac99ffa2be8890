"""Spaces, what their moderators decided, and who is kept out of them. Edge (files).

There are few writes: none for a listener who comes and goes.
"""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
from sqlalchemy import Executable, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.records import (
    BlockRecord,
    ExclusionRecord,
    LinkRecord,
    LinksRecord,
    SpaceRecord,
    StandingRecord,
    TicketRecord,
)
from signalling.store.database import Database
from signalling.store.tables import blocks, exclusions, links, spaces, standings, tickets
from signalling.store.terms import write_terms

Record = SpaceRecord | StandingRecord | ExclusionRecord | BlockRecord | TicketRecord | LinksRecord

T = TypeVar("T")


class SpaceRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, record: SpaceRecord) -> bool:
        """False where its id is taken, by a live space or an ended one."""
        try:
            async with self._database.writing() as connection:
                await self.write_new(connection, record)
        except IntegrityError:
            return False
        return True

    async def write_new(self, connection: AsyncConnection, record: SpaceRecord) -> None:
        """Within the caller's transaction. Raises sqlalchemy.exc.IntegrityError where its id is taken."""
        await connection.execute(insert(spaces).values(**_row(record)))
        await write_terms(connection, record)

    async def keep(self, space: str, records: Sequence[Record]) -> None:
        """All of them, or none: what one decision changes belongs together."""
        if not records:
            return
        async with self._database.writing() as connection:
            await self.write(connection, space, records)

    async def write(self, connection: AsyncConnection, space: str, records: Sequence[Record]) -> None:
        """Within the caller's transaction."""
        for record in records:
            await connection.execute(self._statement(space, record))
            if isinstance(record, SpaceRecord):
                await write_terms(connection, record)

    async def find(self, space: str) -> SpaceRecord | None:
        row = await self._database.row(select(spaces).where(spaces.c.space == space))
        return None if row is None else msgspec.convert(row, SpaceRecord)

    async def open_ones(self) -> list[SpaceRecord]:
        """Scheduled or live."""
        rows = await self._database.rows(select(spaces).where(spaces.c.ended_at_s.is_(None)))
        return msgspec.convert(rows, list[SpaceRecord])

    async def standings(self, space: str) -> list[StandingRecord]:
        return await self._of(standings, space, StandingRecord)

    async def exclusions(self, space: str) -> list[ExclusionRecord]:
        return await self._of(exclusions, space, ExclusionRecord)

    async def tickets(self, space: str) -> list[TicketRecord]:
        rows = await self._database.rows(
            select(tickets).where(tickets.c.space == space).order_by(tickets.c.issued_at_s)
        )
        return msgspec.convert(rows, list[TicketRecord])

    async def blocks(self) -> list[BlockRecord]:
        """Of every host."""
        return msgspec.convert(await self._database.rows(select(blocks)), list[BlockRecord])

    def _statement(self, space: str, record: Record) -> Executable:
        match record:
            case SpaceRecord():
                return self._database.upsert(spaces, _row(record))
            case StandingRecord():
                return self._database.upsert(standings, {"space": space, **_row(record)})
            case ExclusionRecord():
                return self._database.upsert(exclusions, {"space": space, **_row(record)})
            case TicketRecord():
                return self._database.upsert(tickets, {"space": space, **_row(record)})
            case LinksRecord():
                return self._database.upsert(links, {"space": space, **_row(record)})
            case BlockRecord(host, identity, None):
                return delete(blocks).where(blocks.c.host == host, blocks.c.identity == identity)
            case BlockRecord():
                return self._database.upsert(blocks, _row(record))

    async def links(self, space: str) -> list[LinkRecord]:
        """In order."""
        row = await self._database.row(select(links.c.links).where(links.c.space == space))
        return msgspec.convert(row["links"], list[LinkRecord]) if row else []

    async def _of(self, table: Table, space: str, kind: type[T]) -> list[T]:
        return msgspec.convert(await self._database.rows(select(table).where(table.c.space == space)), list[kind])  # type: ignore[valid-type]


def _row(record: Record) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(record))
