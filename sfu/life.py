"""What signals ask of a running sfu: to drain, to end, to read its configuration again. Edge (signals, clock)."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Final

import structlog

from sfu.contract.config import Config, ConfigError
from sfu.contract.log import set_log_level
from sfu.contract.reload import plan_reload
from sfu.drain import Drain
from sfu.node import Limits, Node

LOOKS_EVERY_S: Final = 0.2
"""While draining: whether somebody is still in."""

log = structlog.get_logger("sfu")


def limits_of(config: Config) -> Limits:
    return Limits(
        max_sessions=config.limits.max_sessions,
        listening_sessions_per_identity=config.limits.sessions_per_identity,
    )


class Life:
    """From the moment it is made it hears SIGTERM and SIGINT (drain, then end) and SIGHUP (reload)."""

    def __init__(
        self, config: Config, node: Node, read_again: Callable[[], Config], *, on_draining: Callable[[], None]
    ) -> None:
        self._config = config
        self._node = node
        self._read_again = read_again
        self._on_draining = on_draining
        self._drain = Drain(deadline_s=config.drain.deadline_s)
        self._signalled = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        self._loop.add_signal_handler(signal.SIGHUP, self.reload)

    async def until_over(self, tell_status: Callable[[str], None]) -> None:
        """Returns when the process may end."""
        await self._signalled.wait()
        self._signalled.clear()
        if sessions := self._node.load().sessions:
            deadline_s = self._config.drain.deadline_s
            tell_status(f"draining: {sessions} sessions, at most {deadline_s} s; a second SIGTERM ends them now")
        while not self._drain.is_over(sessions=self._node.load().sessions, now_s=self._loop.time()):
            try:
                await asyncio.wait_for(self._signalled.wait(), LOOKS_EVERY_S)
            except TimeoutError:
                continue

    def reload(self) -> None:
        """Takes up what may change while we run; a file that cannot be used changes nothing."""
        try:
            plan = plan_reload(self._config, self._read_again())
        except ConfigError as error:
            log.error("reload_refused", reason=str(error))  # noqa: TRY400 - the sentence says it, a trace adds nothing
            return
        self._config = plan.config
        set_log_level(plan.config.logging.level)
        self._node.on_limits_changed(limits_of(plan.config))
        for key in plan.refused:
            log.warning("restart_needed", key=key)
        log.info("reloaded", changed=plan.taken)

    def _on_signal(self) -> None:
        is_first = not self._drain.is_under_way
        self._drain.on_signal(self._loop.time())
        self._signalled.set()
        if is_first:
            deadline_s = self._config.drain.deadline_s
            log.info("draining", sessions=self._node.load().sessions, deadline_s=deadline_s)
            self._node.on_end_foreseen(time.time() + deadline_s)
            self._on_draining()
