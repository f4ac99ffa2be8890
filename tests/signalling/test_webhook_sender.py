"""Webhooks against a receiver that fails, stalls, redirects and recovers: stored, ordered, repeated, never lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from livekit.api import TokenVerifier, WebhookReceiver
from msgspec.structs import replace

from sfu.contract.config import Config, Webhook
from signalling.errors import CommandError, PeerError
from signalling.metrics import Metrics
from signalling.store import Store
from signalling.store.webhooks import DeliveryRecord
from signalling.tokens import RawToken, verify
from signalling.webhook_sender import WebhookSender
from signalling.webhooks import Happening, PersonTold, ReportTold
from tests.harness.receiver import Receiver

KEY, SECRET = "app", "s" * 40
WITHIN_S = 30.0


class Clock:
    """Moved by hand, from now: a receiver checks the signature's time against its own."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


class Post:
    """A store, a sender over it, and what they are given to send."""

    def __init__(self, store_url: str, receiver: Receiver, **settings: object) -> None:
        self.receiver = receiver
        self.clock = Clock()
        self.store = Store(store_url)
        webhook = Webhook(api_key=KEY, urls=[receiver.url], **settings)  # type: ignore[arg-type]
        self.config = Config(keys={KEY: SECRET}, webhook=webhook)
        self.sender = self._sender()
        self._count = 0

    def _sender(self) -> WebhookSender:
        return WebhookSender(lambda: self.config, self.store.webhooks, Metrics(), clock=self.clock, draw=lambda: 0.0)

    async def start(self) -> None:
        await self.store.open()
        await self.sender.start()

    async def stop(self) -> None:
        await self.sender.stop()
        await self.store.close()

    async def restart(self) -> None:
        """As the next process would."""
        await self.stop()
        self.sender = self._sender()
        await self.start()

    async def tell(self, *spaces: str, ids: tuple[str, ...] = ()) -> None:
        """One event for each space named."""
        happenings = []
        for place, space in enumerate(spaces):
            self._count += 1
            told = ReportTold(id=str(self._count), identity=None, reason="spam")
            event = ids[place] if ids else f"event-{self._count}"
            happenings.append(Happening(id=event, type="report.filed", space=space, at_s=self.clock.now_s, told=told))
        async with self.store.database.writing() as connection:
            pending = await self.store.webhooks.write(
                connection, happenings, self.config.webhook.urls, room=self.sender.room
            )
        self.sender.on_stored(pending)

    def pass_time(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.sender.wake()

    async def deliveries(self) -> list[DeliveryRecord]:
        """Oldest first."""
        return (await self.store.webhooks.page(None, before=None, limit=100))[::-1]

    async def until(self, holds: Callable[[list[DeliveryRecord]], bool]) -> list[DeliveryRecord]:
        async with asyncio.timeout(WITHIN_S):
            while True:
                records = await self.deliveries()
                if holds(records):
                    return records
                await asyncio.sleep(0.01)


pytestmark = pytest.mark.live

MakePost = Callable[..., Awaitable[Post]]


@pytest.fixture
async def make_post(store_url: str) -> AsyncIterator[MakePost]:
    made: list[Post] = []

    async def make(receiver: Receiver, **settings: object) -> Post:
        post = Post(store_url, receiver, **settings)
        made.append(post)
        await post.start()
        return post

    yield make
    for post in made:
        await post.stop()


@asynccontextmanager
async def receiving(*answers: int | str) -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        receiver.answers = list(answers)
        yield receiver


def of(receiver: Receiver) -> list[str]:
    return [one.event["id"] for one in receiver.received]


async def test_livekits_own_receiver_verifies_and_reads_it(make_post: MakePost) -> None:
    async with receiving() as receiver:
        post = await make_post(receiver)
        ada = PersonTold(identity="ada", name="Ada", role="host")
        joined = Happening(id="e1", type="participant.joined", space="hall", at_s=post.clock.now_s, told=ada)
        async with post.store.database.writing() as connection:
            pending = await post.store.webhooks.write(connection, [joined], post.config.webhook.urls, room=9)
        post.sender.on_stored(pending)
        await receiver.events(1)

    [taken] = receiver.received
    theirs = WebhookReceiver(TokenVerifier(KEY, SECRET)).receive(taken.body.decode(), taken.headers["authorization"])
    assert (theirs.event, theirs.id, theirs.room.name) == ("participant_joined", "e1", "hall")
    assert (theirs.participant.identity, theirs.participant.name) == ("ada", "Ada")
    assert abs(theirs.created_at - time.time()) < 60
    assert taken.headers["content-type"] == "application/webhook+json"
    assert taken.event["type"] == "participant.joined"
    assert taken.event["data"] == {"identity": "ada", "name": "Ada", "role": "host"}


async def test_a_changed_body_or_another_secret_is_noticed(make_post: MakePost) -> None:
    async with receiving() as receiver:
        post = await make_post(receiver)
        await post.tell("hall")
        await receiver.events(1)

    [taken] = receiver.received
    body, signature = taken.body.decode(), taken.headers["authorization"]
    with pytest.raises(Exception, match="hash mismatch"):
        WebhookReceiver(TokenVerifier(KEY, SECRET)).receive(body.replace("spam", "ham"), signature)
    with pytest.raises(Exception, match="Signature"):
        WebhookReceiver(TokenVerifier(KEY, "t" * 40)).receive(body, signature)


async def test_a_webhooks_signature_opens_nothing_here(make_post: MakePost) -> None:
    async with receiving() as receiver:
        post = await make_post(receiver)
        await post.tell("hall")
        await receiver.events(1)

    with pytest.raises(PeerError, match="bad_token"):
        verify(RawToken(receiver.received[0].headers["authorization"]), keys={KEY: SECRET}, now_s=time.time())


@pytest.mark.parametrize("failure", [500, 404, 301, "redirect", "drop"])
async def test_what_failed_is_sent_again_in_its_place(make_post: MakePost, failure: int | str) -> None:
    async with receiving(failure, failure) as receiver:
        post = await make_post(receiver)
        await post.tell("hall", "hall")
        for attempts in (1, 2):
            await post.until(lambda records, attempts=attempts: records[0].attempts == attempts)  # type: ignore[misc]
            assert [record.state for record in await post.deliveries()] == ["pending", "pending"]
            post.pass_time(2.0)
        await post.until(lambda records: all(record.state == "delivered" for record in records))

        assert of(receiver) == ["event-1", "event-2"]
        assert set(receiver.paths) == {"/hook"}, "a redirect is not followed"


async def test_a_receiver_that_stalls_is_given_up_on_in_time(make_post: MakePost) -> None:
    async with receiving("stall") as receiver:
        post = await make_post(receiver, timeout_s=0.2)
        await post.tell("hall")
        [record] = await post.until(lambda records: records[0].attempts == 1)
        assert record.error == "no answer within 0.2 s"
        post.pass_time(1.0)
        await receiver.events(1)


async def test_an_answer_without_an_end_is_not_read_to_it(make_post: MakePost) -> None:
    async with receiving("flood") as receiver:
        receiver.received = []
        post = await make_post(receiver)
        await post.tell("hall")
        [record] = await post.until(lambda records: records[0].state != "pending" or records[0].attempts > 0)

    assert record.state == "delivered"


async def test_a_receiver_that_is_away_gets_everything_in_order_when_it_is_back(make_post: MakePost) -> None:
    async with receiving() as receiver:
        post = await make_post(receiver)
        await receiver.stop()
        await post.tell("hall", "attic", "hall", "attic", "hall")
        await post.until(lambda records: records[0].attempts == 1 and records[1].attempts == 1)
        await receiver.start()
        post.pass_time(1.0)
        await receiver.events(5)

        hall = [one.event["id"] for one in receiver.received if one.event["space"] == "hall"]
        attic = [one.event["id"] for one in receiver.received if one.event["space"] == "attic"]
        assert (hall, attic) == (["event-1", "event-3", "event-5"], ["event-2", "event-4"])


async def test_a_restart_forgets_nothing_and_does_not_hurry(make_post: MakePost) -> None:
    async with receiving(500) as receiver:
        post = await make_post(receiver)
        await post.tell("hall", "hall")
        await post.until(lambda records: records[0].attempts == 1)
        await post.restart()
        await post.tell("attic")
        await receiver.until(lambda: len(receiver.received) == 1)
        assert receiver.received[0].event["space"] == "attic", "hall waits for its second attempt"
        post.pass_time(1.0)
        await receiver.events(3)

        assert of(receiver) == ["event-3", "event-1", "event-2"]


async def test_after_its_last_attempt_it_is_a_dead_letter_that_can_be_sent_once_more(make_post: MakePost) -> None:
    async with receiving(500, 500, 500) as receiver:
        post = await make_post(receiver, max_attempts=3)
        await post.tell("hall", "hall")
        for attempts in (1, 2):
            await post.until(lambda records, attempts=attempts: records[0].attempts == attempts)  # type: ignore[misc]
            post.pass_time(10.0)
        await receiver.events(1)
        dead, delivered = await post.until(lambda records: records[1].state == "delivered")

        assert (dead.state, dead.attempts, dead.error) == ("dead", 3, "it answered 500")
        await post.sender.redeliver(dead.number)
        assert [event["id"] for event in await receiver.events(2)] == ["event-2", "event-1"]
        await post.until(lambda records: records[0].state == "delivered")
        assert delivered.attempts == 1


async def test_what_is_unknown_under_way_or_nobodys_url_is_not_sent_again(make_post: MakePost) -> None:
    async with receiving(500) as receiver:
        post = await make_post(receiver)
        await post.tell("hall")
        [record] = await post.until(lambda records: records[0].attempts == 1)
        codes = []
        for number in (record.number, record.number + 1):
            with pytest.raises(CommandError) as refusal:
                await post.sender.redeliver(number)
            codes.append(refusal.value.code)
        post.config = replace(post.config, webhook=replace(post.config.webhook, urls=["http://127.0.0.1:9/other"]))
        with pytest.raises(CommandError) as refusal:
            await post.sender.redeliver(record.number)

        assert [*codes, refusal.value.code] == ["delivery_pending", "unknown_delivery", "webhook_url_gone"]


async def test_a_url_that_left_the_configuration_is_not_asked_any_more(make_post: MakePost) -> None:
    async with receiving(500) as receiver:
        post = await make_post(receiver)
        await post.tell("hall")
        await post.until(lambda records: records[0].attempts == 1)
        post.config = replace(post.config, webhook=replace(post.config.webhook, urls=["http://127.0.0.1:9/other"]))
        post.pass_time(1.0)
        [record] = await post.until(lambda records: records[0].attempts == 2)

        assert "no longer in the configuration" in record.error
        assert len(receiver.paths) == 1


async def test_the_queue_is_bounded_and_what_finds_it_full_is_a_dead_letter(make_post: MakePost) -> None:
    async with receiving(*["stall"] * 2) as receiver:
        post = await make_post(receiver, max_pending=2)
        await post.tell("hall", "hall", "hall")
        records = await post.until(lambda records: len(records) == 3)

        assert [record.state for record in records] == ["pending", "pending", "dead"]
        assert records[2].error == "the queue was full"


async def test_an_event_that_is_told_twice_is_stored_once(make_post: MakePost) -> None:
    async with receiving() as receiver:
        post = await make_post(receiver)
        await post.tell("hall", ids=("reminder/hall",))
        await post.tell("hall", "hall", ids=("reminder/hall", "other"))
        await receiver.events(2)

        assert of(receiver) == ["reminder/hall", "other"]
        assert len(await post.deliveries()) == 2


async def test_each_url_is_told_at_its_own_pace(make_post: MakePost) -> None:
    async with receiving(500) as slow, receiving() as quick:
        post = await make_post(slow)
        post.config = replace(post.config, webhook=replace(post.config.webhook, urls=[slow.url, quick.url]))
        await post.tell("hall", "hall")
        await quick.events(2)
        await post.until(lambda records: records[0].attempts == 1)
        post.pass_time(1.0)
        await slow.events(2)

        assert of(slow) == of(quick) == ["event-1", "event-2"]
