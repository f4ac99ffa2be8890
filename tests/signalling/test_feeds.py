"""Event streams: the same bytes for all, nothing lost or told twice, and a bound on what who does not read can cost."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from signalling import feeds
from signalling.events import EVENTS, Caption, Nothing, SnapshotEvent
from signalling.feeds import CAPTIONS_KEPT, LOOK_AGAIN_S, MAX_BACKLOG_BYTES, MAX_CAUGHT_UP, STALLED_FOR_S, Feed, Watcher
from signalling.frames import HEARTBEAT, Packing, chunk, pack_chunk, pack_websocket
from signalling.pacing import SHARED_PER_S, TICK_S
from signalling.resources import Counts
from signalling.ring import MAX_EVENTS, Cursor, Kept
from tests.harness import clock

NOW_S = 1_800_000_000.0
EPOCH = "3f9a1c0d"
SNAPSHOT = msgspec.convert(EVENTS["snapshot"].example, SnapshotEvent)


def pack_plainly(_: str, events: Sequence[Kept]) -> bytes:  # type: ignore[override, unused-ignore]
    """A line each, for tests to read."""
    return b"".join(event.json + b"\n" for event in events)


class Pipe:
    """A wire; `backlog` is what the test says that it is."""

    heartbeat = b""

    def __init__(self, packing: Packing = pack_plainly) -> None:  # type: ignore[assignment, unused-ignore]
        self.packing = packing
        self.writes: list[bytes] = []
        self.backlog = 0
        self.aborts = 0

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def backlog_bytes(self) -> int:
        return self.backlog

    def abort(self) -> None:
        self.aborts += 1

    def take(self) -> list[dict[str, Any]]:
        """The envelopes written since the last call."""
        written, self.writes = b"".join(self.writes), []
        return [msgspec.json.decode(line) for line in written.splitlines()]


def new_feed(**more: Any) -> Feed:
    return Feed("hall", epoch=EPOCH, clock=lambda: NOW_S, **more)


def watch(feed: Feed, identity: str, pipe: Pipe, after: int | None = None) -> Watcher:
    cursor = None if after is None else Cursor(EPOCH, after)
    return feed.watch(identity, pipe, lambda: SNAPSHOT, after=cursor)


def types(envelopes: Sequence[dict[str, Any]]) -> list[str]:
    return [envelope["type"] for envelope in envelopes]


def line(text: str) -> Caption:
    return Caption(identity="ada", text=text)


async def settle() -> None:
    """Long enough for all that was announced to be told."""
    await asyncio.sleep(20 * TICK_S)


def test_a_stream_begins_with_a_snapshot_at_once() -> None:
    async def play() -> None:
        pipe = Pipe()
        watch(new_feed(), "bob", pipe)
        (snapshot,) = pipe.take()
        assert (snapshot["type"], snapshot["seq"], snapshot["data"]["epoch"]) == ("snapshot", 0, EPOCH)

    clock.run(play())


def test_everyone_is_written_the_very_same_bytes() -> None:
    async def play() -> None:
        feed, pipes = new_feed(), [Pipe(pack_chunk), Pipe(pack_chunk), Pipe(pack_websocket), Pipe(pack_websocket)]
        for number, pipe in enumerate(pipes):
            watch(feed, f"p{number}", pipe)
        feed.announce("counts", Counts(speakers=1, listeners=2))
        await settle()
        one, two, three, four = [pipe.writes[-1] for pipe in pipes]
        assert one is two
        assert three is four
        json = three[2 if len(three) < 128 else 4 :]
        assert one == chunk(b"id: %s-1\nevent: counts\ndata: %s\n\n" % (EPOCH.encode(), json))
        assert msgspec.json.decode(json)["ts"] == "2027-01-15T08:00:00.000Z"

    clock.run(play())


def test_numbers_grow_along_a_stream_and_a_notice_has_one_too() -> None:
    async def play() -> None:
        feed, bob, cleo = new_feed(), Pipe(), Pipe()
        watch(feed, "bob", bob)
        watch(feed, "cleo", cleo)
        feed.announce("counts", Counts(speakers=1, listeners=2))
        await settle()
        feed.notify("bob", "you.invited", Nothing())
        await settle()
        feed.announce("counts", Counts(speakers=1, listeners=3))
        await settle()
        assert [(each["type"], each["seq"]) for each in bob.take()[1:]] == [
            ("counts", 1),
            ("you.invited", 2),
            ("counts", 3),
        ]
        assert [(each["type"], each["seq"]) for each in cleo.take()[1:]] == [("counts", 1), ("counts", 3)]

    clock.run(play())


def test_who_comes_back_is_told_what_was_missed_and_nothing_of_others() -> None:
    async def play() -> None:
        feed, before, after = new_feed(), Pipe(), Pipe()
        watcher = watch(feed, "bob", before)
        feed.announce("caption", line("one"))
        await settle()
        feed.unwatch(watcher)
        feed.announce("caption", line("two"))
        feed.notify("bob", "you.invited", Nothing())
        feed.notify("cleo", "you.invited", Nothing())
        await settle()
        watch(feed, "bob", after, before.take()[-1]["seq"])
        feed.announce("caption", line("three"))
        await settle()
        told = after.take()
        assert types(told) == ["resumed", "caption", "you.invited", "caption"]
        assert told[0]["data"] == {"epoch": EPOCH, "events": 2}
        assert [each["seq"] for each in told] == [1, 2, 3, 5]

    clock.run(play())


def test_a_cursor_that_is_too_old_or_unknown_begins_with_a_snapshot() -> None:
    async def play() -> None:
        feed = new_feed()
        for number in range(MAX_EVENTS + 5):
            feed.announce("caption", line(str(number)))
            await settle()
        for after in (0, 4, 10_000):
            pipe = Pipe()
            watch(feed, "bob", pipe, after)
            assert types(pipe.take()) == ["snapshot"]

    clock.run(play())


def test_who_comes_late_is_shown_the_last_final_lines() -> None:
    async def play() -> None:
        feed, pipe = new_feed(), Pipe()
        for number in range(CAPTIONS_KEPT + 2):
            feed.announce("caption", line(str(number)))
            await settle()
        feed.announce("caption", Caption(identity="ada", text="on the way", is_final=False))
        await settle()
        watch(feed, "bob", pipe)
        (snapshot,) = pipe.take()
        assert [caption["text"] for caption in snapshot["data"]["captions"]] == ["2", "3", "4", "5", "6"]

    clock.run(play())


def test_a_full_wire_is_not_written_to_and_catches_up_when_it_has_emptied() -> None:
    async def play() -> None:
        missed: list[int] = []
        feed, slow, quick = new_feed(on_missed=missed.append), Pipe(), Pipe()
        watch(feed, "slow", slow)
        watch(feed, "quick", quick)
        slow.take()
        slow.backlog = MAX_BACKLOG_BYTES + 1
        for number in range(5):
            feed.announce("caption", line(str(number)))
            await settle()
        assert slow.writes == []
        assert len(quick.take()) == 6

        slow.backlog = 0
        await asyncio.sleep(LOOK_AGAIN_S)
        assert [each["data"]["text"] for each in slow.take()] == ["0", "1", "2", "3", "4"]
        assert missed == []

    clock.run(play())


def test_who_has_missed_too_much_is_shown_the_space_afresh() -> None:
    async def play() -> None:
        missed: list[int] = []
        feed, slow = new_feed(on_missed=missed.append), Pipe()
        watch(feed, "slow", slow)
        slow.take()
        slow.backlog = MAX_BACKLOG_BYTES + 1
        for number in range(MAX_CAUGHT_UP + 1):
            feed.announce("caption", line(str(number)))
            await asyncio.sleep(TICK_S)
        slow.backlog = 0
        await settle()
        assert types(slow.take()) == ["snapshot"]
        assert missed == [MAX_CAUGHT_UP + 1]

    clock.run(play())


def test_who_reads_nothing_for_long_is_cut_off() -> None:
    async def play() -> None:
        feed, dead = new_feed(), Pipe()
        watcher = watch(feed, "dead", dead)
        dead.backlog = MAX_BACKLOG_BYTES + 1
        feed.announce("counts", Counts(speakers=1, listeners=2))
        await asyncio.sleep(STALLED_FOR_S - 1)
        assert dead.aborts == 0
        await asyncio.sleep(2)
        assert dead.aborts == 1
        assert watcher.over.done()

    clock.run(play())


def test_the_ejected_are_told_what_waited_and_then_it_is_over() -> None:
    async def play() -> None:
        feed, bob, cleo = new_feed(), Pipe(), Pipe()
        gone, stays = watch(feed, "bob", bob), watch(feed, "cleo", cleo)
        feed.announce("counts", Counts(speakers=1, listeners=2))
        feed.notify("bob", "you.removed", Nothing())  # has to wait for the next tick
        feed.eject("bob")
        assert types(bob.take()) == ["snapshot", "counts", "you.removed"]
        assert gone.over.done()
        feed.announce("counts", Counts(speakers=1, listeners=1))
        await settle()
        assert types(cleo.take()) == ["snapshot", "counts", "counts"]
        assert not stays.over.done()
        assert bob.writes == []

    clock.run(play())


def test_the_end_of_the_space_is_told_to_all_and_ends_every_stream() -> None:
    async def play() -> None:
        feed, pipes = new_feed(), [Pipe() for _ in range(250)]
        watchers = [watch(feed, f"p{number}", pipe) for number, pipe in enumerate(pipes)]
        feed.announce("counts", Counts(speakers=1, listeners=2))
        feed.announce("caption", line("Good night."))
        feed.announce("space.ended", SNAPSHOT.space)
        feed.eject(None)
        await asyncio.gather(*(watcher.over for watcher in watchers))
        for pipe in pipes:
            assert types(pipe.take()) == ["snapshot", "counts", "caption", "space.ended"]
        late = watch(feed, "late", Pipe())
        assert late.over.done()

    clock.run(play())


def test_an_idle_stream_is_kept_alive() -> None:
    async def play() -> None:
        feed, pipe = new_feed(), Pipe(pack_chunk)
        pipe.heartbeat = chunk(HEARTBEAT)
        watch(feed, "bob", pipe)
        await asyncio.sleep(feeds.HEARTBEAT_S + 0.1)
        assert pipe.writes[-1] == b"e\r\n: still here\n\n\r\n"

    clock.run(play())


def test_who_has_left_is_forgotten() -> None:
    async def play() -> None:
        feed, pipe = new_feed(), Pipe()
        watcher = watch(feed, "bob", pipe)
        feed.unwatch(watcher)
        feed.announce("counts", Counts(speakers=1, listeners=2))
        await settle()
        assert feed.watchers_of("bob") == 0
        assert types(pipe.take()) == ["snapshot"]

    clock.run(play())


class Reader:
    """Reads one identity's stream, breaks off and comes back, and checks each event against what was told."""

    def __init__(self, feed: Feed, identity: str) -> None:
        self.feed = feed
        self.identity = identity
        self.pipe = Pipe()
        self.watcher = watch(feed, identity, self.pipe)
        self.seq = -1
        self.seen: dict[int, str] = {}
        self.since = 0
        """Everything after this number has been told one by one."""

    def read(self) -> None:
        for envelope in self.pipe.take():
            if envelope["type"] == "snapshot":
                assert envelope["seq"] >= self.seq
                self.since = self.seq = envelope["seq"]
            elif envelope["type"] == "resumed":
                assert envelope["seq"] == self.seq
            else:
                assert envelope["seq"] > self.seq, "told twice, or out of order"
                self.seq = envelope["seq"]
                self.seen[self.seq] = envelope["data"].get("text") or envelope["data"]["identity"]

    def break_off(self) -> None:
        self.read()
        self.feed.unwatch(self.watcher)

    def come_back(self) -> None:
        self.pipe = Pipe()
        self.watcher = watch(self.feed, self.identity, self.pipe, max(self.seq, 0))


