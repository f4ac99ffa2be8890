"""When what is done now and then is due: reminders, retention. A machine.

A chore that is late, because the machine slept or the process was away, is done once and not as often as it was missed.
"""

from collections.abc import Mapping
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=str)


class Chores(Generic[Name]):
    """Each chore is due at once, and then `every_s` seconds after it was last handed out."""

    def __init__(self, every_s: Mapping[Name, float], *, now_s: float) -> None:
        self._every_s = dict(every_s)
        self._due_at_s = dict.fromkeys(every_s, now_s)

    @property
    def wakes_at_s(self) -> float:
        return min(self._due_at_s.values())

    def hurry(self, chore: Name, now_s: float) -> None:
        """Something happened that it should look at."""
        self._due_at_s[chore] = min(self._due_at_s[chore], now_s)

    def on_time(self, now_s: float) -> list[Name]:
        """What to do now, in the order of declaration."""
        due = [chore for chore, due_at_s in self._due_at_s.items() if due_at_s <= now_s]
        for chore in due:
            self._due_at_s[chore] = now_s + self._every_s[chore]
        return due
