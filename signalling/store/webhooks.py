"""Webhooks before, while and after they are sent. Edge (files).

A happening becomes one delivery for each URL, in the transaction that made it true: what was decided is told, also when
the process ends in between. The id of a happening is unique for a URL, so what is told twice is stored once.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.store.database import Database
from signalling.store.outreach_tables import stage_told, webhook_deliveries
from signalling.webhook_queue import GiveUp, Pending, Retry
from signalling.webhooks import Happening, PersonTold, StageTold, build_body

DeliveryState = Literal["pending", "delivered", "dead"]

_ATTEMPT_COLUMNS = ("number", "url", "space", "attempts", "due_at_s")


class DeliveryRecord(Struct, frozen=True, kw_only=True):
    number: int
    event: str
    url: str
    space: str
    type: str
    body: str
    state: DeliveryState
    attempts: int
    due_at_s: float
    created_at_s: float
    finished_at_s: float | None
    error: str
    """Why the last attempt failed; empty where none did."""


class WebhookRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self, connection: AsyncConnection, happenings: Iterable[Happening], urls: Sequence[str], *, room: int
    ) -> list[Pending]:
        """Within the caller's transaction. What is beyond `room` is a dead letter at once, to be read and redelivered.

        Returns what is to be sent once the transaction has ended well.
        """
        pending: list[Pending] = []
        for happening in happenings:
            body = build_body(happening).decode()
            for url in urls:
                is_taken = len(pending) < room
                row = {
                    "event": happening.id,
                    "url": url,
                    "space": happening.space,
                    "type": happening.type,
                    "body": body,
                    "state": "pending" if is_taken else "dead",
                    "attempts": 0,
                    "due_at_s": happening.at_s,
                    "created_at_s": happening.at_s,
                    "finished_at_s": None if is_taken else happening.at_s,
                    "error": "" if is_taken else "the queue was full",
                }
                number = await self._insert_once(connection, row)
                if number is not None and is_taken:
                    pending.append(Pending(number, url, happening.space, due_at_s=happening.at_s))
        return pending

    async def _insert_once(self, connection: AsyncConnection, row: dict[str, Any]) -> int | None:
        """The row's number; None where the same was stored before."""
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(webhook_deliveries).values(**row)
        once = statement.on_conflict_do_nothing(index_elements=["event", "url"])
        return (await connection.execute(once.returning(webhook_deliveries.c.number))).scalar_one_or_none()

    async def pending(self) -> list[Pending]:
        """In the order of storing."""
        table = webhook_deliveries
        wanted = select(*(table.c[name] for name in _ATTEMPT_COLUMNS))
        rows = await self._database.rows(wanted.where(table.c.state == "pending").order_by(table.c.number))
        return msgspec.convert(rows, list[Pending])

    async def find(self, number: int) -> DeliveryRecord | None:
        row = await self._database.row(select(webhook_deliveries).where(webhook_deliveries.c.number == number))
        return None if row is None else msgspec.convert(row, DeliveryRecord)

    async def page(self, state: DeliveryState | None, *, before: int | None, limit: int) -> list[DeliveryRecord]:
        """Newest first, older than number `before`."""
        wanted = select(webhook_deliveries).order_by(webhook_deliveries.c.number.desc()).limit(limit)
        if state is not None:
            wanted = wanted.where(webhook_deliveries.c.state == state)
        if before is not None:
            wanted = wanted.where(webhook_deliveries.c.number < before)
        return msgspec.convert(await self._database.rows(wanted), list[DeliveryRecord])

    async def keep_delivered(self, number: int, attempts: int, *, now_s: float) -> None:
        await self._change(number, state="delivered", attempts=attempts, finished_at_s=now_s, error="")

    async def keep_failed(self, failure: Retry | GiveUp, *, error: str, now_s: float) -> None:
        match failure:
            case Retry(number, attempts, due_at_s):
                await self._change(number, attempts=attempts, due_at_s=due_at_s, error=error)
            case GiveUp(number, attempts):
                await self._change(number, state="dead", attempts=attempts, finished_at_s=now_s, error=error)

    async def revive(self, number: int, *, now_s: float) -> Pending | None:
        """To be sent again, with all its attempts before it; None for what is unknown or pending already."""
        table = webhook_deliveries
        again = (
            update(table)
            .where(table.c.number == number, table.c.state != "pending")
            .values(state="pending", attempts=0, due_at_s=now_s, finished_at_s=None, error="")
            .returning(table.c.number, table.c.url, table.c.space)
        )
        async with self._database.writing() as connection:
            row = (await connection.execute(again)).first()
        return None if row is None else Pending(row.number, row.url, row.space, due_at_s=now_s)

    async def expire(self, state: DeliveryState, *, finished_before_s: float) -> None:
        table = webhook_deliveries
        async with self._database.writing() as connection:
            await connection.execute(
                delete(table).where(table.c.state == state, table.c.finished_at_s < finished_before_s)
            )

    async def _change(self, number: int, **values: Any) -> None:
        async with self._database.writing() as connection:
            table = webhook_deliveries
            await connection.execute(update(table).where(table.c.number == number).values(**values))

    # Who is on stage, as far as it was told

    async def stages(self) -> list[StageTold]:
        """As last told, but for empty ones."""
        people: dict[str, list[PersonTold]] = {}
        for row in await self._database.rows(select(stage_told)):
            person = PersonTold(identity=row["identity"], name=row["name"], role=row["role"])
            people.setdefault(row["space"], []).append(person)
        return [StageTold(space, stage) for space, stage in people.items()]

    async def write_stage(self, connection: AsyncConnection, stage: StageTold) -> None:
        """Within the transaction that stores what is told of it."""
        await connection.execute(delete(stage_told).where(stage_told.c.space == stage.space))
        rows = [{"space": stage.space, **msgspec.structs.asdict(person)} for person in stage.people]
        if rows:
            await connection.execute(insert(stage_told), rows)
