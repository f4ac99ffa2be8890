"""Databases of every age become today's, once, and lose nothing on the way."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from signalling.records import BlockRecord, ExclusionRecord, StandingRecord
from signalling.store import Store
from signalling.store.database import Database
from signalling.store.tables import metadata

BEFORE_MIGRATIONS = [
    """CREATE TABLE spaces (
        space VARCHAR(64) NOT NULL PRIMARY KEY, title VARCHAR(70) NOT NULL, audience VARCHAR(16) NOT NULL,
        host VARCHAR(128) NOT NULL, max_speakers INTEGER NOT NULL,
        created_at_s FLOAT NOT NULL, ended_at_s FLOAT)""",
    "CREATE INDEX ix_spaces_ended_at_s ON spaces (ended_at_s)",
    """CREATE TABLE standings (
        space VARCHAR(64) NOT NULL, identity VARCHAR(128) NOT NULL, role VARCHAR(16), is_muted BOOLEAN NOT NULL,
        PRIMARY KEY (space, identity))""",
    """CREATE TABLE exclusions (
        space VARCHAR(64) NOT NULL, identity VARCHAR(128) NOT NULL, at_s FLOAT NOT NULL,
        is_block BOOLEAN NOT NULL, PRIMARY KEY (space, identity))""",
    "INSERT INTO spaces VALUES ('hall', 'Town hall', 'forward', 'ada', 10, 1.5, NULL)",
    "INSERT INTO spaces VALUES ('attic', 'Attic', 'forward', 'ada', 3, 1.5, 9.25)",
    "INSERT INTO standings VALUES ('hall', 'bob', 'speaker', TRUE)",
    "INSERT INTO exclusions VALUES ('hall', 'mallory', 5.25, TRUE)",
]
"""What the releases without migrations made and kept."""


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def run(url: str, statements: list[str]) -> None:
    """On a database that nobody has opened yet."""
    database = Database(url)
    async with database.writing() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await database.close()


async def test_the_migrations_make_the_tables_that_the_program_uses(store: Store) -> None:
    async with store.database.writing() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_from_before_migrations_is_adopted_and_loses_nothing(store_url: str) -> None:
    await run(store_url, BEFORE_MIGRATIONS)
    store = Store(store_url)
    await store.open()

    [hall] = await store.spaces.open_ones()
    attic = await store.spaces.find("attic")
    assert (hall.space, hall.title, hall.host, hall.max_speakers, hall.created_at_s) == (
        "hall",
        "Town hall",
        "ada",
        10,
        1.5,
    )
    assert attic
    assert (attic.max_speakers, attic.ended_at_s) == (3, 9.25)
    assert (hall.state, attic.state) == ("live", "ended")
    assert await store.spaces.standings("hall") == [StandingRecord("bob", "speaker", is_muted=True)]
    assert await store.spaces.exclusions("hall") == [ExclusionRecord("mallory", 5.25, is_block=False)]
    assert await store.spaces.blocks() == [BlockRecord("ada", "mallory", 5.25)]
    async with store.database.writing() as connection:
        assert await connection.run_sync(differences) == []
    await store.close()


@pytest.mark.parametrize("older", [[], BEFORE_MIGRATIONS], ids=["empty", "from before migrations"])
async def test_of_many_that_start_at_once_one_migrates_and_all_go_on(store_url: str, older: list[str]) -> None:
    await run(store_url, older)
    stores = [Store(store_url) for _ in range(4)]
    await asyncio.gather(*[store.open() for store in stores])

    found = await asyncio.gather(*[store.spaces.open_ones() for store in stores])
    assert [len(spaces) for spaces in found] == [1 if older else 0] * 4
    for store in stores:
        await store.close()


async def test_a_database_of_a_newer_program_is_left_alone(store_url: str) -> None:
    store = Store(store_url)
    await store.open()
    await store.close()
    await run(store_url, ["UPDATE alembic_version SET version_num = '9999'"])

    with pytest.raises(OSError, match=r"another version.*store\.url"):
        await store.open()
    await store.close()
