"""A space at work: its machine, its decisions on their way, its watchers and its alarm clock. Edge (clock, asyncio)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from sfu.contract.messages import Answer, Command, Refused
from signalling.effects import Announce, Effect, Eject, KeepSpace, Notify, Tell
from signalling.errors import CommandError
from signalling.feeds import Feed
from signalling.links import Links
from signalling.outbox import Outbox
from signalling.spaces import Space

log = structlog.get_logger("signalling")

_HARMLESS_REFUSALS: Final = frozenset({"unknown_participant", "unknown_session"})
"""Of a command about somebody who has just left: what it asked for is the case."""

MAX_SLEEP_S: Final = 300.0
"""A start may be weeks away, and the machine's clock may be set meanwhile."""


class LiveSpace:
    """A space that is scheduled or live. `on_state` is told when it may have begun, or is over."""

    def __init__(
        self,
        space: Space,
        *,
        feed: Feed,
        links: Links,
        news: Callable[[Space, list[Effect]], list[Effect]],
        keep: Callable[[list[Any]], Awaitable[None]],
        tell: Callable[[Command], "asyncio.Future[Answer]"],
        clock: Callable[[], float],
        on_state: Callable[[Space], None],
    ) -> None:
        self.space = space
        self.feed = feed
        self.links = links
        self._news = news
        self.outbox = Outbox(keep=keep, tell=tell, publish=self._publish)
        self._tell = tell
        self._clock = clock
        self._on_state = on_state
        self._alarm: asyncio.Handle | None = None
        self._rings_at_s = 0.0

    async def carry_out(self, effects: Iterable[Effect]) -> None:
        """Returns when all is on the disk, in force at the packet, and told. Raises CommandError."""
        decided = self.outbox.put(self._news(self.space, list(effects)))
        self.arm()
        for refusal in await decided:
            if refusal.code not in _HARMLESS_REFUSALS:
                raise refused(refusal)

    def carry_out_unasked(self, effects: Iterable[Effect]) -> None:
        """For what follows from the sfu's reports and from time: nobody waits for it."""
        self.outbox.put(self._news(self.space, list(effects))).add_done_callback(self._log_refusals)
        self.arm()

    def reconcile(self, effects: Iterable[Effect]) -> None:
        """As `carry_out_unasked`, but the sfu is told at once, before it hears anything else of the space."""
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, Tell):
                self._tell(effect.command)
        self.carry_out_unasked(effect for effect in effects if not isinstance(effect, Tell))

    def arm(self) -> None:
        """Sets the alarm to when the machine has something to do."""
        wakes_at_s = self.space.wakes_at_s
        if wakes_at_s is None or self.space.is_over:
            return
        if self._alarm:
            if self._rings_at_s <= wakes_at_s:
                return
            self._alarm.cancel()
        self._rings_at_s = wakes_at_s
        delay_s = min(max(0.0, wakes_at_s - self._clock()), MAX_SLEEP_S)
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._wake)

    def disarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None

    def _wake(self) -> None:
        self._alarm = None
        self.carry_out_unasked(self.space.on_time(self._clock()))

    def _publish(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Announce(event, payload):
                    self.feed.announce(event, payload)
                case Notify(identity, event, payload):
                    self.feed.notify(identity, event, payload)
                case Eject(identity):
                    self.feed.eject(identity)
        if any(isinstance(effect, KeepSpace) for effect in effects):
            self._on_state(self.space)

    def _log_refusals(self, done: "asyncio.Future[list[Refused]]") -> None:
        if done.cancelled() or done.exception() is not None:
            return  # the outbox has logged it
        for refusal in done.result():
            if refusal.code not in _HARMLESS_REFUSALS:
                log.warning("sfu_refused", space=self.space.id, code=refusal.code, detail=refusal.detail)


def refused(refusal: Refused) -> CommandError:
    """The sfu's refusal as the caller's problem."""
    match refusal.code:
        case "stage_full" | "space_full" | "draining" | "overloaded" | "sfu_unavailable" as code:
            return CommandError(code, refusal.detail)
        case "unknown_session":
            return CommandError("unknown_session", refusal.detail)
    log.error("sfu_refused", code=refusal.code, detail=refusal.detail)
    return CommandError("sfu_unavailable", "the media server could not do that; try again in a moment")
