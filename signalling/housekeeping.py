"""What is done now and then, whatever else happens: reminders that fall due, and letting go of what is over. Edge.

Driven by the application's clock; a chore that fails is logged and done again at its next turn.
"""

import asyncio
import contextlib
from typing import Final, Literal

import structlog

from signalling.app import Signalling
from signalling.chores import Chores
from signalling.errors import Refusal
from signalling.reminders import call_due

Chore = Literal["reminders", "retention"]

REMIND_EVERY_S: Final = 15.0
"""A host is called 30 minutes before, give or take that; what has just started is looked at once."""

RETAIN_EVERY_S: Final = 3600.0

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0

log = structlog.get_logger("signalling")


class Housekeeping:
    """Runs from `start` to `stop`."""

    def __init__(self, app: Signalling) -> None:
        self._app = app
        self._chores = Chores[Chore]({"reminders": REMIND_EVERY_S, "retention": RETAIN_EVERY_S}, now_s=app.clock())
        self._news = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        app.reach.when_started(self.remind)

    def start(self) -> None:
        """The application has started."""
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._loop:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop

    def remind(self) -> None:
        """A space has started; somebody may wait for it."""
        self._chores.hurry("reminders", self._app.clock())
        self.wake()

    def wake(self) -> None:
        """Something may be due."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            for chore in self._chores.on_time(self._app.clock()):
                await self._do(chore)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._chores.wakes_at_s - self._app.clock())):
                    await self._news.wait()

    async def _do(self, chore: Chore) -> None:
        try:
            match chore:
                case "reminders":
                    await call_due(self._app)
                case "retention":
                    await let_go(self._app)
        except Refusal as refusal:
            log.warning("chore_put_off", chore=chore, code=refusal.code)
        except Exception:
            log.exception("chore_failed", chore=chore)


async def let_go(app: Signalling) -> None:
    """Deletes what has been kept for as long as the configuration says."""
    now_s, retention, store = app.clock(), app.config.retention, app.store
    await store.idempotency.expire(before_s=now_s - retention.idempotency_hours * _HOUR_S)
    await store.webhooks.expire("delivered", finished_before_s=now_s - retention.delivered_webhook_days * _DAY_S)
    await store.webhooks.expire("dead", finished_before_s=now_s - retention.dead_webhook_days * _DAY_S)
    await store.safety.expire_reports(resolved_before_s=now_s - retention.resolved_report_days * _DAY_S)
    await store.safety.expire_audit(before_s=now_s - retention.audit_days * _DAY_S)
    await store.reminders.expire()
