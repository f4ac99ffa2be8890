"""An open store, on either database."""

from collections.abc import AsyncIterator

import pytest

from signalling.store import Store


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    made = Store(store_url)
    await made.open()
    yield made
    await made.close()
