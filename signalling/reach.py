"""What goes beyond a space: the audit trail and the webhooks, written with the decision that they are about. Edge.

Whoever decides something writes it in the same transaction as what is told of it, so that nothing is told that was not
decided, and what was decided is told, whenever the process ends.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from sfu.contract.config import Config
from signalling.effects import Effect
from signalling.metrics import Metrics
from signalling.records import SpaceRecord
from signalling.resources import SpaceResource
from signalling.safety import AuditRecord
from signalling.spaces import Space
from signalling.store import Store
from signalling.telling import Telling, space_told
from signalling.webhook_sender import WebhookSender
from signalling.webhooks import Happening, StageTold, WebhookType


class Reach:
    def __init__(
        self, read_config: Callable[[], Config], store: Store, metrics: Metrics, *, clock: Callable[[], float]
    ) -> None:
        self.telling = Telling(new_id)
        self.webhooks = WebhookSender(read_config, store.webhooks, metrics, clock=clock)
        self._read_config = read_config
        self._store = store
        self._clock = clock
        self._when_started: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """The store is open."""
        self.telling.on_restored(await self._store.webhooks.stages())
        await self._store.discovery.index_missing()
        await self.webhooks.start()

    async def stop(self) -> None:
        await self.webhooks.stop()

    def when_started(self, then: Callable[[], None]) -> None:
        """Calls `then` whenever a space has started."""
        self._when_started = then

    def with_news(self, space: Space, effects: list[Effect]) -> list[Effect]:
        """`effects`, and what is to be told of them."""
        if not self.webhooks.is_on:
            return effects
        stage = space.stage() if space.is_stage_known else None
        return [*effects, *self.telling.on_decision(space.id, effects, stage=stage, now_s=self._clock())]

    async def keep(self, space: str, records: Sequence[Any]) -> None:
        """What decisions of `space` keep, all of it or none."""
        happenings = [record for record in records if isinstance(record, Happening)]
        audit = [record for record in records if isinstance(record, AuditRecord)]
        beyond = (Happening, AuditRecord, StageTold)
        async with self.writing(happenings, audit=audit) as connection:
            own = [record for record in records if not isinstance(record, beyond)]
            await self._store.spaces.write(connection, space, own)
            for record in records:
                if isinstance(record, StageTold):
                    await self._store.webhooks.write_stage(connection, record)
        if any(happening.type == "space.started" for happening in happenings):
            self._when_started()

    async def add_space(self, record: SpaceRecord, resource: SpaceResource) -> bool:
        """False where its id is taken, by a space in any state."""
        kind: WebhookType = "space.started" if record.state == "live" else "space.scheduled"
        made = self.telling.happening(kind, space=record.space, told=space_told(resource), now_s=record.created_at_s)
        try:
            async with self.writing([made]) as connection:
                await self._store.spaces.write_new(connection, record)
        except IntegrityError:
            return False
        return True

    @asynccontextmanager
    async def writing(
        self, happenings: Iterable[Happening] = (), *, audit: Iterable[AuditRecord] = ()
    ) -> AsyncIterator[AsyncConnection]:
        """A transaction that also holds what is told of it, and which is told once it has ended well.

        Acts that no space decides are told here; those of a space have told of themselves (`with_news`).
        """
        pending = []
        async with self._store.database.writing() as connection:
            yield connection
            await self._store.safety.write_audit(connection, audit)
            urls = self._read_config().webhook.urls
            pending = await self._store.webhooks.write(connection, happenings, urls, room=self.webhooks.room)
        if pending:
            self.webhooks.on_stored(pending)

    @asynccontextmanager
    async def writing_act(self, record: AuditRecord) -> AsyncIterator[AsyncConnection]:
        """As `writing`, for an act of the operator's."""
        async with self.writing([self.telling.of_act(record)], audit=[record]) as connection:
            yield connection


def new_id() -> str:
    """96 bits: of an event, a report; nobody meets another's by guessing."""
    return secrets.token_hex(12)
