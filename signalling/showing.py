"""What the watchers of a space have been shown of its participants, and so what is news to them. A machine.

People on stage, moderators and raised hands are shown one by one; the rest of the audience is counted, not listed.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from signalling.effects import Announce
from signalling.events import Left, Voice
from signalling.pulse import Pulse
from signalling.resources import SILENCE_DBOV, Counts, ParticipantResource

MAX_HANDS: Final = 100
"""Raised hands in a snapshot; a host works through them from the front."""


class Showing:
    """Compares what is with what was shown. Levels have events of their own and are not compared."""

    def __init__(self) -> None:
        self._shown: dict[str, ParticipantResource] = {}
        self._levels: dict[str, int] = {}
        self._pulse = Pulse()

    @property
    def wakes_at_s(self) -> float | None:
        return self._pulse.wakes_at_s

    def people(self) -> list[ParticipantResource]:
        """Whom a new watcher is shown: those on stage and moderators, then raised hands, first raised first."""
        prominent = [shown for shown in self._shown.values() if shown.role != "listener"]
        hands = [shown for shown in self._shown.values() if shown.role == "listener"]
        return [self.with_level(shown) for shown in prominent + hands[:MAX_HANDS]]

    def with_level(self, resource: ParticipantResource) -> ParticipantResource:
        """`resource` as it is heard now."""
        level_dbov = self._levels.get(resource.identity)
        if level_dbov is None:
            return resource
        return msgspec.structs.replace(resource, is_speaking=True, level_dbov=level_dbov)

    def on_participant(self, identity: str, now: ParticipantResource | None, *, is_arrival: bool) -> list[Announce]:
        """`now` is None for who is gone, or hidden."""
        shown = self._shown.get(identity)
        if now is None:
            self._levels.pop(identity, None)
            return [Announce("participant.left", Left(identity))] if self._shown.pop(identity, None) else []
        if now.role == "listener" and not now.has_raised_hand:
            # One who goes back to the audience is shown a last time.
            return [Announce("participant.changed", now)] if self._shown.pop(identity, None) else []
        self._shown[identity] = now
        if shown == now:
            return []
        return [Announce("participant.joined" if shown is None and is_arrival else "participant.changed", now)]

    def on_counts(self, now_s: float) -> None:
        """They may have changed."""
        self._pulse.on_counts(now_s)

    def on_voices(self, voices: Iterable[tuple[str, int]], now_s: float) -> list[Announce]:
        """(identity, level in dBov); of two tracks of one identity the louder counts."""
        levels: dict[str, int] = {}
        for identity, level_dbov in voices:
            levels[identity] = max(levels.get(identity, SILENCE_DBOV), level_dbov)
        self._levels = levels
        return list(self._pulse.on_voices([Voice(identity, level) for identity, level in levels.items()], now_s))

    def on_reaction(self, emoji: str, now_s: float) -> list[Announce]:
        return list(self._pulse.on_reaction(emoji, now_s))

    def on_time(self, counts: Counts, now_s: float) -> list[Announce]:
        return list(self._pulse.on_time(counts, now_s))
