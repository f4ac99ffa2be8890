"""Garbage collections that stay short however many are connected. Edge (the collector).

CPython's full collection looks at every object that lives, with everything else at a standstill: with ten thousand
event streams for a second or two, which was the 99th percentile of their delay. Here what has survived one is set aside
(`gc.freeze`), so that the next looks only at what is new since: some ten thousand objects. What is set aside and dies
in a cycle is found by a collection of everything, once as much again has been set aside as was alive at the last.
"""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any, Final

LEAST_OBJECTS: Final = 1_000_000
"""Set aside before everything is looked at: some hundred megabytes."""

GROWTH: Final = 2.0

_OLDEST: Final = 2


class Tenured:
    """What is set aside. `on_collection` is for `gc.callbacks`."""

    def __init__(self, *, least_objects: int = LEAST_OBJECTS) -> None:
        self._least_objects = least_objects
        self._alive = 0
        """Objects at the last collection of everything."""
        self._set_aside = 0
        self._is_of_everything = False

    def on_collection(self, phase: str, found: dict[str, Any]) -> bool:
        """Whether everything has been looked at; the collector then waits for a quarter as much again, unless asked."""
        if found["generation"] != _OLDEST:
            return False
        if phase == "start":
            self._is_of_everything = self._set_aside >= max(self._least_objects, GROWTH * self._alive)
            if self._is_of_everything:
                gc.unfreeze()
            return False
        if self._is_of_everything:
            gc.freeze()
            self._alive = self._set_aside = gc.get_freeze_count()
        else:
            self._set_aside += len(gc.get_objects(generation=_OLDEST))
            gc.freeze()
        return self._is_of_everything


@contextlib.contextmanager
def short_collections() -> Iterator[None]:
    """While the block runs, within a loop; what stands at its beginning is set aside at once."""
    tenured = Tenured()
    loop = asyncio.get_running_loop()

    def watch(phase: str, found: dict[str, Any]) -> None:
        # The database's thread collects as well. A second, short collection makes the collector forget how much there
        # was; within a callback it would do nothing.
        if tenured.on_collection(phase, found):
            loop.call_soon_threadsafe(gc.collect)

    gc.callbacks.append(watch)
    gc.collect()
    try:
        yield
    finally:
        gc.callbacks.remove(watch)
        gc.unfreeze()
