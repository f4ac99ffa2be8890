"""Idempotency keys over HTTP: what was created is answered again, and nothing is created twice."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from sfu.contract.config import Limits
from signalling.store import Store
from tests.signalling.running import Server, host_token, running, token

pytestmark = pytest.mark.live

HOST = host_token()


@pytest.fixture
async def server(store_url: str) -> AsyncIterator[Server]:
    limits = Limits(requests_per_second=5000, request_burst=10_000, idempotency_keys_per_identity=5)
    async with running(store=Store(store_url), limits=limits) as server:
        yield server


async def create(server: Server, key: str, bearer: str = HOST, **body: Any) -> httpx2.Response:
    return await server.call(
        "POST", "/v1/spaces", bearer, json={"title": "Town hall", **body}, headers={"Idempotency-Key": key}
    )


async def spaces(server: Server) -> int:
    return len((await server.call("GET", "/v1/spaces", HOST)).json()["spaces"])


async def test_the_same_request_is_answered_the_same_and_done_once(server: Server) -> None:
    first = await create(server, "k1")
    again = await create(server, "k1")
    await server.restart()
    later = await create(server, '"k1"')

    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    for answer in (again, later):
        assert (answer.status_code, answer.content) == (201, first.content)
        assert answer.headers["location"] == first.headers["location"]
        assert answer.headers["idempotency-replayed"] == "true"
        assert answer.headers["content-type"] == "application/json"
    assert await spaces(server) == 1


async def test_of_many_at_once_one_creates(server: Server) -> None:
    answers = await asyncio.gather(*[create(server, "k1") for _ in range(8)])
    codes = {answer.json().get("code") for answer in answers if answer.status_code != 201}
    assert codes <= {"idempotency_key_in_flight"}
    assert await spaces(server) == 1


async def test_another_request_may_not_take_the_key(server: Server) -> None:
    await create(server, "k1")
    other_body = await create(server, "k1", title="Another")
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    assert await spaces(server) == 1


async def test_somebody_elses_key_is_another(server: Server) -> None:
    await create(server, "k1")
    theirs = await create(server, "k1", token("bob", room_create=True, room_admin=True))
    assert theirs.status_code == 201
    assert await spaces(server) == 2


async def test_what_was_refused_may_be_corrected_under_the_same_key(server: Server) -> None:
    assert (await create(server, "k1", title="")).status_code == 400
    assert (await create(server, "k1")).status_code == 201


async def test_each_creating_call_takes_a_key(server: Server) -> None:
    await server.make_space("hall", ticket={"capacity": 5})
    calls = [
        ("/v1/spaces/hall/reports", {"reason": "spam"}),
        ("/v1/spaces/hall/tickets", {"identity": "bob"}),
        ("/v1/spaces/hall/links", {"url": "https://x.example"}),
    ]
    for path, body in calls:
        key = {"Idempotency-Key": path}
        first = await server.call("POST", path, HOST, json=body, headers=key)
        again = await server.call("POST", path, HOST, json=body, headers=key)
        assert (first.status_code, again.content) == (201, first.content), first.text
        assert again.headers["idempotency-replayed"] == "true"


async def test_keys_are_bounded_and_expire_after_a_day(server: Server) -> None:
    for number in range(5):
        assert (await create(server, f"k{number}")).status_code == 201
    refused = await create(server, "k5")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_idempotency_keys")
    assert int(refused.headers["retry-after"]) > 0
    await server.stop()
    server.ahead_s = 25 * 3600.0
    await server.start()
    bearer = token("ada", room_create=True, room_list=True, room_admin=True, age_s=-server.ahead_s)

    async with asyncio.timeout(30):  # the sweep is the first thing that a new process does
        while True:
            if (await create(server, "k5", bearer)).status_code == 201:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("key", ["", "x" * 129, "a\tb"])
async def test_what_is_no_key_is_refused(server: Server, key: str) -> None:
    assert (await create(server, key)).json()["code"] == "bad_request"


async def test_a_body_beyond_the_limit_is_refused_before_it_is_kept(server: Server) -> None:
    response = await create(server, "k1", description="x" * 20_000)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
