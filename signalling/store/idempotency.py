"""Calls that carried an idempotency key, and what they were answered. Edge (files)."""

from typing import Any

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.errors import CommandError
from signalling.idempotency import KeptAnswer, is_abandoned
from signalling.store.database import Database
from signalling.store.outreach_tables import idempotency_keys


class IdempotencyRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self, identity: str, key: str, *, fingerprint: str, now_s: float, max_keys: int
    ) -> KeptAnswer | None:
        """None: the call is the caller's to make, ending in `finish` or `release`. Else what is known of the first one.

        Raises CommandError `too_many_idempotency_keys`.
        """
        table = idempotency_keys
        mine = (table.c.identity == identity) & (table.c.key == key)
        begun = {"identity": identity, "key": key, "fingerprint": fingerprint, "state": "in_flight", "at_s": now_s}
        async with self._database.writing() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            row = {**begun, "status": 0, "headers": "{}", "body": ""}
            added = await connection.execute(dialect.insert(table).values(**row).on_conflict_do_nothing())
            if added.rowcount:
                await _check_room(connection, identity, max_keys)
                return None
            found = (await connection.execute(select(table).where(mine))).mappings().first()
            if found is None:  # released in this moment
                return KeptAnswer(fingerprint=fingerprint, state="in_flight", at_s=now_s)
            kept = _kept({str(name): value for name, value in found.items()})
            if not is_abandoned(kept, now_s) or kept.fingerprint != fingerprint:
                return kept
            taken_over = update(table).where(mine, table.c.at_s == kept.at_s).values(at_s=now_s)
            return None if (await connection.execute(taken_over)).rowcount else kept

    async def finish(self, identity: str, key: str, *, status: int, headers: dict[str, str], body: str) -> None:
        table = idempotency_keys
        answer = {"state": "done", "status": status, "headers": msgspec.json.encode(headers).decode(), "body": body}
        async with self._database.writing() as connection:
            await connection.execute(
                update(table).where(table.c.identity == identity, table.c.key == key).values(**answer)
            )

    async def release(self, identity: str, key: str) -> None:
        """It came to nothing; the key is free again."""
        table = idempotency_keys
        async with self._database.writing() as connection:
            await connection.execute(delete(table).where(table.c.identity == identity, table.c.key == key))

    async def expire(self, *, before_s: float) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(idempotency_keys).where(idempotency_keys.c.at_s < before_s))


async def _check_room(connection: AsyncConnection, identity: str, max_keys: int) -> None:
    table = idempotency_keys
    held = select(func.count()).select_from(table).where(table.c.identity == identity)
    if (await connection.execute(held)).scalar_one() > max_keys:
        raise CommandError(
            "too_many_idempotency_keys",
            f"{identity!r} has {max_keys} keys in keeping; wait for the oldest to expire, or send none",
            limit=max_keys,
        )


def _kept(row: dict[str, Any]) -> KeptAnswer:
    return msgspec.convert({**row, "headers": msgspec.json.decode(row["headers"])}, KeptAnswer)
