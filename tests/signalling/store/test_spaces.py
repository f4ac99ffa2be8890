"""The store: what was kept is found again, by another process too. The same tests for each kind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord
from signalling.store import DatabaseStore, MemoryStore, Store

HALL = SpaceRecord(space="hall", title="Town hall", audience="forward", host="ada", max_speakers=10, created_at_s=1.5)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else DatabaseStore(f"sqlite:///{tmp_path}/palco.db")
    await made.open()
    yield made
    await made.close()


async def test_a_space_is_found_again(store: Store) -> None:
    assert await store.add_space(HALL)
    assert await store.find_space("hall") == HALL
    assert await store.live_spaces() == [HALL]
    assert await store.find_space("attic") is None


async def test_an_id_is_given_once(store: Store) -> None:
    assert await store.add_space(HALL)
    assert not await store.add_space(replace(HALL, title="Another"))
    assert await store.find_space("hall") == HALL


async def test_of_many_who_want_one_id_at_once_one_gets_it(store: Store) -> None:
    assert sum(await asyncio.gather(*[store.add_space(HALL) for _ in range(8)])) == 1


async def test_an_ended_space_is_found_but_not_among_the_live(store: Store) -> None:
    await store.add_space(HALL)
    ended = replace(HALL, ended_at_s=9.0)
    await store.keep_space(ended)

    assert await store.find_space("hall") == ended
    assert await store.live_spaces() == []


async def test_the_last_word_about_someone_counts(store: Store) -> None:
    await store.keep_standing("hall", StandingRecord("bob", "speaker", is_muted=True))
    await store.keep_standing("hall", StandingRecord("bob", None, is_muted=False))
    await store.keep_standing("attic", StandingRecord("bob", "cohost", is_muted=False))

    assert await store.standings("hall") == [StandingRecord("bob", None, is_muted=False)]


async def test_removals_are_kept_by_space(store: Store) -> None:
    await store.keep_exclusion("hall", ExclusionRecord("bob", 5.25, is_block=False))
    await store.keep_exclusion("hall", ExclusionRecord("bob", 7.25, is_block=True))

    assert await store.exclusions("hall") == [ExclusionRecord("bob", 7.25, is_block=True)]
    assert await store.exclusions("attic") == []


async def test_many_writes_at_once_are_all_kept(store: Store) -> None:
    people = [StandingRecord(f"person {index}", "speaker", is_muted=True) for index in range(50)]
    await asyncio.gather(*[store.keep_standing("hall", person) for person in people])

    assert sorted(record.identity for record in await store.standings("hall")) == sorted(p.identity for p in people)


async def test_another_process_finds_what_one_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/palco.db"
    first, second = DatabaseStore(url), DatabaseStore(url)
    await first.open()
    await first.add_space(HALL)
    await first.keep_exclusion("hall", ExclusionRecord("bob", 5.0, is_block=False))
    await second.open()

    assert await second.live_spaces() == [HALL]
    assert await second.exclusions("hall") == [ExclusionRecord("bob", 5.0, is_block=False)]
    await first.close()
    await second.close()


async def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    store = DatabaseStore(f"sqlite:///{tmp_path}/missing/palco.db")
    with pytest.raises(OSError, match=r"store\.url"):
        await store.open()
    await store.close()
