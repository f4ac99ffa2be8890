"""Sends what is stored for the operator's application, until it has arrived. Edge (HTTP, clock, asyncio, randomness).

Only URLs of the configuration are asked, of whatever else the store holds nothing; no redirect is followed, no proxy of
the environment used, and of an answer only the status counts. A delivery that a stop cuts short is sent again by the
next process: at least once, with the same id.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from typing import Final

import httpx2
import structlog

from sfu.contract.config import Config
from signalling.errors import CommandError, Refusal
from signalling.metrics import Metrics
from signalling.store.webhooks import DeliveryRecord, WebhookRepository
from signalling.webhook_queue import GiveUp, Pending, Send, WebhookQueue
from signalling.webhooks import CONTENT_TYPE, sign

MAX_ANSWER_BYTES: Final = 16_384
"""Read and thrown away, so that the connection can be used again; a longer answer costs it its connection."""

STOP_WITHIN_S: Final = 2.0

USER_AGENT: Final = "palco-webhooks"

log = structlog.get_logger("signalling.webhooks")


class WebhookSender:
    """Runs from `start` to `stop`; `on_stored` tells it what there is to send."""

    def __init__(
        self,
        read_config: Callable[[], Config],
        repository: WebhookRepository,
        metrics: Metrics,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` gives numbers in [0, 1) for the jitter."""
        self._read_config = read_config
        self._repository = repository
        self._metrics = metrics
        self._clock = clock
        self._draw = draw
        self._queue = WebhookQueue(max_attempts=read_config().webhook.max_attempts)
        self._news = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self._read_config().webhook.urls)

    @property
    def room(self) -> int:
        """How many more deliveries may wait."""
        return max(0, self._read_config().webhook.max_pending - len(self._queue))

    async def start(self) -> None:
        """Goes on with what an earlier process left."""
        timeout_s = self._read_config().webhook.timeout_s
        self._client = httpx2.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=timeout_s, headers={"User-Agent": USER_AGENT}
        )
        self.on_stored(await self._repository.pending())
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._loop is None:
            return
        self._loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._loop
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=STOP_WITHIN_S)
            for attempt in late:
                attempt.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._client.aclose()

    def on_stored(self, pending: Iterable[Pending]) -> None:
        """They are on the disk."""
        self._queue.on_stored(pending)
        self.wake()

    def forget(self, numbers: Iterable[int]) -> None:
        """They are no longer in the store."""
        self._queue.forget(numbers)
        self.wake()

    async def redeliver(self, number: int) -> DeliveryRecord:
        """A delivery that arrived or was given up, once more. Raises CommandError."""
        record = await self._repository.find(number)
        if record is None:
            raise CommandError("unknown_delivery", f"there is no delivery {number}; old ones are deleted")
        if record.url not in self._read_config().webhook.urls:
            raise CommandError("webhook_url_gone", "its URL is no longer in the configuration (webhook.urls)")
        revived = await self._repository.revive(number, now_s=self._clock())
        if revived is None:
            raise CommandError("delivery_pending", f"delivery {number} is on its way already; wait for its outcome")
        self.on_stored([revived])
        return await self._repository.find(number) or record

    def wake(self) -> None:
        """Something may be due."""
        self._metrics.webhooks_pending.set(len(self._queue))
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            for send in self._queue.due(self._clock()):
                attempt = asyncio.create_task(self._attempt(send))
                self._attempts.add(attempt)
                attempt.add_done_callback(self._attempts.discard)
            wakes_at_s = self._queue.wakes_at_s
            wait_s = None if wakes_at_s is None else max(0.0, wakes_at_s - self._clock())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()

    async def _attempt(self, send: Send) -> None:
        """Whatever comes of it, the lane goes on."""
        try:
            record = await self._repository.find(send.number)
            error = "" if record is None else await self._post(record)
        except Refusal as refusal:
            error = refusal.detail
        except Exception as fault:
            log.exception("webhook_failed", number=send.number)
            error = type(fault).__name__
        try:
            await (self._on_failed(send, error) if error else self._on_delivered(send))
        except Refusal as refusal:
            # Not kept: a later process sends it once more, which its id gives away.
            log.warning("webhook_not_kept", number=send.number, code=refusal.code)
        self.wake()

    async def _on_delivered(self, send: Send) -> None:
        self._metrics.webhook_attempts.labels("delivered").inc()
        try:
            await self._repository.keep_delivered(send.number, send.attempt, now_s=self._clock())
        finally:
            self._queue.on_delivered(send.number)

    async def _on_failed(self, send: Send, error: str) -> None:
        failure = self._queue.on_failed(send.number, self._clock(), jitter=self._draw())
        outcome = "dead" if isinstance(failure, GiveUp) else "failed"
        self._metrics.webhook_attempts.labels(outcome).inc()
        log.warning("webhook_" + outcome, number=send.number, attempt=send.attempt, error=error)
        await self._repository.keep_failed(failure, error=error[:200], now_s=self._clock())

    async def _post(self, record: DeliveryRecord) -> str:
        """What went wrong; empty when it has arrived."""
        config = self._read_config()
        secret = config.keys.get(config.webhook.api_key)
        if record.url not in config.webhook.urls or secret is None:
            return "its URL or webhook.api_key is no longer in the configuration"
        body = record.body.encode()
        signature = sign(body, key=config.webhook.api_key, secret=secret, now_s=self._clock())
        headers = {"Authorization": signature, "Content-Type": CONTENT_TYPE}
        try:
            async with (
                asyncio.timeout(config.webhook.timeout_s),
                self._client.stream("POST", record.url, content=body, headers=headers) as response,
            ):
                if not response.is_success:
                    return f"it answered {response.status_code}"
                await _discard(response)
        except TimeoutError:
            return f"no answer within {config.webhook.timeout_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"
        return ""


async def _discard(response: httpx2.Response) -> None:
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > MAX_ANSWER_BYTES:
            return
