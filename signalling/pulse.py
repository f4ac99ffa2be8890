"""The events that come in crowds, gathered so that they leave at a bounded rate. A machine.

counts and reactions at most once a second, voices at most four times: with ten thousand watchers every event is ten
thousand messages.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from signalling.effects import Announce
from signalling.events import Reactions, SpeakersChanged, Voice
from signalling.resources import Counts

COUNTS_EVERY_S: Final = 1.0
REACTIONS_EVERY_S: Final = 1.0
VOICES_EVERY_S: Final = 0.25

MAX_KINDS_OF_REACTION: Final = 32
"""In one second; more kinds are dropped, so that an event stays a few hundred bytes."""


class Pulse:
    """Holds back what came too soon. `wakes_at_s` says when something held back is due."""

    def __init__(self) -> None:
        self._counts: Counts | None = None
        self._voices: Sequence[Voice] | None = None
        self._reactions: dict[str, int] = {}
        self._has_new_counts = False
        self._counts_due_s = 0.0
        self._voices_due_s = 0.0
        self._reactions_due_s = 0.0

    @property
    def wakes_at_s(self) -> float | None:
        due = []
        if self._has_new_counts:
            due.append(self._counts_due_s)
        if self._voices is not None:
            due.append(self._voices_due_s)
        if self._reactions:
            due.append(self._reactions_due_s)
        return min(due, default=None)

    def on_counts(self, now_s: float) -> None:
        """The counts may have changed; a burst of joins makes one event, a second after the last event or now."""
        if not self._has_new_counts:
            self._has_new_counts = True
            self._counts_due_s = max(self._counts_due_s, now_s)

    def on_voices(self, voices: Sequence[Voice], now_s: float) -> Iterator[Announce]:
        self._voices = voices
        if now_s >= self._voices_due_s:
            yield self._flush_voices(now_s)

    def on_reaction(self, emoji: str, now_s: float) -> Iterator[Announce]:
        if emoji in self._reactions or len(self._reactions) < MAX_KINDS_OF_REACTION:
            self._reactions[emoji] = self._reactions.get(emoji, 0) + 1
        if self._reactions and now_s >= self._reactions_due_s:
            yield self._flush_reactions(now_s)

    def on_time(self, counts: Counts, now_s: float) -> Iterator[Announce]:
        if self._has_new_counts and now_s >= self._counts_due_s:
            self._has_new_counts = False
            if counts != self._counts:
                self._counts = counts
                self._counts_due_s = now_s + COUNTS_EVERY_S
                yield Announce("counts", counts)
        if self._voices is not None and now_s >= self._voices_due_s:
            yield self._flush_voices(now_s)
        if self._reactions and now_s >= self._reactions_due_s:
            yield self._flush_reactions(now_s)

    def _flush_voices(self, now_s: float) -> Announce:
        voices, self._voices = self._voices or (), None
        self._voices_due_s = now_s + VOICES_EVERY_S
        return Announce("speakers.changed", SpeakersChanged(list(voices)))

    def _flush_reactions(self, now_s: float) -> Announce:
        counts, self._reactions = self._reactions, {}
        self._reactions_due_s = now_s + REACTIONS_EVERY_S
        return Announce("reactions", Reactions(counts))
