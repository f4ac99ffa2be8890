"""The signalling process: HTTP on the configured addresses, metrics beside it, until SIGTERM or SIGINT. Edge."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import structlog
import uvicorn
import uvloop

from sfu.contract.config import Config, ConfigError
from sfu.contract.log import set_log_level, set_up_logging
from sfu.contract.process import lag_observed
from sfu.contract.reload import plan_reload
from sfu.contract.systemd import told_to_systemd
from signalling.app import Signalling
from signalling.housekeeping import Housekeeping
from signalling.memory import short_collections
from signalling.metrics import Metrics
from signalling.store import Store
from signalling.web.http import BoundedHttp, TellingSocket
from signalling.web.routes import build

MAX_WEBSOCKET_MESSAGE_BYTES: Final = 4096
"""Clients have nothing to say there but close and pong."""

SHUTDOWN_WITHIN_S: Final = 5

log = structlog.get_logger("signalling")


def main(config: Config, read_again: Callable[[], Config]) -> None:
    """Serves until a signal ends it. Raises OSError where an address is taken.

    The first SIGTERM ends it at once, since media goes on without it, unless the sfu drains: then it stays for those
    who are in until the sfu has gone. The second ends it in any case. SIGHUP takes up what `read_again` loads.
    """
    set_up_logging(level=config.logging.level, format=config.logging.format, process="signalling")
    uvloop.run(serve(config, read_again))


async def serve(config: Config, read_again: Callable[[], Config]) -> None:
    """As `main`, within a running loop."""
    await Server(config, Store(config.store.url), read_again).run_until_stopped()


class Server(uvicorn.Server):
    """uvicorn, with our application and our sockets; `should_exit = True` ends it as a signal does."""

    def __init__(
        self,
        config: Config,
        store: Store,
        read_again: Callable[[], Config] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = Signalling(config, store, Metrics(), clock=clock)
        self._settings = config
        self._read_again = read_again or (lambda: config)
        self._signals = 0
        super().__init__(_uvicorn_config(build(self.app)))

    async def run_until_stopped(self) -> None:
        """Raises OSError where an address is taken or the store cannot be opened."""
        config = self._settings
        sockets = [_listen(address, config.port) for address in config.bind_addresses]
        with contextlib.ExitStack() as stack:
            for listener in sockets:
                stack.callback(listener.close)
            if config.metrics.signalling_port:
                stop = self.app.metrics.serve(config.metrics.signalling_port, config.metrics.bind_address)
                stack.callback(stop)
            await self.app.start()
            stack.enter_context(short_collections())
            housekeeping = Housekeeping(self.app)
            housekeeping.start()
            try:
                log.info("signalling_listening", addresses=config.bind_addresses, port=config.port)
                await self.serve(sockets)
            finally:
                await housekeeping.stop()
                await self.app.stop()
        log.info("signalling_stopped")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would raise the signal again when it is done, and so end us before we have tidied up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1 and self.app.is_draining:
            log.info("staying_while_the_sfu_drains")
            self.app.when_drained(self._end)
        else:
            self._end()

    def _end(self) -> None:
        self.should_exit = True

    def reload(self) -> None:
        """Takes up what may change while we run; a file that cannot be used changes nothing."""
        try:
            plan = plan_reload(self.app.config, self._read_again())
        except ConfigError as error:
            self.app.metrics.reloads.labels("refused").inc()
            log.error("reload_refused", reason=str(error))  # noqa: TRY400 - the sentence says it, a trace adds nothing
            return
        set_log_level(plan.config.logging.level)
        self.app.reconfigure(plan.config)
        for key in plan.refused:
            log.warning("restart_needed", key=key)
        self.app.metrics.reloads.labels("taken").inc()
        log.info("reloaded", changed=plan.taken)

    async def main_loop(self) -> None:
        # Begins when the sockets take connections and ends when a signal has come.
        async with told_to_systemd(os.environ), lag_observed(self.app.metrics.loop_lag.observe):
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # The event streams first: uvicorn would wait for them, and they for it.
        self.app.end_streams()
        await super().shutdown(sockets)


def _uvicorn_config(application: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=BoundedHttp,
        ws=TellingSocket,
        ws_max_size=MAX_WEBSOCKET_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
    )


def _listen(address: str, port: int) -> socket.socket:
    """A bound socket; IPv6 is IPv6 only, since each address is configured by itself."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener
