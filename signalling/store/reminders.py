"""Who wants to be reminded of which space, and what reminders were called. Edge (files)."""

from typing import Literal

import msgspec
from sqlalchemy import ColumnElement, delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.records import SpaceRecord
from signalling.store.database import Database
from signalling.store.outreach_tables import reminder_calls, reminders
from signalling.store.tables import spaces

Occasion = Literal["host_before", "started"]


class ReminderRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, space: str, identity: str, *, now_s: float) -> None:
        row = {"space": space, "identity": identity, "at_s": now_s}
        async with self._database.writing() as connection:
            await connection.execute(self._database.upsert(reminders, row))

    async def remove(self, space: str, identity: str) -> None:
        async with self._database.writing() as connection:
            mine = (reminders.c.space == space) & (reminders.c.identity == identity)
            await connection.execute(delete(reminders).where(mine))

    async def is_set(self, space: str, identity: str) -> bool:
        mine = select(reminders.c.at_s).where(reminders.c.space == space, reminders.c.identity == identity)
        return await self._database.row(mine) is not None

    async def count(self, identity: str) -> int:
        """How many spaces `identity` wants to be reminded of."""
        counted = select(func.count().label("count")).select_from(reminders).where(reminders.c.identity == identity)
        row = await self._database.row(counted)
        return int(row["count"]) if row else 0

    async def hosts_due(self, *, now_s: float, before_s: float) -> list[SpaceRecord]:
        """Scheduled spaces that begin within `before_s`, were made earlier than that, and whose host is not called."""
        due = select(spaces).where(
            spaces.c.ended_at_s.is_(None),
            spaces.c.started_at_s.is_(None),
            spaces.c.starts_at_s > now_s,
            spaces.c.starts_at_s <= now_s + before_s,
            spaces.c.created_at_s <= spaces.c.starts_at_s - before_s,
            ~_is_called("host_before", spaces.c.starts_at_s),
        )
        return msgspec.convert(await self._database.rows(due), list[SpaceRecord])

    async def started(self) -> list[SpaceRecord]:
        """Live spaces whose listeners wanted a reminder and have not been called."""
        due = select(spaces).where(
            spaces.c.ended_at_s.is_(None),
            spaces.c.started_at_s.is_not(None),
            exists().where(reminders.c.space == spaces.c.space),
            ~_is_called("started", spaces.c.started_at_s),
        )
        return msgspec.convert(await self._database.rows(due), list[SpaceRecord])

    async def listeners(self, space: str) -> list[str]:
        wanted = select(reminders.c.identity).where(reminders.c.space == space).order_by(reminders.c.identity)
        return [row["identity"] for row in await self._database.rows(wanted)]

    async def write_call(
        self, connection: AsyncConnection, space: str, occasion: Occasion, *, for_s: float, now_s: float
    ) -> None:
        """That it was called, within the transaction that stores the reminder."""
        row = {"space": space, "occasion": occasion, "for_s": for_s, "at_s": now_s}
        await connection.execute(insert(reminder_calls).values(**row))

    async def expire(self) -> None:
        """Of spaces that are over."""
        over = select(spaces.c.space).where(spaces.c.ended_at_s.is_not(None))
        async with self._database.writing() as connection:
            await connection.execute(delete(reminders).where(reminders.c.space.in_(over)))
            await connection.execute(delete(reminder_calls).where(reminder_calls.c.space.in_(over)))


def _is_called(occasion: Occasion, for_s: ColumnElement[float]) -> ColumnElement[bool]:
    return exists().where(
        reminder_calls.c.space == spaces.c.space,
        reminder_calls.c.occasion == occasion,
        reminder_calls.c.for_s == for_s,
    )
