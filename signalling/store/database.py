"""One database, opened, migrated and shared by the repositories. Edge (files, sockets).

SQLite has one writer: there is one connection, taken in turns, and a write begins as one (BEGIN IMMEDIATE), so that two
processes wait for each other instead of failing half-way. It writes through to the disk before a write returns.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import URL, Executable, RowMapping, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from signalling.errors import CommandError
from signalling.store.migrations import bring_up_to_date

BUSY_WITHIN_MS: Final = 10_000
"""How long a write waits for another process's, a migration included."""

_SERVER_CONNECTIONS: Final = 8


class Database:
    """`async with database.reading() as connection:` and `writing()`, which is one transaction."""

    def __init__(self, url: str) -> None:
        """Raises sqlalchemy.exc.ArgumentError for a URL that is none."""
        self._engine = _engine_for(make_url(url))
        self._is_sqlite = self._engine.dialect.name == "sqlite"

    async def open(self) -> None:
        """Raises OSError where the database cannot be reached or is of a newer version than this program."""
        try:
            if self._is_sqlite and self._engine.url.database:
                # aiosqlite leaves its thread behind where the file cannot be opened; better to know before.
                sqlite3.connect(self._engine.url.database).close()
            async with self._transaction() as connection:
                await connection.run_sync(bring_up_to_date)
        except (sqlite3.Error, DBAPIError, OSError) as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise OSError(f"the store {where} cannot be opened ({error}); see store.url") from error

    async def close(self) -> None:
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Single statements, each on its own. Raises CommandError `store_unavailable`."""
        with _as_unavailable():
            async with self._engine.connect() as connection:
                if not self._is_sqlite:  # which begins nothing by itself
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                yield connection

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, on the disk when it ends well. Raises CommandError `store_unavailable`."""
        with _as_unavailable():
            async with self._transaction() as connection:
                yield connection

    async def rows(self, statement: Executable) -> Sequence[dict[str, Any]]:
        """All rows of a SELECT, with keys of type str itself, as msgspec wants them."""
        async with self.reading() as connection:
            return [_plain(row) for row in (await connection.execute(statement)).mappings()]

    async def row(self, statement: Executable) -> dict[str, Any] | None:
        """The first row of a SELECT."""
        async with self.reading() as connection:
            row = (await connection.execute(statement)).mappings().first()
        return None if row is None else _plain(row)

    def upsert(self, table: Table, row: Mapping[str, Any]) -> Executable:
        """Inserts `row`, or replaces the one of the same key."""
        statement = (sqlite if self._is_sqlite else postgresql).insert(table).values(**row)
        keys = [column.name for column in table.primary_key]
        changed = {name: statement.excluded[name] for name in row if name not in keys}
        if not changed:
            kept: Executable = statement.on_conflict_do_nothing(index_elements=keys)
            return kept
        upsert: Executable = statement.on_conflict_do_update(index_elements=keys, set_=changed)
        return upsert

    @contextlib.asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.begin() as connection:
            if self._is_sqlite:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    """A database that does not answer is no fault of the caller's, nor of ours."""
    try:
        yield
    except (OperationalError, InterfaceError, ConnectionError) as error:
        raise CommandError("store_unavailable", "the database does not answer; try again in a moment") from error


def _plain(row: RowMapping) -> dict[str, Any]:
    return {str(key): value for key, value in row.items()}


def _engine_for(url: URL) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        # libpq's `sslmode`, which people copy from their provider, is `ssl` with asyncpg.
        query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
        url = url.set(drivername="postgresql+asyncpg", query=query)
        return create_async_engine(url, pool_size=_SERVER_CONNECTIONS, pool_pre_ping=True)
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # Python's sqlite3 begins no transaction of its own
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_WITHIN_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    return engine
