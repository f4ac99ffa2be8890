"""What is decided about identities, present or not: roles, mutes, hands, invitations, removals, blocks. A machine.

Its inputs return what must be kept; a second process that is given the kept records stands where this one stood.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from signalling.effects import KeepBlock, KeepExclusion, KeepStanding
from signalling.errors import CommandError
from signalling.permissions import Role
from signalling.records import BlockRecord, ExclusionRecord, StandingRecord
from signalling.safety import Bans


class HostBlocks:
    """Whom one host keeps out of every space; the spaces of that host hold the same one."""

    def __init__(self, host: str, records: Iterable[BlockRecord] = ()) -> None:
        self.host = host
        self._since_s: dict[str, float] = {}
        for record in records:
            self.add(record)

    def add(self, record: BlockRecord) -> None:
        """One that was kept."""
        if record.at_s is not None:
            self._since_s[record.identity] = record.at_s

    def __contains__(self, identity: str) -> bool:
        return identity in self._since_s

    def listed(self) -> list[tuple[str, float]]:
        """Identities, and since when."""
        return sorted(self._since_s.items(), key=lambda item: item[1])

    def block(self, identity: str, now_s: float) -> KeepBlock:
        since_s = self._since_s.setdefault(identity, now_s)
        return KeepBlock(BlockRecord(self.host, identity, since_s))

    def unblock(self, identity: str) -> KeepBlock:
        self._since_s.pop(identity, None)
        return KeepBlock(BlockRecord(self.host, identity, None))


class Standings:
    """All decisions of one space. `blocks` is None for a space without a host, which blocks for itself alone."""

    def __init__(
        self,
        space: str,
        standings: Iterable[StandingRecord] = (),
        exclusions: Iterable[ExclusionRecord] = (),
        *,
        blocks: HostBlocks | None = None,
        bans: Bans | None = None,
    ) -> None:
        self._space = space
        self._standings = {standing.identity: standing for standing in standings}
        self._exclusions = {exclusion.identity: exclusion for exclusion in exclusions}
        self._blocks = blocks
        self._bans = bans or Bans()
        self._hands: dict[str, float] = {
            standing.identity: standing.hand_raised_at_s
            for standing in self._standings.values()
            if standing.hand_raised_at_s is not None
        }

    def of(self, identity: str) -> StandingRecord:
        return self._standings.get(identity) or StandingRecord(identity)

    def given_role(self, identity: str) -> Role | None:
        """What a moderator gave (`speaker`, `cohost`) or took (`listener`); None where the token alone counts."""
        return self.of(identity).role

    def is_muted(self, identity: str) -> bool:
        """By a moderator."""
        return self.of(identity).is_muted

    def is_silent(self, identity: str) -> bool:
        """By a moderator or by themselves: what the gate enforces."""
        standing = self.of(identity)
        return standing.is_muted or standing.is_self_muted

    def silent(self) -> set[str]:
        return {standing.identity for standing in self._standings.values() if self.is_silent(standing.identity)}

    def hands(self) -> list[str]:
        """Who asks to speak, the first first."""
        return sorted(self._hands, key=lambda identity: (self._hands[identity], identity))

    def given_cohosts(self) -> set[str]:
        return {standing.identity for standing in self._standings.values() if standing.role == "cohost"}

    # Who is kept out

    def is_excluded(self, identity: str) -> bool:
        return identity in self._exclusions or self.is_blocked(identity)

    def is_blocked(self, identity: str) -> bool:
        exclusion = self._exclusions.get(identity)
        is_blocked_here = exclusion is not None and exclusion.is_block
        return is_blocked_here or (self._blocks is not None and identity in self._blocks)

    def blocked(self) -> list[tuple[str, float]]:
        """Identities, and since when."""
        here = [(exclusion.identity, exclusion.at_s) for exclusion in self._exclusions.values() if exclusion.is_block]
        return here + (self._blocks.listed() if self._blocks else [])

    def check_admission(self, identity: str, issued_at_s: float | None) -> None:
        """Raises CommandError: `banned`, `blocked`, or `removed` for a token that may be older than the removal."""
        self._bans.check(identity)
        if self.is_blocked(identity):
            raise CommandError("blocked", f"{identity!r} was blocked by the host of space {self._space!r}")
        exclusion = self._exclusions.get(identity)
        if exclusion is not None and (issued_at_s is None or issued_at_s <= exclusion.at_s):
            raise CommandError(
                "removed", f"{identity!r} was removed from {self._space!r}; only a newly issued token lets it back in"
            )

    def admits(self, identity: str, issued_at_s: float | None) -> bool:
        try:
            self.check_admission(identity, issued_at_s)
        except CommandError:
            return False
        return True

    def exclude(self, identity: str, *, is_block: bool, now_s: float) -> list[KeepExclusion | KeepBlock]:
        """Tokens issued until now are refused, or all; a later removal does not lift a block."""
        earlier = self._exclusions.get(identity)
        is_block_here = is_block and self._blocks is None
        exclusion = ExclusionRecord(identity, now_s, is_block_here or (earlier is not None and earlier.is_block))
        self._exclusions[identity] = exclusion
        kept: list[KeepExclusion | KeepBlock] = [KeepExclusion(exclusion)]
        if is_block and self._blocks is not None:
            kept.append(self._blocks.block(identity, now_s))
        return kept

    def unblock(self, identity: str) -> list[KeepExclusion | KeepBlock]:
        """The tokens issued until the block stay refused, as after a removal."""
        kept: list[KeepExclusion | KeepBlock] = []
        exclusion = self._exclusions.get(identity)
        if exclusion is not None and exclusion.is_block:
            self._exclusions[identity] = msgspec.structs.replace(exclusion, is_block=False)
            kept.append(KeepExclusion(self._exclusions[identity]))
        if self._blocks is not None and identity in self._blocks:
            kept.append(self._blocks.unblock(identity))
        return kept

    # What changes

    def change(self, identities: Iterable[str], **changes: Any) -> list[KeepStanding]:
        """Fields of `StandingRecord`; nothing to keep for those of whom it was true already."""
        kept = []
        for identity in identities:
            before = self.of(identity)
            after = msgspec.structs.replace(before, **changes)
            if after != before:
                kept.append(self._keep(after))
        return kept

    def _keep(self, standing: StandingRecord) -> KeepStanding:
        self._standings[standing.identity] = standing
        if standing.hand_raised_at_s is None:
            self._hands.pop(standing.identity, None)
        else:
            self._hands[standing.identity] = standing.hand_raised_at_s
        return KeepStanding(standing)
