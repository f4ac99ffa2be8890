"""Signalling at work: the live spaces, their store, the sfu and those who watch. Edge (clock, asyncio).

`Signalling` carries out what the space machines decide, always in this order (`signalling.outbox`): what must survive
is stored; the sfu is told, in the order of the decisions, of mere restrictions while they are being stored; then people
are told, and only then is the caller answered.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
import structlog

from sfu.contract.config import Config
from sfu.contract.messages import (
    CloseSpace,
    Load,
    Report,
    SessionClosed,
    SessionConnected,
    SessionState,
    Snapshot,
    Speaking,
)
from sfu.contract.tracing import make_tracing
from signalling.addresses import public_url
from signalling.census import participants_by_role
from signalling.draining import Draining
from signalling.effects import Effect
from signalling.errors import CommandError
from signalling.events import SnapshotEvent
from signalling.feeds import Feed
from signalling.links import Links
from signalling.live import LiveSpace
from signalling.metrics import Metrics
from signalling.permissions import Caller, Role, caller_in
from signalling.reach import Reach
from signalling.records import SpaceRecord
from signalling.relations import RelationSource
from signalling.resources import CreateSpace, SpaceResource, is_space_id, share_url, space_resource
from signalling.safety import Bans
from signalling.sfu_link import SfuLink
from signalling.spaces import Space
from signalling.standings import HostBlocks
from signalling.store import Store
from signalling.tokens import Token
from signalling.wishes import record_of

log = structlog.get_logger("signalling")


class Signalling:
    def __init__(
        self, config: Config, store: Store, metrics: Metrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.config = config
        self.metrics = metrics
        self.clock = clock
        self.link = SfuLink(config.control, self)
        self.load: Load | None = None
        self.load_at_s = 0.0
        self.tracing = make_tracing(config.tracing, "signalling")
        self._draining = Draining(config.drain)
        self._when_drained: Callable[[], None] = lambda: None
        self.store = store
        self._epoch = secrets.token_hex(4)
        self._live: dict[str, LiveSpace] = {}
        self._space_of_session: dict[str, str] = {}
        self._has_reconciled = False
        self._background: set[asyncio.Task[None]] = set()
        self._blocks: dict[str, HostBlocks] = {}
        self.bans = Bans()
        self.reach = Reach(lambda: self.config, store, metrics, clock=clock)
        self.relations = RelationSource(config)

    async def start(self) -> None:
        """Reads the store and begins to look for the sfu."""
        await self.store.open()
        await self.reach.start()
        for ban in await self.store.safety.bans():
            self.bans.add(ban)
        for block in await self.store.spaces.blocks():
            self._blocks_of(block.host).add(block)
        for record in await self.store.spaces.open_ones():
            space = self._make_space(
                record,
                standings=await self.store.spaces.standings(record.space),
                exclusions=await self.store.spaces.exclusions(record.space),
                tickets=await self.store.spaces.tickets(record.space),
                is_restored=True,
            )
            self._add(space, Links(record.space, await self.store.spaces.links(record.space)))
        self.link.start()

    async def stop(self) -> None:
        """Lets go of the sfu, which goes on without us."""
        self.end_streams()
        for live in list(self._live.values()):
            live.disarm()
            await live.outbox.idle()
        await self.link.close()
        await asyncio.gather(*self._background)  # none of them raises
        await self.relations.close()
        await self.reach.stop()
        await self.store.close()
        self.tracing.close()

    def reconfigure(self, config: Config) -> None:
        """From now on; only what is read at each use may differ (`sfu.contract.reload`)."""
        self.config = config
        for live in self._live.values():
            live.space.on_session_limit_changed(config.limits.sessions_per_identity)

    @property
    def is_draining(self) -> bool:
        """Whether the sfu takes nobody new in and will end."""
        return self._draining.notice is not None

    def when_drained(self, then: Callable[[], None]) -> None:
        """Calls `then` once when the sfu that drains has gone."""
        self._when_drained = then

    def end_streams(self) -> None:
        """Ends every event stream; their readers come back to the next process."""
        for live in self._live.values():
            live.feed.eject(None)

    # Spaces

    async def space(self, space: str) -> Space:
        """A space, scheduled or live. Raises CommandError `unknown_space`, `space_ended`, `space_cancelled`."""
        if live := self._live.get(space):
            return live.space
        record = await self._find(space)
        if record.state == "cancelled":
            raise CommandError("space_cancelled", f"space {space!r} was called off")
        raise CommandError("space_ended", f"space {space!r} has ended")

    def spaces(self, identity: str) -> list[SpaceResource]:
        """Live ones, but for those whose host has blocked `identity`."""
        return [
            live.space.resource()
            for live in self._live.values()
            if live.space.is_live and not live.space.is_blocked(identity)
        ]

    def open_spaces(self) -> list[Space]:
        """Scheduled or live."""
        return [live.space for live in self._live.values()]

    def spaces_of(self, host: str) -> list[Space]:
        """Scheduled or live."""
        return [live.space for live in self._live.values() if live.space.record.host == host]

    def hides(self, host: str, identity: str) -> bool:
        """Whether `identity` is not to find the spaces of `host`."""
        return bool(host) and identity in self._blocks_of(host)

    def feed(self, space: Space) -> Feed:
        """Of a live space."""
        return self._live[space.id].feed

    def links(self, space: Space) -> Links:
        """Of a live space."""
        return self._live[space.id].links

    def snapshot(self, space: Space, identity: str, role: Role, *, blocks: Iterable[str]) -> SnapshotEvent:
        """What a new watcher is shown, but for what the feed adds of its own."""
        live = self._live.get(space.id)
        links = live.links.shown() if live else []
        return msgspec.structs.replace(space.snapshot_for(identity, role, blocks=blocks), links=links)

    async def find_space(self, space: str, identity: str) -> SpaceResource:
        """A space in any state, as `identity` may find it. Raises CommandError `unknown_space`."""
        live = self._live.get(space)
        record = live.space.record if live else await self._find(space)
        if live.space.is_blocked(identity) if live else self.hides(record.host, identity):
            raise _unknown_space(space)
        return live.space.resource() if live else self.resource_of(record)

    def resource_of(self, record: SpaceRecord) -> SpaceResource:
        """Of a space that is not at work here."""
        return space_resource(record, url=self._share_url(record.space))

    async def _find(self, space: str) -> SpaceRecord:
        record = await self.store.spaces.find(space) if is_space_id(space) else None
        if record is None:
            raise _unknown_space(space)
        return record

    def open_space(self, space: str) -> Space | None:
        """One that is scheduled or live."""
        live = self._live.get(space)
        return live.space if live else None

    def has_space(self, space: str) -> bool:
        return space in self._live

    async def create_space(self, space: str, host: str, wanted: CreateSpace, *, host_name: str = "") -> SpaceResource:
        """Raises CommandError `space_exists`, `overloaded`, `too_many_scheduled`, and as `signalling.wishes`."""
        rules = self.config.spaces
        record = record_of(wanted, rules, space=space, host=host, host_name=host_name, now_s=self.clock())
        self.check_capacity(record)
        created = self._make_space(record)
        if not await self.reach.add_space(record, created.resource()):
            raise CommandError("space_exists", f"a space {space!r} exists, or has existed; choose another id")
        self._add(created, Links(space))
        if created.is_live:
            self.link.tell(created.opening())  # without an sfu the next snapshot makes up for it
        log.info("space_created", space=space, host=host, state=record.state)
        return created.resource()

    def check_capacity(self, record: SpaceRecord) -> None:
        """Whether one more fits. Raises CommandError `overloaded`, `too_many_scheduled`."""
        limits, rules = self.config.limits, self.config.spaces
        if record.state == "scheduled":
            waiting = [space for space in self.spaces_of(record.host) if not space.is_live]
            if len(waiting) >= rules.scheduled_per_host:
                raise CommandError(
                    "too_many_scheduled",
                    f"{record.host!r} has {len(waiting)} scheduled spaces; start or cancel one first",
                    limit=rules.scheduled_per_host,
                )
        elif sum(live.space.is_live for live in self._live.values()) >= limits.max_spaces:
            raise CommandError("overloaded", f"this server holds {limits.max_spaces} live spaces at most")

    async def create_space_once(self, space: str, host: str, wanted: CreateSpace, *, host_name: str) -> None:
        """As `create_space`, for many who want the same one at the same moment."""
        try:
            await self.create_space(space, host, wanted, host_name=host_name)
        except CommandError as refusal:
            if refusal.code != "space_exists":
                raise

    def _add(self, space: Space, links: Links) -> None:
        feed = Feed(space.id, epoch=self._epoch, clock=self.clock, on_missed=self.metrics.events_dropped.inc)
        live = self._live[space.id] = LiveSpace(
            space,
            feed=feed,
            links=links,
            news=self.reach.with_news,
            keep=lambda records: self.reach.keep(space.id, records),
            tell=self.link.tell,
            clock=self.clock,
            on_state=self._on_state,
        )
        live.arm()
        self._count_spaces()

    def _make_space(self, record: SpaceRecord, **kept: Any) -> Space:
        return Space(
            record,
            **kept,
            blocks=self._blocks_of(record.host) if record.host else None,
            bans=self.bans,
            sessions_per_identity=self.config.limits.sessions_per_identity,
            host_grace_s=self.config.spaces.host_grace_s,
            url=self._share_url(record.space),
        )

    def _blocks_of(self, host: str) -> HostBlocks:
        return self._blocks.setdefault(host, HostBlocks(host))

    def _share_url(self, space: str) -> str:
        return share_url(public_url(self.config), space)

    def caller(self, token: Token, space: Space) -> Caller:
        """Who asks, in `space`. Raises CommandError for the removed and the blocked."""
        space.check_admission(token.identity, token.issued_at_s)
        return caller_in(token, space.id, host=space.record.host, live_role=space.given_role(token.identity))

    # Sessions at the sfu

    @property
    def session_count(self) -> int:
        return len(self._space_of_session)

    def remember_session(self, session: str, space: str) -> None:
        self._space_of_session[session] = space
        self.metrics.sessions.set(len(self._space_of_session))

    def forget_session(self, session: str) -> None:
        self._space_of_session.pop(session, None)
        self.metrics.sessions.set(len(self._space_of_session))

    # Effects

    async def carry_out(self, space: Space, effects: Iterable[Effect]) -> None:
        """Returns when all is on the disk, in force at the packet, and told.

        Raises CommandError `sfu_unavailable` when the sfu went away meanwhile: the decision stands, and is the first
        thing that the sfu hears when it is back. `store_unavailable` likewise: it is in force, and written later.
        """
        if live := self._live.get(space.id):
            await live.carry_out(effects)

    def carry_out_unasked(self, space: Space, effects: Iterable[Effect]) -> None:
        """For what follows from the sfu's reports and from time: nobody waits for it."""
        if live := self._live.get(space.id):
            live.carry_out_unasked(effects)

    async def earlier_decisions(self, space: Space) -> None:
        """Returns when what was decided about `space` so far is in force."""
        if live := self._live.get(space.id):
            await live.outbox.earlier()

    def learn_relations(self, space: Space, identity: str) -> None:
        """Asks the operator's application whom `identity` has blocked, and says so when it has answered."""
        if self.relations.is_on:
            self._in_background(self._learn_relations(space, identity))

    async def _learn_relations(self, space: Space, identity: str) -> None:
        host = space.record.host
        found = await self.relations.of(identity, host)
        is_followed = host in found.followed_by
        effects = space.on_relations(identity, blocks=found.blocks, is_followed=is_followed, now_s=self.clock())
        self.carry_out_unasked(space, effects)

    def _on_state(self, space: Space) -> None:
        if space.is_over and space.id in self._live:
            del self._live[space.id]
            log.info("space_over", space=space.id, reason=space.record.end_reason)
        self._count_spaces()

    def _count_spaces(self) -> None:
        self.metrics.spaces.set(sum(live.space.is_live for live in self._live.values()))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # What the sfu says

    def on_snapshot(self, snapshot: Snapshot) -> None:
        is_first, self._has_reconciled = not self._has_reconciled, True
        now_s = self.clock()
        states = {state.space: state for state in snapshot.spaces}
        sessions: dict[str, list[SessionState]] = {}
        for session in snapshot.sessions:
            sessions.setdefault(session.space, []).append(session)
        self._space_of_session = {session.session: session.space for session in snapshot.sessions}
        self.metrics.sessions.set(len(self._space_of_session))
        self.metrics.sfu_up.set(1)
        for live in list(self._live.values()):
            space = live.space
            effects = space.on_snapshot(
                states.get(space.id), sessions.get(space.id, []), is_first=is_first, now_s=now_s
            )
            live.reconcile(effects)
        for unknown in states.keys() - self._live.keys():
            log.warning("unknown_space_closed", space=unknown)
            self.link.tell(CloseSpace(unknown))

    def on_report(self, report: Report) -> None:
        match report:
            case SessionConnected(session):
                live = self._live.get(self._space_of_session.get(session, ""))
                if live:
                    self.carry_out_unasked(live.space, live.space.on_session_connected(session, self.clock()))
            case SessionClosed(session, space, identity, reason):
                self.forget_session(session)
                if live := self._live.get(space):
                    log.info("left", space=space, identity=identity, session=session[:8], reason=reason)
                    self.carry_out_unasked(live.space, live.space.on_session_closed(session, self.clock()))
            case Speaking(space, voices):
                if live := self._live.get(space):
                    self.carry_out_unasked(live.space, live.space.on_speaking(voices, self.clock()))
            case Load():
                self._on_load(report)

    def _on_load(self, load: Load) -> None:
        self.load = load
        self.load_at_s = self.clock()
        self.metrics.draining.set(load.ends_at_s is not None)
        for role, count in participants_by_role(live.space for live in self._live.values()).items():
            self.metrics.participants.labels(role).set(count)
        if notice := self._draining.on_load(load):
            log.info("draining", ends_at=notice.ends_at, sessions=load.sessions)
            for live in self._live.values():
                live.feed.announce("server.draining", notice)

    def on_lost(self) -> None:
        self.load = None
        self.metrics.sfu_up.set(0)
        self._draining.on_lost()
        self._when_drained()


def _unknown_space(space: str) -> CommandError:
    return CommandError("unknown_space", f"there is no space {space[:64]!r}; create it first", space=space[:64])
