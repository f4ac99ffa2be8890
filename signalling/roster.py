"""Who is in a space, by which sessions, and who of them is on stage. A machine.

A space may hold ten thousand who only listen: nothing here that happens often walks through all of them.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from signalling.errors import CommandError
from signalling.participants import Joiner, Participant, Session
from signalling.standings import Standings

MAX_LEFT: Final = 256
"""So many are remembered as having just left, to tell them from those who never came."""


class Roster:
    """Participants in the order of their coming. `reseat` follows whatever moderators decide about an identity."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings
        self._participants: dict[str, Participant] = {}
        self._sessions: dict[str, Session] = {}
        self._stage: dict[str, None] = {}
        self._wary: dict[str, None] = {}
        self._left: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._participants)

    def __iter__(self) -> Iterator[Participant]:
        return iter(self._participants.values())

    def find(self, identity: str) -> Participant | None:
        """Also while the first session is still being opened."""
        return self._participants.get(identity)

    def present(self, identity: str) -> Participant:
        """Raises CommandError `unknown_participant`, or `participant_left` for one who was here a moment ago."""
        participant = self._participants.get(identity)
        if participant is not None and participant.is_present:
            return participant
        if identity in self._left:
            raise CommandError("participant_left", f"{identity!r} has just left this space", identity=identity)
        raise CommandError("unknown_participant", f"{identity!r} is not in this space", identity=identity)

    def session(self, session: str) -> Session | None:
        return self._sessions.get(session)

    def sessions(self) -> list[Session]:
        return list(self._sessions.values())

    def on_stage(self) -> list[str]:
        """Who may be heard now, hidden ones included, in the order of their coming on stage."""
        return list(self._stage)

    def is_on_stage(self, identity: str) -> bool:
        return identity in self._stage

    def wary(self) -> list[str]:
        """Those who have blocked somebody, who might come on stage."""
        return list(self._wary)

    def enter(self, joiner: Joiner, *, session: str, joined_at_s: float) -> Participant:
        """Another session, and with the first one another participant."""
        opening = joiner.session(session)
        participant = self._participants.setdefault(
            joiner.identity, Participant(identity=joiner.identity, joined_at_s=joined_at_s)
        )
        participant.sessions[session] = opening
        self._sessions[session] = opening
        self._left.pop(joiner.identity, None)
        self.know(joiner.identity, blocks=joiner.blocks)
        self.reseat(joiner.identity)
        return participant

    def know(self, identity: str, *, blocks: frozenset[str], is_followed: bool = False) -> None:
        """What has become known of how `identity` stands to others; nothing of one who has gone."""
        if participant := self._participants.get(identity):
            participant.blocks |= blocks
            participant.is_known_followed |= is_followed
            if participant.blocks:
                self._wary.setdefault(identity)

    def drop(self, session: str) -> None:
        """The session is over, and with the last one the participant is gone."""
        dropped = self._sessions.pop(session)
        participant = self._participants[dropped.identity]
        del participant.sessions[session]
        self.reseat(dropped.identity)
        if not participant.sessions:
            del self._participants[dropped.identity]
            self._wary.pop(dropped.identity, None)
            self._left[dropped.identity] = None
            if len(self._left) > MAX_LEFT:
                self._left.popitem(last=False)

    def reseat(self, identity: str) -> None:
        participant = self._participants.get(identity)
        if participant and participant.is_on_stage(self._standings.given_role(identity)):
            self._stage.setdefault(identity)
        else:
            self._stage.pop(identity, None)
