"""The databases that signalling is tested on: SQLite, and a real PostgreSQL that the tests start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.harness.postgres import Postgres, find_programs, postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    programs = find_programs()
    if programs is None:
        pytest.skip(f"{MISSING}: PostgreSQL (no initdb; tests/setup installs the package postgresql)")
    with postgres(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/palco.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.make_database()
