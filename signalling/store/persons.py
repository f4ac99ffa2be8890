"""All that is kept of a person: found, handed out, and erased. Edge (files).

`PERSONAL` says of every table where people's identities stand in it and what becomes of the row when one is erased; a
test walks all tables, so that a new one cannot be forgotten. The audit trail must stay whole to be worth anything: in
it, a pseudonym takes the identity's place. Whatever else is about the person alone is deleted.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Table, Text, cast, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.store.database import Database
from signalling.store.outreach_tables import (
    audit,
    bans,
    idempotency_keys,
    reminder_calls,
    reminders,
    reports,
    stage_told,
    terms,
    webhook_deliveries,
)
from signalling.store.tables import blocks, exclusions, links, spaces, standings, tickets


class Personal(Struct, frozen=True):
    """`columns` hold identities. A row goes with whoever stands in `goes_with`; elsewhere a pseudonym steps in."""

    columns: Sequence[str]
    goes_with: Sequence[str] = ()


PERSONAL: Final[Mapping[Table, Personal]] = {
    standings: Personal(("identity",), goes_with=("identity",)),
    exclusions: Personal(("identity",), goes_with=("identity",)),
    blocks: Personal(("host", "identity"), goes_with=("host", "identity")),
    tickets: Personal(("identity",), goes_with=("identity",)),
    stage_told: Personal(("identity",), goes_with=("identity",)),
    reminders: Personal(("identity",), goes_with=("identity",)),
    reports: Personal(("reporter", "identity", "resolved_by"), goes_with=("reporter", "identity")),
    audit: Personal(("by", "upon")),
    bans: Personal(("identity", "by"), goes_with=("identity",)),
    idempotency_keys: Personal(("identity",), goes_with=("identity",)),
    spaces: Personal(("host",), goes_with=("host",)),
}

MENTIONING: Final[Mapping[Table, Column[str]]] = {
    webhook_deliveries: webhook_deliveries.c.body,
    idempotency_keys: idempotency_keys.c.body,
}
"""JSON texts in which an identity may stand; the row goes with whoever does."""

IMPERSONAL: Final = frozenset({terms, reminder_calls})
"""Nobody's identity stands in them."""

_WITH_ITS_SPACE: Final = (standings, exclusions, stage_told, reminders, reminder_calls, terms)
"""Of a space that is deleted; the database itself takes tickets and links along."""


class PersonRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_spaces(self, identity: str) -> list[str]:
        """Spaces that are not over and know the person: as host, or by a decision about them."""
        known = [
            select(table.c.space).where(table.c.identity == identity)
            for table in (standings, exclusions, tickets, reminders)
        ]
        concerns = or_(spaces.c.host == identity, *(spaces.c.space.in_(there) for there in known))
        rows = await self._database.rows(
            select(spaces.c.space).where(spaces.c.ended_at_s.is_(None), concerns).order_by(spaces.c.space)
        )
        return [row["space"] for row in rows]

    async def export(self, identity: str) -> dict[str, list[dict[str, Any]]]:
        """Table → rows. Other people's identities in them are left out."""
        found: dict[str, list[dict[str, Any]]] = {}
        for table, personal in PERSONAL.items():
            mine = or_(*(table.c[column] == identity for column in personal.columns))
            for row in await self._database.rows(select(table).where(mine)):
                others = {column: None for column in personal.columns if row[column] != identity}
                found.setdefault(table.name, []).append({**row, **others})
        for row in await self._database.rows(select(links).where(_in_links(identity))):
            mine_of = [link for link in row["links"] if link["added_by"] == identity]
            found.setdefault(links.name, []).append({"space": row["space"], "links": mine_of})
        return {table: rows for table, rows in found.items() if rows}

    async def erase(self, connection: AsyncConnection, identity: str, *, pseudonym: str) -> list[int]:
        """Within the caller's transaction. Returns the numbers of the webhook deliveries that went with it."""
        deliveries = await _delete_mentions(connection, identity)
        hosted = select(spaces.c.space).where(spaces.c.host == identity)
        for table in _WITH_ITS_SPACE:
            await connection.execute(delete(table).where(table.c.space.in_(hosted)))
        for table, personal in PERSONAL.items():
            if personal.goes_with:
                gone = or_(*(table.c[column] == identity for column in personal.goes_with))
                await connection.execute(delete(table).where(gone))
            for column in set(personal.columns) - set(personal.goes_with):
                renamed = update(table).where(table.c[column] == identity).values({column: pseudonym})
                await connection.execute(renamed)
        await _rename_in_links(connection, identity, pseudonym)
        return deliveries


async def _delete_mentions(connection: AsyncConnection, identity: str) -> list[int]:
    deliveries: list[int] = []
    needle = msgspec.json.encode(identity).decode()
    for table, text in MENTIONING.items():
        keys = list(table.primary_key)
        rows = (await connection.execute(select(*keys, text).where(text.contains(needle, autoescape=True)))).all()
        for row in rows:
            if needle not in row[-1]:
                continue  # SQLite's LIKE takes a and A for the same
            this = [key == value for key, value in zip(keys, row[:-1], strict=True)]
            await connection.execute(delete(table).where(*this))
            if table is webhook_deliveries:
                deliveries.append(row[0])
    return deliveries


async def _rename_in_links(connection: AsyncConnection, identity: str, pseudonym: str) -> None:
    rows = (await connection.execute(select(links).where(_in_links(identity)))).mappings().all()
    for row in rows:
        renamed = [{**link, "added_by": pseudonym} if link["added_by"] == identity else link for link in row["links"]]
        await connection.execute(update(links).where(links.c.space == row["space"]).values(links=renamed))


def _in_links(identity: str) -> ColumnElement[bool]:
    """A coarse filter: their JSON, as SQLAlchemy writes it, has the identity in it."""
    return cast(links.c.links, Text).contains(json.dumps(identity), autoescape=True)