ACTS = st.lists(
    st.tuples(st.sampled_from(["say", "tell", "leave", "return", "stall", "flow", "read", "wait"]), st.integers(0, 2)),
    max_size=120,
)


@given(ACTS)
def test_no_event_is_lost_or_told_twice_however_readers_come_go_and_stall(acts: list[tuple[str, int]]) -> None:
    clock.run(_play(acts))


async def _play(acts: list[tuple[str, int]]) -> None:
    feed = new_feed()
    everything = Reader(feed, "archive")
    readers = [Reader(feed, identity) for identity in ("p0", "p1", "p2")]
    away: set[int] = set()
    said = 0
    for act, which in acts:
        reader = readers[which]
        match act:
            case "say":
                said += 1
                feed.announce("caption", line(f"line {said}"))
            case "tell":
                feed.notify(reader.identity, "you.changed", msgspec.structs.replace(SNAPSHOT.you, identity=f"p{which}"))
            case "leave" if which not in away:
                away.add(which)
                reader.break_off()
            case "return" if which in away:
                away.discard(which)
                reader.come_back()
            case "stall" | "flow":
                reader.pipe.backlog = MAX_BACKLOG_BYTES + 1 if act == "stall" else 0
            case "read":
                reader.read()
            case "wait":
                await asyncio.sleep(TICK_S * which)
    for which, reader in enumerate(readers):
        reader.pipe.backlog = 0
        if which in away:
            reader.come_back()
    await asyncio.sleep(said / SHARED_PER_S + 20 * TICK_S + LOOK_AGAIN_S)

    everything.read()
    assert list(everything.seen.values()) == [f"line {number}" for number in range(1, said + 1)]
    for which, reader in enumerate(readers):
        reader.read()
        shared = {seq: text for seq, text in everything.seen.items() if seq > reader.since}
        mine = {seq: text for seq, text in reader.seen.items() if seq > reader.since}
        assert {seq: text for seq, text in mine.items() if text.startswith("line")} == shared
        assert {text for text in mine.values() if not text.startswith("line")} <= {f"p{which}"}
