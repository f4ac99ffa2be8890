"""Spaces kept: what was kept is found again, by another process too. The same tests on either database."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord
from signalling.store import Store

HALL = SpaceRecord(space="hall", title="Town hall", audience="forward", host="ada", max_speakers=10, created_at_s=1.5)


async def test_a_space_is_found_again(store: Store) -> None:
    assert await store.spaces.add(HALL)
    assert await store.spaces.find("hall") == HALL
    assert await store.spaces.open_ones() == [HALL]
    assert await store.spaces.find("attic") is None


async def test_an_id_is_given_once(store: Store) -> None:
    assert await store.spaces.add(HALL)
    assert not await store.spaces.add(replace(HALL, title="Another"))
    assert await store.spaces.find("hall") == HALL


async def test_of_many_who_want_one_id_at_once_one_gets_it(store: Store) -> None:
    assert sum(await asyncio.gather(*[store.spaces.add(HALL) for _ in range(8)])) == 1


async def test_an_ended_space_is_found_but_not_among_the_live(store: Store) -> None:
    await store.spaces.add(HALL)
    ended = replace(HALL, ended_at_s=9.0)
    await store.spaces.keep("hall", [ended])

    assert await store.spaces.find("hall") == ended
    assert await store.spaces.open_ones() == []


async def test_the_last_word_about_someone_counts(store: Store) -> None:
    await store.spaces.keep("hall", [StandingRecord("bob", "speaker", is_muted=True)])
    await store.spaces.keep("hall", [StandingRecord("bob", None, is_muted=False)])
    await store.spaces.keep("attic", [StandingRecord("bob", "cohost", is_muted=False)])

    assert await store.spaces.standings("hall") == [StandingRecord("bob", None, is_muted=False)]


async def test_removals_are_kept_by_space(store: Store) -> None:
    await store.spaces.keep("hall", [ExclusionRecord("bob", 5.25, is_block=False)])
    await store.spaces.keep("hall", [ExclusionRecord("bob", 7.25, is_block=True)])

    assert await store.spaces.exclusions("hall") == [ExclusionRecord("bob", 7.25, is_block=True)]
    assert await store.spaces.exclusions("attic") == []


async def test_what_one_decision_changes_is_kept_whole_or_not_at_all(store: Store) -> None:
    await store.spaces.add(HALL)
    unkeepable = replace(HALL, title=None)
    with pytest.raises(Exception, match=r"(?i)null"):
        await store.spaces.keep("hall", [StandingRecord("bob", is_muted=True), unkeepable])

    assert await store.spaces.standings("hall") == []
    assert await store.spaces.find("hall") == HALL


async def test_many_writes_at_once_are_all_kept(store: Store) -> None:
    people = [StandingRecord(f"person {index}", "speaker", is_muted=True) for index in range(50)]
    await asyncio.gather(*[store.spaces.keep("hall", [person]) for person in people])

    assert sorted(record.identity for record in await store.spaces.standings("hall")) == sorted(
        person.identity for person in people
    )


async def test_another_process_finds_what_one_kept(store_url: str) -> None:
    first, second = Store(store_url), Store(store_url)
    await first.open()
    await first.spaces.add(HALL)
    await first.spaces.keep("hall", [ExclusionRecord("bob", 5.0, is_block=False)])
    await second.open()

    assert await second.spaces.open_ones() == [HALL]
    assert await second.spaces.exclusions("hall") == [ExclusionRecord("bob", 5.0, is_block=False)]
    await first.close()
    await second.close()


async def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/missing/palco.db")
    with pytest.raises(OSError, match=r"store\.url"):
        await store.open()
    await store.close()


async def test_a_server_that_is_not_there_is_said_so() -> None:
    store = Store("postgresql://palco:hidden@127.0.0.1:1/palco?sslmode=disable")
    with pytest.raises(OSError, match=r"store\.url") as error:
        await store.open()
    assert "hidden" not in str(error.value)
    await store.close()
