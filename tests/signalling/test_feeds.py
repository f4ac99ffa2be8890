"""Event streams: the same bytes for all, and a bound on what a reader who does not read can cost."""

import asyncio

import msgspec

from signalling.feeds import MAX_WAITING, Feed, Frame, Watcher
from signalling.resources import Counts, Nothing, SnapshotEvent, SpaceResource, You

NOW_S = 1_800_000_000.0
HALL = SpaceResource("hall", "Town hall", "live", "forward", "ada", "2027-01-15T08:00:00Z", 10, Counts(0, 0))


def watch(feed: Feed, identity: str) -> Watcher:
    snapshot = SnapshotEvent(HALL, [], You(identity, "listener", is_muted=False))
    return feed.watch(identity, lambda: snapshot, lambda: NOW_S)


async def take(watcher: Watcher) -> list[Frame]:
    """What is there to be sent now."""
    async with asyncio.timeout(5):
        frames = await watcher.frames()
    assert frames is not None
    return frames


def types(frames: list[Frame]) -> list[str]:
    return [msgspec.json.decode(frame.json)["type"] for frame in frames]


async def test_the_first_event_is_a_snapshot() -> None:
    assert types(await take(watch(Feed("hall"), "ada"))) == ["snapshot"]


async def test_everyone_is_sent_the_very_same_bytes() -> None:
    feed = Feed("hall")
    watchers = [watch(feed, identity) for identity in ("ada", "bob")]
    for watcher in watchers:
        await take(watcher)
    feed.announce("counts", Counts(1, 2), NOW_S)

    (first,), (second,) = [await take(watcher) for watcher in watchers]
    assert first is second
    assert first.sse == b"id: 1\nevent: counts\ndata: " + first.json + b"\n\n"


async def test_events_are_numbered_by_space_and_a_notice_takes_no_number() -> None:
    feed = Feed("hall")
    watcher = watch(feed, "bob")
    await take(watcher)
    feed.announce("counts", Counts(1, 2), NOW_S)
    feed.notify("bob", "you.invited", Nothing(), NOW_S)
    feed.announce("counts", Counts(1, 3), NOW_S)

    envelopes = [msgspec.json.decode(frame.json) for frame in await take(watcher)]
    assert [(envelope["type"], envelope["seq"]) for envelope in envelopes] == [
        ("counts", 1),
        ("you.invited", 1),
        ("counts", 2),
    ]
    assert envelopes[0]["ts"] == "2027-01-15T08:00:00.000Z"
    assert envelopes[0]["space"] == "hall"


async def test_a_notice_reaches_only_whom_it_is_for() -> None:
    feed = Feed("hall")
    bob, cleo = watch(feed, "bob"), watch(feed, "cleo")
    for watcher in (bob, cleo):
        await take(watcher)
    feed.notify("bob", "you.invited", Nothing(), NOW_S)
    feed.announce("counts", Counts(1, 2), NOW_S)

    assert types(await take(bob)) == ["you.invited", "counts"]
    assert types(await take(cleo)) == ["counts"]


async def test_who_does_not_read_loses_events_to_a_snapshot_and_costs_no_more_than_the_bound() -> None:
    feed = Feed("hall")
    slow = watch(feed, "slow")
    await take(slow)

    dropped = sum(feed.announce("counts", Counts(0, number), NOW_S) for number in range(MAX_WAITING + 100))

    assert dropped == MAX_WAITING + 100
    assert types(await take(slow)) == ["snapshot"]
    feed.announce("counts", Counts(0, 7), NOW_S)
    assert types(await take(slow)) == ["counts"]


async def test_one_who_reads_loses_nothing_beside_one_who_does_not() -> None:
    feed = Feed("hall")
    slow, quick = watch(feed, "slow"), watch(feed, "quick")
    for watcher in (slow, quick):
        await take(watcher)
    seen = 0
    for number in range(1000):
        feed.announce("counts", Counts(0, number), NOW_S)
        seen += len(await take(quick))

    assert seen == 1000


async def test_an_ejected_reader_is_sent_what_was_queued_and_then_the_end() -> None:
    feed = Feed("hall")
    bob, cleo = watch(feed, "bob"), watch(feed, "cleo")
    for watcher in (bob, cleo):
        await take(watcher)
    feed.notify("bob", "you.removed", Nothing(), NOW_S)
    feed.eject("bob")
    feed.announce("counts", Counts(1, 2), NOW_S)

    assert types(await take(bob))[0] == "you.removed"
    assert await bob.frames() is None
    assert types(await take(cleo)) == ["counts"]


async def test_the_end_of_the_space_ends_every_stream() -> None:
    feed = Feed("hall")
    watchers = [watch(feed, identity) for identity in ("ada", "bob")]
    feed.eject(None)

    assert [await watcher.frames() for watcher in watchers] == [None, None]


async def test_who_has_left_is_forgotten() -> None:
    feed = Feed("hall")
    watcher = watch(feed, "bob")
    feed.unwatch(watcher)

    assert feed.watchers_of("bob") == 0
    assert feed.announce("counts", Counts(1, 2), NOW_S) == 0
