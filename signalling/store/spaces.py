"""Where records outlive the process: the `Store`, in memory and in a database. Edge (files).

SQLAlchemy Core, so that PostgreSQL is a matter of the URL; SQLite writes through to the disk before a removal or a
mute is acknowledged. There are few writes: none for a listener who comes and goes.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import msgspec
from sqlalchemy import (
    Boolean,
    Column,
    Executable,
    Float,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    RowMapping,
    String,
    Table,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord

_tables: Final = MetaData()

_spaces: Final = Table(
    "spaces",
    _tables,
    Column("space", String(64), primary_key=True),
    Column("title", String(70), nullable=False),
    Column("audience", String(16), nullable=False),
    Column("host", String(128), nullable=False),
    Column("max_speakers", Integer, nullable=False),
    Column("created_at_s", Float(53), nullable=False),
    Column("ended_at_s", Float(53), index=True),
)
_standings: Final = Table(
    "standings",
    _tables,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("role", String(16)),
    Column("is_muted", Boolean, nullable=False),
    PrimaryKeyConstraint("space", "identity"),
)
_exclusions: Final = Table(
    "exclusions",
    _tables,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("at_s", Float(53), nullable=False),
    Column("is_block", Boolean, nullable=False),
    PrimaryKeyConstraint("space", "identity"),
)


class Store(Protocol):
    """What `signalling.app` needs kept. A returned write is on the disk."""

    async def open(self) -> None:
        """Makes the tables where they are missing. Raises OSError where the store cannot be reached."""

    async def close(self) -> None: ...

    async def add_space(self, record: SpaceRecord) -> bool:
        """False where its id is taken, by a live space or an ended one."""

    async def keep_space(self, record: SpaceRecord) -> None: ...

    async def find_space(self, space: str) -> SpaceRecord | None: ...

    async def live_spaces(self) -> list[SpaceRecord]: ...

    async def keep_standing(self, space: str, record: StandingRecord) -> None: ...

    async def standings(self, space: str) -> list[StandingRecord]: ...

    async def keep_exclusion(self, space: str, record: ExclusionRecord) -> None: ...

    async def exclusions(self, space: str) -> list[ExclusionRecord]: ...


class MemoryStore:
    """A store for tests and trials; a second server over the same one finds what the first kept."""

    def __init__(self) -> None:
        self._spaces: dict[str, SpaceRecord] = {}
        self._standings: dict[tuple[str, str], StandingRecord] = {}
        self._exclusions: dict[tuple[str, str], ExclusionRecord] = {}

    async def open(self) -> None:
        """Nothing to make."""

    async def close(self) -> None:
        """Nothing to close."""

    async def add_space(self, record: SpaceRecord) -> bool:
        if record.space in self._spaces:
            return False
        self._spaces[record.space] = record
        return True

    async def keep_space(self, record: SpaceRecord) -> None:
        self._spaces[record.space] = record

    async def find_space(self, space: str) -> SpaceRecord | None:
        return self._spaces.get(space)

    async def live_spaces(self) -> list[SpaceRecord]:
        return [record for record in self._spaces.values() if record.ended_at_s is None]

    async def keep_standing(self, space: str, record: StandingRecord) -> None:
        self._standings[space, record.identity] = record

    async def standings(self, space: str) -> list[StandingRecord]:
        return [record for (owner, _), record in self._standings.items() if owner == space]

    async def keep_exclusion(self, space: str, record: ExclusionRecord) -> None:
        self._exclusions[space, record.identity] = record

    async def exclusions(self, space: str) -> list[ExclusionRecord]:
        return [record for (owner, _), record in self._exclusions.items() if owner == space]


class DatabaseStore:
    """A store at an SQLAlchemy URL: `sqlite:////var/lib/palco/palco.db`."""

    def __init__(self, url: str) -> None:
        self._engine = _engine_for(url)
        self._upserts = {
            table.name: _upsert_into(table, self._engine.dialect.name) for table in (_standings, _exclusions)
        }

    async def open(self) -> None:
        try:
            if self._engine.dialect.name == "sqlite" and self._engine.url.database:
                # aiosqlite leaves its thread behind where the file cannot be opened; better to know before.
                sqlite3.connect(self._engine.url.database).close()
            async with self._engine.begin() as connection:
                await connection.run_sync(_tables.create_all)
        except (sqlite3.Error, OperationalError) as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise OSError(f"the store {where} cannot be opened ({error}); see store.url") from error

    async def close(self) -> None:
        await self._engine.dispose()

    async def add_space(self, record: SpaceRecord) -> bool:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(insert(_spaces).values(**_row(record)))
        except IntegrityError:
            return False
        return True

    async def keep_space(self, record: SpaceRecord) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(update(_spaces).where(_spaces.c.space == record.space).values(**_row(record)))

    async def find_space(self, space: str) -> SpaceRecord | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(_spaces).where(_spaces.c.space == space))).mappings().first()
        return None if row is None else msgspec.convert(_plain(row), SpaceRecord)

    async def live_spaces(self) -> list[SpaceRecord]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(_spaces).where(_spaces.c.ended_at_s.is_(None)))).mappings().all()
        return [msgspec.convert(_plain(row), SpaceRecord) for row in rows]

    async def keep_standing(self, space: str, record: StandingRecord) -> None:
        await self._upsert(_standings, {"space": space, **_row(record)})

    async def standings(self, space: str) -> list[StandingRecord]:
        return msgspec.convert(await self._rows_of(_standings, space), list[StandingRecord])

    async def keep_exclusion(self, space: str, record: ExclusionRecord) -> None:
        await self._upsert(_exclusions, {"space": space, **_row(record)})

    async def exclusions(self, space: str) -> list[ExclusionRecord]:
        return msgspec.convert(await self._rows_of(_exclusions, space), list[ExclusionRecord])

    async def _rows_of(self, table: Table, space: str) -> list[dict[str, Any]]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(table).where(table.c.space == space))).mappings().all()
        return [_plain(row) for row in rows]

    async def _upsert(self, table: Table, row: Mapping[str, Any]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(self._upserts[table.name], row)


def _upsert_into(table: Table, dialect: str) -> Executable:
    """Inserts a row, or replaces the one of the same key."""
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    upsert: Executable = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return upsert


def _row(record: SpaceRecord | StandingRecord | ExclusionRecord) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(record))


def _plain(row: RowMapping) -> dict[str, Any]:
    """A row with keys of type str itself, as msgspec wants them."""
    return {str(key): value for key, value in row.items()}


def _engine_for(url: str) -> AsyncEngine:
    """Raises sqlalchemy.exc.ArgumentError for a URL that is none."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_async_engine(parsed.set(drivername="postgresql+asyncpg"))
    # One connection, taken in turns: SQLite has one writer, and the transactions here are single statements.
    engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), pool_size=1, max_overflow=0)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    return engine
