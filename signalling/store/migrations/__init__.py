"""Brings a database up to date with this program, once, however many processes start at the same moment. Edge.

Revisions stand in `versions`, run by alembic over the connection that the caller holds and inside its transaction: on
either database the migration is done whole or not at all.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

FIRST: Final = "0001"
"""The tables as releases without migrations made them."""

_LOCK: Final = 0x50414C434F
"""Any number, as long as nobody else locks it in this database; this one spells the product's name."""


def bring_up_to_date(connection: Connection) -> None:
    """Migrates to the newest revision; `connection` is in a transaction, on SQLite one that holds the write lock.

    Raises OSError for a database of a newer program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    tables = set(inspect(connection).get_table_names())
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.attributes["connection"] = connection
    if "spaces" in tables and "alembic_version" not in tables:
        command.stamp(settings, FIRST)
    try:
        command.upgrade(settings, "head")
    except (CommandError, ResolutionError) as error:
        raise OSError(f"its tables are of another version of Palco: {error}") from error
