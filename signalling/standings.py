"""What moderators have decided about identities, present or not: roles given, mutes, removals and blocks. A machine.

Its inputs return what must be kept; a second process that is given the kept records stands where this one stood.
"""

from collections.abc import Iterable

import msgspec

from signalling.effects import KeepExclusion, KeepStanding
from signalling.errors import CommandError
from signalling.permissions import Role
from signalling.records import ExclusionRecord, StandingRecord


class Standings:
    """All decisions of one space."""

    def __init__(
        self, space: str, standings: Iterable[StandingRecord] = (), exclusions: Iterable[ExclusionRecord] = ()
    ) -> None:
        self._space = space
        self._standings = {standing.identity: standing for standing in standings}
        self._exclusions = {exclusion.identity: exclusion for exclusion in exclusions}

    def given_role(self, identity: str) -> Role | None:
        """What a moderator gave (`speaker`, `cohost`) or took (`listener`); None where the token alone counts."""
        return self._of(identity).role

    def is_muted(self, identity: str) -> bool:
        return self._of(identity).is_muted

    def is_excluded(self, identity: str) -> bool:
        return identity in self._exclusions

    def muted(self) -> set[str]:
        return {standing.identity for standing in self._standings.values() if standing.is_muted}

    def check_admission(self, identity: str, issued_at_s: float | None) -> None:
        """Raises CommandError: `blocked`, or `removed` for a token that may be older than the removal."""
        exclusion = self._exclusions.get(identity)
        if exclusion is None:
            return
        if exclusion.is_block:
            raise CommandError("blocked", f"{identity!r} was blocked from space {self._space!r}")
        if issued_at_s is None or issued_at_s <= exclusion.at_s:
            raise CommandError(
                "removed", f"{identity!r} was removed from {self._space!r}; only a newly issued token lets it back in"
            )

    def admits(self, identity: str, issued_at_s: float | None) -> bool:
        try:
            self.check_admission(identity, issued_at_s)
        except CommandError:
            return False
        return True

    def give(self, identity: str, role: Role | None) -> KeepStanding:
        return self._keep(msgspec.structs.replace(self._of(identity), role=role))

    def mute(self, identities: Iterable[str], *, is_muted: bool) -> list[KeepStanding]:
        """What changes; nothing for those of whom it was true already."""
        changed = [standing for standing in map(self._of, identities) if standing.is_muted != is_muted]
        return [self._keep(msgspec.structs.replace(standing, is_muted=is_muted)) for standing in changed]

    def exclude(self, identity: str, *, is_block: bool, now_s: float) -> KeepExclusion:
        """Tokens issued until now are refused, or all; a later removal does not lift a block."""
        earlier = self._exclusions.get(identity)
        exclusion = ExclusionRecord(identity, now_s, is_block or (earlier is not None and earlier.is_block))
        self._exclusions[identity] = exclusion
        return KeepExclusion(exclusion)

    def _of(self, identity: str) -> StandingRecord:
        return self._standings.get(identity) or StandingRecord(identity)

    def _keep(self, standing: StandingRecord) -> KeepStanding:
        self._standings[standing.identity] = standing
        return KeepStanding(standing)
