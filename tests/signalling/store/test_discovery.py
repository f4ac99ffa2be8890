"""Finding spaces in the database: filters, words, who must not find what, and pages that neither repeat nor skip."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signalling.records import BlockRecord, ExclusionRecord, SpaceRecord
from signalling.store import Store
from signalling.store.discovery import Listed, Place, Wanted
from signalling.words import query_words


def space(name: str, title: str = "Town hall", *, host: str = "ada", **more: object) -> SpaceRecord:
    """Live since the moment 10, if not said otherwise."""
    fields: dict[str, object] = {"started_at_s": 10.0, "topics": [], **more}
    return SpaceRecord(
        space=name,
        title=title,
        audience="forward",
        host=host,
        max_speakers=10,
        created_at_s=1.0,
        **fields,  # type: ignore[arg-type]
    )


async def found(store: Store, listed: Listed = "live", *, viewer: str = "eve", **wanted: object) -> list[str]:
    wish = Wanted(viewer=viewer, **wanted)  # type: ignore[arg-type]
    return [record.space for record in await store.discovery.page(listed, wish, after=None, limit=100)]


async def keep(store: Store, *records: SpaceRecord) -> None:
    for record in records:
        assert await store.spaces.add(record)


async def test_live_ones_newest_first_and_upcoming_ones_next_first(store: Store) -> None:
    await keep(
        store,
        space("old", started_at_s=10.0),
        space("new", started_at_s=20.0),
        space("later", started_at_s=None, starts_at_s=90.0),
        space("soon", started_at_s=None, starts_at_s=50.0),
        space("over", started_at_s=5.0, ended_at_s=6.0),
    )
    assert await found(store) == ["new", "old"]
    assert await found(store, "upcoming") == ["soon", "later"]


async def test_filters_are_all_to_be_met(store: Store) -> None:
    await keep(
        store,
        space("one", topics=["music", "jazz"], language="pt-BR", host="ada"),
        space("two", topics=["music"], language="pt", host="bob"),
        space("three", topics=["news"], language="en", host="bob"),
        space("four", topics=["musica"], language="ptx", host="bob"),
    )
    assert await found(store, topic="music") == ["one", "two"]
    assert await found(store, language="PT") == ["one", "two"]
    assert await found(store, host="bob", topic="music") == ["two"]
    assert await found(store, topic="music", language="en") == []
    assert await found(store, topic="mus") == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("town", ["hall", "kafe"]),
        ("TOWN ha", ["hall"]),
        ("hall town", ["hall"]),
        ("own", []),
        ("café", ["kafe"]),
        ("cafe towns", ["kafe"]),
        ("京", ["tokyo"]),
        ("東京", ["tokyo"]),
        ("京都", []),
        ("100", ["percent"]),
        ("100%", ["percent"]),
        ("title", []),
        ("music", []),
    ],
)
async def test_a_title_is_found_by_the_beginnings_of_its_words(store: Store, query: str, names: list[str]) -> None:
    await keep(
        store,
        space("hall", "Town HALL", topics=["music"]),
        space("kafe", "Towns & Cafés"),
        space("tokyo", "東京の夜"),
        space("percent", "100% live"),
    )
    assert await found(store, words=query_words(query)) == names


HOSTILE = [
    "'",
    '"',
    "%",
    "_",
    "\\",
    "*",
    "a OR 1=1",
    "NEAR(town hall)",
    "title:town",
    "-town",
    "town*",
    "(",
    "^",
    "&|!:*",
]


@pytest.mark.parametrize("query", HOSTILE)
async def test_a_query_finds_words_and_commands_nothing(store: Store, query: str) -> None:
    await keep(store, space("hall", "Attic"))
    assert await found(store, words=query_words(query)) in ([], ["hall"])
    assert (await found(store, words=query_words(query)) == []) or query_words(query) in ([], ["a"])


async def test_a_new_title_is_found_and_the_old_one_not(store: Store) -> None:
    await keep(store, space("hall", "Town hall", topics=["news"]))
    await store.spaces.keep("hall", [space("hall", "Village green", topics=["music"])])

    assert await found(store, words=["town"]) == []
    assert await found(store, words=["village"]) == ["hall"]
    assert await found(store, topic="news") == []


async def test_spaces_from_before_there_were_words_are_found_after_the_next_start(store: Store, store_url: str) -> None:
    await keep(store, space("hall"))
    async with store.database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM terms")
    another = Store(store_url)
    await another.open()
    await another.discovery.index_missing()

    assert await found(another, words=["town"]) == ["hall"]
    await another.close()


async def test_the_blocked_find_nothing_of_that_host_and_others_do(store: Store) -> None:
    await keep(store, space("one"), space("two", started_at_s=None, starts_at_s=9.0), space("bobs", host="bob"))
    await store.spaces.keep("one", [BlockRecord("ada", "mallory", 5.0)])

    assert await found(store, viewer="mallory") == ["bobs"]
    assert await found(store, "upcoming", viewer="mallory") == []
    assert await found(store) == ["bobs", "one"]


async def test_who_was_blocked_from_one_space_does_not_find_that_one_and_the_removed_do(store: Store) -> None:
    await keep(store, space("one"), space("two"))
    await store.spaces.keep("one", [ExclusionRecord("mallory", 5.0, is_block=True)])
    await store.spaces.keep("two", [ExclusionRecord("mallory", 5.0, is_block=False)])

    assert await found(store, viewer="mallory") == ["two"]


async def test_whom_one_follows_speaks_there_or_will_host(store: Store) -> None:
    await keep(store, space("one"), space("two"), space("next", host="bob", started_at_s=None, starts_at_s=9.0))

    assert await found(store, speaking_in=["two"], hosted_by=["bob"]) == ["two"]
    assert await found(store, "upcoming", speaking_in=["two"], hosted_by=["bob"]) == ["next"]
    assert await found(store, "upcoming", speaking_in=[], hosted_by=[]) == []


HOSTS = itertools.count(1)


@pytest.mark.parametrize("listed", ["live", "upcoming"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    there=st.lists(st.integers(0, 4), max_size=12),
    meanwhile=st.lists(st.lists(st.integers(0, 4), max_size=2), max_size=12),
    limit=st.integers(1, 5),
)
async def test_pages_neither_repeat_nor_skip_whatever_is_added_meanwhile(
    store: Store, there: list[int], meanwhile: list[list[int]], limit: int, listed: Listed
) -> None:
    """Spaces are added at moments that repeat, so ties count. Each example has a host of its own in the one store."""
    host = f"host-{next(HOSTS)}"
    names = (f"{host}-{number}" for number in itertools.count(1))

    async def add(moment: int) -> str:
        started_at_s = float(moment) if listed == "live" else None
        record = space(next(names), host=host, started_at_s=started_at_s, starts_at_s=float(moment))
        await keep(store, record)
        return record.space

    seen: list[str] = []
    after: Place | None = None
    first = [await add(moment) for moment in there]
    arrivals = iter(meanwhile)
    while page := await store.discovery.page(listed, Wanted(viewer="eve", host=host), after=after, limit=limit):
        seen += [record.space for record in page]
        after = Place(listed, page[-1].starts_at_s or 0.0, page[-1].space)
        for moment in next(arrivals, []):
            await add(moment)

    assert len(seen) == len(set(seen)), "none is shown twice"
    assert set(first) <= set(seen), "none that was there is missing"
