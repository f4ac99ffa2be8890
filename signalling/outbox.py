"""Carries out a space's decisions, in their order: written, told to the sfu, told to people. Edge (asyncio).

Written first, so that what is in force would be in force again after a crash at any moment; but for what only restricts
(`signalling.precedence`), which the sfu is told while it is being written, so that no mute waits for a disk. Decisions
that come while a write is under way are written together, in one transaction, when it is done. What needs no write and
finds nobody waiting goes out at once, without a turn of the loop: a join costs what it did. A caption, a reaction and a
voice never wait: a disk that stalls for a second would make a line of speech a second late.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from sfu.contract.messages import Answer, Command, Refused
from signalling.effects import Announce, Effect, Keep, Tell
from signalling.errors import CommandError
from signalling.precedence import commute, only_restrict

log = structlog.get_logger("signalling.outbox")

RETRY_S: Final = 1.0
"""A database that was away is asked again after so long."""


@dataclass(slots=True)
class _Decision:
    effects: Sequence[Effect]
    done: "asyncio.Future[list[Refused]]"
    answers: "list[asyncio.Future[Answer]] | None" = None
    """The sfu's, once it has been told."""


class Outbox:
    """`put` in the order of the decisions; each future holds what the sfu refused of it."""

    def __init__(
        self,
        keep: Callable[[list[Any]], Awaitable[None]],
        tell: Callable[[Command], "asyncio.Future[Answer]"],
        publish: Callable[[Sequence[Effect]], None],
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._publish = publish
        self._waiting: deque[_Decision] = deque()
        self._writing: list[_Decision] = []
        self._unkept: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, effects: Sequence[Effect]) -> "asyncio.Future[list[Refused]]":
        """When it is done, all is on the disk, in force, and told.

        A database that is away raises its error in the future: the decision is in force all the same, and is written
        when the database is back.
        """
        decision = _Decision(effects, asyncio.get_running_loop().create_future())
        if effects and all(isinstance(effect, Announce) and effect.is_passing for effect in effects):
            self._publish(effects)
            decision.done.set_result([])
            return decision.done
        if self._task is None and not _kept(effects):  # nothing to wait for
            if not self._tell_all(decision):
                self._publish(effects)
                decision.done.set_result([])
                return decision.done
            self._task = asyncio.create_task(self._run([decision]))
            return decision.done
        if self._may_overtake(decision):
            self._tell_all(decision)
        self._waiting.append(decision)
        if self._task is None:
            self._task = asyncio.create_task(self._run([]))
        return decision.done

    async def earlier(self) -> None:
        """Returns when all decisions that were put before are in force."""
        if self._task is not None:
            await asyncio.wait([self.put([])])

    async def idle(self) -> None:
        """Returns when nothing is under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _may_overtake(self, decision: _Decision) -> bool:
        """Whether the sfu may hear it before the writes, and before the others whom it has not heard yet."""
        commands = _commands(decision.effects)
        if not commands or not only_restrict(commands):
            return False
        unheard = [_commands(each.effects) for each in (*self._writing, *self._waiting) if each.answers is None]
        return all(commute(commands, others) for others in unheard if others)

    async def _run(self, told: Sequence[_Decision]) -> None:
        try:
            await self._finish(told, None)
            while self._waiting:
                self._writing = list(self._waiting)
                self._waiting.clear()
                batch, fault = self._writing, await self._write(self._writing)
                for decision in batch:
                    if decision.answers is None:
                        self._tell_all(decision)
                self._writing = []
                await self._finish(batch, fault)
        finally:
            self._task = None

    async def _write(self, batch: Sequence[_Decision]) -> Exception | None:
        """Older records that could not be kept come first, so that the newest word about something is the last."""
        records = self._unkept + [effect.record for decision in batch for effect in _kept(decision.effects)]
        if not records:
            return None
        try:
            await self._keep(records)
        except CommandError as error:  # away, and will be back
            log.warning("not_kept_yet", records=len(records), reason=error.code)
            self._unkept = records
            asyncio.get_running_loop().call_later(RETRY_S, self._retry)
            return error
        except Exception as error:  # what the database cannot hold is not tried again, lest nothing else be written
            log.exception("not_kept", records=len(records))
            self._unkept = []
            return error
        self._unkept = []
        return None

    def _retry(self) -> None:
        if self._unkept:
            self._waiting.append(_Decision([], asyncio.get_running_loop().create_future()))
            if self._task is None:
                self._task = asyncio.create_task(self._run([]))

    async def _finish(self, batch: Sequence[_Decision], fault: Exception | None) -> None:
        """`fault` is what the write of the batch met."""
        for decision in batch:
            answers = [await answer for answer in decision.answers or ()]
            refusals = [answer for answer in answers if isinstance(answer, Refused)]
            try:
                self._publish(decision.effects)
            except Exception:
                log.exception("not_published")
            if decision.done.cancelled():
                continue
            if fault is not None and _kept(decision.effects):
                decision.done.set_exception(fault)
            else:
                decision.done.set_result(refusals)

    def _tell_all(self, decision: _Decision) -> "list[asyncio.Future[Answer]]":
        decision.answers = [self._tell(command) for command in _commands(decision.effects)]
        return decision.answers


def _commands(effects: Sequence[Effect]) -> list[Command]:
    return [effect.command for effect in effects if isinstance(effect, Tell)]


def _kept(effects: Sequence[Effect]) -> list[Keep]:
    return [effect for effect in effects if isinstance(effect, Keep)]
