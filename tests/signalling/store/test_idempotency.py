"""Idempotency keys in the database: one call of many is let through, the others are told what came of it."""

import asyncio

import pytest

from signalling.errors import CommandError
from signalling.idempotency import IN_FLIGHT_FOR_S, KeptAnswer
from signalling.store import Store


async def begin(
    store: Store,
    identity: str = "ada",
    key: str = "k",
    *,
    fingerprint: str = "f",
    now_s: float = 0.0,
    max_keys: int = 9,
) -> KeptAnswer | None:
    return await store.idempotency.begin(identity, key, fingerprint=fingerprint, now_s=now_s, max_keys=max_keys)


async def test_of_many_at_once_one_makes_the_call(store: Store) -> None:
    begun = await asyncio.gather(*[begin(store) for _ in range(8)])
    assert begun.count(None) == 1
    assert {kept.state for kept in begun if kept} == {"in_flight"}


async def test_what_was_answered_is_found_again(store: Store) -> None:
    await begin(store)
    await store.idempotency.finish("ada", "k", status=201, headers={"location": "/x"}, body='{"ä": 1}')
    kept = await begin(store)
    assert kept == KeptAnswer(
        fingerprint="f", state="done", at_s=0.0, status=201, headers={"location": "/x"}, body='{"ä": 1}'
    )


async def test_keys_belong_to_an_identity(store: Store) -> None:
    await begin(store, "ada")
    assert await begin(store, "bob") is None


async def test_what_came_to_nothing_frees_its_key(store: Store) -> None:
    await begin(store)
    await store.idempotency.release("ada", "k")
    assert await begin(store, fingerprint="other") is None


async def test_an_abandoned_call_is_taken_over_by_the_same_request_only(store: Store) -> None:
    await begin(store)
    assert await begin(store, fingerprint="other", now_s=IN_FLIGHT_FOR_S) is not None
    assert await begin(store, now_s=IN_FLIGHT_FOR_S) is None


async def test_an_identity_has_so_many_keys_until_they_expire(store: Store) -> None:
    for number in range(3):
        await begin(store, key=f"k{number}", now_s=float(number), max_keys=3)
    with pytest.raises(CommandError) as refusal:
        await begin(store, key="k3", max_keys=3)
    assert refusal.value.code == "too_many_idempotency_keys"
    await store.idempotency.expire(before_s=1.0)
    assert await begin(store, key="k3", max_keys=3) is None
