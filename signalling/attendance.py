"""How many are and were in a space, and whether anybody is there to host it. A machine.

A listener who comes writes nothing to the disk: totals are kept every few seconds while they change. After a restart
somebody who had left before it and comes again counts as another person; whoever is still in does not.
"""

from typing import Final

import msgspec

from signalling.records import SpaceRecord

KEPT_EVERY_S: Final = 5.0

HOST_LATE_S: Final = 1800.0
"""A space that began by its schedule waits this long for its first host; a train may be late."""


class Attendance:
    """Whoever is in, by what they count as. `settle` writes what follows into the record."""

    def __init__(self, record: SpaceRecord, *, host_grace_s: float) -> None:
        self._host_grace_s = host_grace_s
        self._total, self._peak = record.total, record.peak
        self._known = set[str]()
        self._here = set[str]()
        self._hidden = set[str]()
        self._moderators = set[str]()
        self._recorders = set[str]()
        self._keep_at_s: float | None = None

    @property
    def hidden(self) -> int:
        return len(self._hidden)

    @property
    def live(self) -> int:
        return len(self._here)

    @property
    def is_recorded(self) -> bool:
        return bool(self._recorders)

    @property
    def total(self) -> int:
        return self._total

    @property
    def peak(self) -> int:
        return self._peak

    @property
    def keep_at_s(self) -> float | None:
        """When the totals are to be kept; None while they are."""
        return self._keep_at_s

    def on_here(self, identity: str, now_s: float, *, is_hidden: bool, is_moderator: bool, is_recorder: bool) -> None:
        """In, or still in but different."""
        self._here.add(identity)
        (self._hidden.add if is_hidden else self._hidden.discard)(identity)
        (self._moderators.add if is_moderator else self._moderators.discard)(identity)
        (self._recorders.add if is_recorder else self._recorders.discard)(identity)
        is_new = identity not in self._known
        if is_new:
            self._known.add(identity)
            self._total += 1
        if is_new or len(self._here) > self._peak:
            self._peak = max(self._peak, len(self._here))
            if self._keep_at_s is None:
                self._keep_at_s = now_s + KEPT_EVERY_S

    def on_found(self, identity: str) -> None:
        """It was in before this process began, and was counted then."""
        self._known.add(identity)

    def on_gone(self, identity: str) -> None:
        for group in (self._here, self._hidden, self._moderators, self._recorders):
            group.discard(identity)

    def ends_at_s(self, record: SpaceRecord) -> float | None:
        """When a space that nobody hosts is over; None while somebody does, or nobody has yet."""
        if record.state != "live" or record.hostless_since_s is None:
            return None
        grace_s = self._host_grace_s if record.has_been_hosted else max(self._host_grace_s, HOST_LATE_S)
        return record.hostless_since_s + grace_s

    def hosted(self, record: SpaceRecord, now_s: float) -> SpaceRecord:
        """`record` as it is to be, for who hosts it now; the same one where nothing changes."""
        if record.state != "live":
            return record
        if self._moderators:
            if record.has_been_hosted and record.hostless_since_s is None:
                return record
            return msgspec.structs.replace(record, has_been_hosted=True, hostless_since_s=None)
        if record.has_been_hosted and record.hostless_since_s is None:
            return msgspec.structs.replace(record, hostless_since_s=now_s)
        return record

    def counted(self, record: SpaceRecord) -> SpaceRecord:
        """`record` with the totals, which are then kept."""
        self._keep_at_s = None
        return msgspec.structs.replace(record, total=self._total, peak=self._peak)
