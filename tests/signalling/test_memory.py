"""Collections look at what is new; what has been set aside and died is found in time."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from signalling.memory import Tenured, short_collections


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def tenured() -> Iterator[Tenured]:
    made = Tenured(least_objects=1)
    gc.callbacks.append(made.on_collection)
    yield made
    gc.callbacks.remove(made.on_collection)
    gc.unfreeze()


def test_what_survives_a_full_collection_is_not_looked_at_by_the_next(tenured: Tenured) -> None:
    kept = [Ring() for _ in range(1000)]
    gc.collect()
    assert gc.get_freeze_count() > len(kept)
    assert not any(isinstance(each, Ring) for each in gc.get_objects())


def test_what_was_set_aside_and_died_is_found_when_as_much_again_has_been(tenured: Tenured) -> None:
    gc.collect()
    gc.collect()  # of everything: so much is alive
    alive = gc.get_freeze_count()
    ring = Ring()
    dead = weakref.ref(ring)
    gc.collect()
    del ring
    gc.collect()
    assert dead() is not None
    more = [[number] for number in range(alive)]
    gc.collect()  # sets them aside
    gc.collect()
    assert dead() is None
    assert len(more) == alive


def test_younger_collections_set_nothing_aside(tenured: Tenured) -> None:
    before = gc.get_freeze_count()
    gc.collect(1)
    assert gc.get_freeze_count() == before


async def test_afterwards_the_collector_is_as_it_was() -> None:
    before = list(gc.callbacks)
    with short_collections():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
    assert gc.callbacks == before
