"""One server for the tests of a file; each has a space of its own."""

import secrets
from collections.abc import AsyncIterator

import pytest_asyncio

from sfu.contract.config import Limits
from tests.signalling.running import Server, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    # A file of tests asks more in a second than a person; the limits have tests of their own.
    async with running(limits=Limits(requests_per_second=5000, request_burst=10_000)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def hall(server: Server) -> str:
    """The name of a fresh space."""
    space = f"hall-{secrets.token_hex(5)}"
    await server.make_space(space)
    return space
