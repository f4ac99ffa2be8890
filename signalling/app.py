"""Signalling at work: the live spaces, their store, the sfu and those who watch. Edge (clock, asyncio).

`Signalling` carries out what the space machines decide, always in this order: the sfu is told at once, without waiting
in between, so that it obeys in the order of the decisions; what must survive is stored; then people are told, and only
then is the caller answered.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import structlog
from msgspec import Struct

from sfu.contract.config import Config
from sfu.contract.messages import (
    Answer,
    CloseSpace,
    Load,
    OpenSpace,
    Refused,
    Report,
    SessionClosed,
    SessionConnected,
    SessionState,
    Snapshot,
    Speaking,
)
from signalling.effects import Announce, Effect, Eject, KeepExclusion, KeepSpace, KeepStanding, Notify, Tell
from signalling.errors import CommandError
from signalling.feeds import Feed
from signalling.metrics import Metrics
from signalling.permissions import Caller, caller_in
from signalling.records import SpaceRecord
from signalling.resources import Counts, CreateSpace, SpaceResource, space_resource
from signalling.sfu_link import SfuLink
from signalling.spaces import Space
from signalling.store import Store
from signalling.tokens import Token

log = structlog.get_logger("signalling")

_HARMLESS_REFUSALS: Final = frozenset({"unknown_participant", "unknown_session"})
"""Of a command about somebody who has just left: what it asked for is the case."""


class _Live(Struct):
    """A live space with its watchers and its alarm clock."""

    space: Space
    feed: Feed
    alarm: asyncio.Handle | None = None
    rings_at_s: float = 0.0


class Signalling:
    def __init__(
        self, config: Config, store: Store, metrics: Metrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.config = config
        self.metrics = metrics
        self.clock = clock
        self.link = SfuLink(config.control, self)
        self.load: Load | None = None
        self._store = store
        self._live: dict[str, _Live] = {}
        self._space_of_session: dict[str, str] = {}
        self._has_reconciled = False
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Reads the store and begins to look for the sfu."""
        await self._store.open()
        for record in await self._store.live_spaces():
            standings = await self._store.standings(record.space)
            exclusions = await self._store.exclusions(record.space)
            self._add(
                Space(
                    record,
                    standings=standings,
                    exclusions=exclusions,
                    sessions_per_identity=self.config.limits.sessions_per_identity,
                )
            )
        self.link.start()

    async def stop(self) -> None:
        """Lets go of the sfu, which goes on without us."""
        self.end_streams()
        await self.link.close()
        await asyncio.gather(*self._background)  # none of them raises
        for live in self._live.values():
            if live.alarm:
                live.alarm.cancel()
        await self._store.close()

    def end_streams(self) -> None:
        """Ends every event stream; their readers come back to the next process."""
        for live in self._live.values():
            live.feed.eject(None)

    # Spaces

    async def space(self, space: str) -> Space:
        """A live space. Raises CommandError `unknown_space`, `space_ended`."""
        if live := self._live.get(space):
            return live.space
        if await self._store.find_space(space):
            raise CommandError("space_ended", f"space {space!r} has ended")
        raise _unknown_space(space)

    def spaces(self) -> list[SpaceResource]:
        return [live.space.resource() for live in self._live.values()]

    def feed(self, space: Space) -> Feed:
        """Of a live space."""
        return self._live[space.id].feed

    async def find_space(self, space: str) -> SpaceResource:
        """A space, live or ended. Raises CommandError `unknown_space`."""
        if live := self._live.get(space):
            return live.space.resource()
        record = await self._store.find_space(space)
        if record is None:
            raise _unknown_space(space)
        return space_resource(record, Counts(speakers=0, listeners=0))

    def has_space(self, space: str) -> bool:
        return space in self._live

    async def create_space(self, space: str, host: str, wanted: CreateSpace) -> SpaceResource:
        """Raises CommandError `space_exists`, `overloaded`."""
        if len(self._live) >= self.config.limits.max_spaces:
            raise CommandError("overloaded", f"this server holds {self.config.limits.max_spaces} live spaces at most")
        record = SpaceRecord(
            space=space,
            title=wanted.title,
            audience=wanted.audience,
            host=host,
            max_speakers=wanted.max_speakers or self.config.spaces.max_speakers,
            created_at_s=self.clock(),
        )
        if not await self._store.add_space(record):
            raise CommandError("space_exists", f"a space {space!r} exists, or has existed; choose another id")
        created = Space(record, sessions_per_identity=self.config.limits.sessions_per_identity)
        self._add(created)
        self.link.tell(OpenSpace(space, record.max_speakers))  # without an sfu the next snapshot makes up for it
        log.info("space_created", space=space, host=host)
        return created.resource()

    async def create_space_once(self, space: str, host: str, wanted: CreateSpace) -> None:
        """As `create_space`, for many who want the same one at the same moment."""
        try:
            await self.create_space(space, host, wanted)
        except CommandError as refusal:
            if refusal.code != "space_exists":
                raise

    def _add(self, space: Space) -> None:
        self._live[space.id] = _Live(space, Feed(space.id))
        self.metrics.spaces.set(len(self._live))

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
        """Returns when all is in force at the packet, on the disk, and told.

        Raises CommandError `sfu_unavailable` when the sfu went away meanwhile: the decision stands, and is the first
        thing that the sfu hears when it is back.
        """
        effects = list(effects)
        answers = [self.link.tell(effect.command) for effect in effects if isinstance(effect, Tell)]
        self._arm(space)
        refusals = [answer for answer in [await answer for answer in answers] if isinstance(answer, Refused)]
        await self._keep(space, effects)
        self._publish(space, effects)
        for refusal in refusals:
            if refusal.code not in _HARMLESS_REFUSALS:
                raise refused(refusal)

    def carry_out_unasked(self, space: Space, effects: Iterable[Effect]) -> None:
        """For what follows from the sfu's reports and from time: nobody waits for it."""
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, Tell):
                self.link.tell(effect.command).add_done_callback(lambda answer: _log_refusal(space.id, answer.result()))
        if any(isinstance(effect, KeepStanding) for effect in effects):
            self._in_background(self._keep_unasked(space, effects))
        self._publish(space, effects)
        self._arm(space)

    async def _keep(self, space: Space, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case KeepSpace(record):
                    await self._store.keep_space(record)
                case KeepStanding(standing):
                    await self._store.keep_standing(space.id, standing)
                case KeepExclusion(exclusion):
                    await self._store.keep_exclusion(space.id, exclusion)

    async def _keep_unasked(self, space: Space, effects: Iterable[Effect]) -> None:
        try:
            await self._keep(space, effects)
        except Exception:
            log.exception("not_kept", space=space.id)

    def _publish(self, space: Space, effects: Iterable[Effect]) -> None:
        live = self._live.get(space.id)
        if live is None:
            return
        now_s = self.clock()
        for effect in effects:
            match effect:
                case Announce(event, payload):
                    self.metrics.events_dropped.inc(live.feed.announce(event, payload, now_s))
                case Notify(identity, event, payload):
                    live.feed.notify(identity, event, payload, now_s)
                case Eject(identity):
                    live.feed.eject(identity)
        if not space.is_live:
            del self._live[space.id]
            self.metrics.spaces.set(len(self._live))
            log.info("space_ended", space=space.id)

    def _arm(self, space: Space) -> None:
        live = self._live.get(space.id)
        wakes_at_s = space.wakes_at_s
        if live is None or wakes_at_s is None:
            return
        if live.alarm:
            if live.rings_at_s <= wakes_at_s:
                return
            live.alarm.cancel()
        live.rings_at_s = wakes_at_s
        delay_s = max(0.0, wakes_at_s - self.clock())
        live.alarm = asyncio.get_running_loop().call_later(delay_s, self._wake, live)

    def _wake(self, live: _Live) -> None:
        live.alarm = None
        self.carry_out_unasked(live.space, live.space.on_time(self.clock()))

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
            self.carry_out_unasked(space, effects)
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
                self.load = report

    def on_lost(self) -> None:
        self.load = None
        self.metrics.sfu_up.set(0)


def refused(refusal: Refused) -> CommandError:
    """The sfu's refusal as the caller's problem."""
    match refusal.code:
        case "stage_full" | "space_full" | "draining" | "overloaded" | "sfu_unavailable" as code:
            return CommandError(code, refusal.detail)
        case "unknown_session":
            return CommandError("unknown_session", refusal.detail)
    log.error("sfu_refused", code=refusal.code, detail=refusal.detail)
    return CommandError("sfu_unavailable", "the media server could not do that; try again in a moment")


def _log_refusal(space: str, answer: Answer) -> None:
    if isinstance(answer, Refused) and answer.code not in _HARMLESS_REFUSALS:
        log.warning("sfu_refused", space=space, code=answer.code, detail=answer.detail)


def _unknown_space(space: str) -> CommandError:
    return CommandError("unknown_space", f"there is no space {space[:64]!r}; create it first", space=space[:64])
