"""One space: who is in it, in which role, muted or not, and what follows when that changes. A machine.

It decides and remembers; the sfu enforces. Inputs are `on_...`, each returns effects (`signalling.effects`) or raises a
CommandError and leaves the state as it was. Whether the caller may is asked before, in `signalling.permissions`.

The live role: what a moderator gave or took stands first, then what the token says (host, cohost, `canPublish`), then
listener. On stage is who may speak and has a session to speak in. A mute belongs to the identity: leaving, returning
and restarts do not lift it. What people see is compared with what they were last shown, so every input simply settles
the participants that it touched.
"""

from collections.abc import Iterable, Sequence

import msgspec

from sfu.contract.messages import (
    CloseSession,
    CloseSpace,
    OpenSpace,
    RemoveParticipant,
    SessionState,
    SetMuted,
    SetOnStage,
    SpaceState,
)
from signalling.effects import Announce, Effect, Eject, KeepSpace, Notify, Tell
from signalling.errors import CommandError
from signalling.participants import Admission, Joiner, Participant, Session, joiner_of
from signalling.permissions import Role
from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord
from signalling.resources import Counts, Nothing, ParticipantResource, SnapshotEvent, SpaceResource, You, space_resource
from signalling.roster import Roster
from signalling.showing import Showing
from signalling.standings import Standings


class Space:
    """The machine. `wakes_at_s` says when `on_time` has something to do."""

    def __init__(
        self,
        record: SpaceRecord,
        *,
        standings: Iterable[StandingRecord] = (),
        exclusions: Iterable[ExclusionRecord] = (),
        sessions_per_identity: int = 8,
    ) -> None:
        self.record = record
        self._standings = Standings(record.space, standings, exclusions)
        self._sessions_per_identity = sessions_per_identity
        self._roster = Roster(self._standings)
        self._showing = Showing()

    # What there is to see

    @property
    def id(self) -> str:
        return self.record.space

    @property
    def is_live(self) -> bool:
        return self.record.ended_at_s is None

    @property
    def wakes_at_s(self) -> float | None:
        return self._showing.wakes_at_s

    def session(self, session: str) -> Session | None:
        return self._roster.session(session)

    def on_stage(self) -> list[str]:
        """Who may be heard now, hidden ones included, in the order of their coming on stage."""
        return self._roster.on_stage()

    def counts(self) -> Counts:
        speakers = len(self._roster.on_stage())
        return Counts(speakers=speakers, listeners=len(self._roster) - speakers)

    def resource(self) -> SpaceResource:
        return space_resource(self.record, self.counts())

    def participants(self) -> list[ParticipantResource]:
        """Everyone but the hidden: moderators and speakers first, then the others as they came."""
        visible = [person for person in self._roster if person.is_present and not person.is_hidden]
        resources = [self._showing.with_level(self._resource_of(person)) for person in visible]
        return sorted(resources, key=lambda resource: resource.role == "listener")

    def participant(self, identity: str) -> ParticipantResource:
        """As moderators see it, hidden or not. Raises CommandError `unknown_participant`."""
        return self._showing.with_level(self._resource_of(self._roster.present(identity)))

    def given_role(self, identity: str) -> Role | None:
        """What a moderator gave or took; None where the token alone counts."""
        return self._standings.given_role(identity)

    def role_of(self, identity: str) -> Role:
        """The rank of `identity` as a target of moderation, here or not."""
        if participant := self._roster.find(identity):
            return self._role_of(participant)
        return "host" if identity == self.record.host else self.given_role(identity) or "listener"

    def snapshot_for(self, identity: str, role: Role) -> SnapshotEvent:
        """What a new watcher is shown; `role` is the watcher's by token, for when there is no session."""
        return SnapshotEvent(space=self.resource(), participants=self._showing.people(), you=self._you(identity, role))

    def check_admission(self, identity: str, issued_at_s: float | None) -> None:
        """Raises CommandError `space_ended`, `blocked` or `removed`, the last for tokens from before the removal."""
        if not self.is_live:
            raise CommandError("space_ended", f"space {self.id!r} has ended")
        self._standings.check_admission(identity, issued_at_s)

    # Sessions

    def on_join(self, joiner: Joiner, *, session: str, now_s: float) -> Admission:
        """A place for a session about to be opened at the sfu; ends in `on_session_opened` or `on_session_closed`.

        Raises CommandError: `space_ended`, `removed`, `blocked`, `not_on_stage`, `too_many_sessions`, `stage_full`.
        """
        self.check_admission(joiner.identity, joiner.issued_at_s)
        if joiner.kind == "whip" and self.given_role(joiner.identity) == "listener":
            raise CommandError("not_on_stage", "a moderator moved you to the audience; raise your hand to speak again")
        present = self._roster.find(joiner.identity)
        if present and len(present.sessions) >= self._sessions_per_identity:
            raise CommandError(
                "too_many_sessions",
                f"{joiner.identity!r} has {len(present.sessions)} sessions here; close one first",
                limit=self._sessions_per_identity,
            )
        was_on_stage = self._roster.is_on_stage(joiner.identity)
        participant = self._roster.enter(joiner, session=session, joined_at_s=now_s)
        is_on_stage = self._roster.is_on_stage(joiner.identity)
        if is_on_stage and not was_on_stage and len(self._roster.on_stage()) > self.record.max_speakers:
            self._roster.drop(session)
            raise self._stage_full()
        participant.is_told_on_stage = is_on_stage
        return Admission(
            is_on_stage=is_on_stage,
            is_muted=self._standings.is_muted(joiner.identity),
            owner=msgspec.json.encode(joiner.owner(participant.joined_at_s)).decode(),
        )

    def on_session_opened(self, session: str, *, ufrag: str, now_s: float) -> list[Effect]:
        """The sfu has it. A session that was removed in between is closed again."""
        opened = self._roster.session(session)
        if opened is None:
            return [Tell(CloseSession(session))]
        opened.ufrag = ufrag
        opened.is_open = True
        return self._settle([opened.identity], now_s, is_arrival=True)

    def on_session_connected(self, session: str, now_s: float) -> list[Effect]:
        if connected := self._roster.session(session):
            connected.is_connected = True
            return self._settle([connected.identity], now_s)
        return []

    def on_ice_restarted(self, session: str, *, ufrag: str, remote_ufrag: str) -> list[Effect]:
        if restarted := self._roster.session(session):
            restarted.ufrag = ufrag
            restarted.remote_ufrag = remote_ufrag
        return []

    def on_session_closed(self, session: str, now_s: float) -> list[Effect]:
        """Also for one that the sfu refused to open."""
        closed = self._roster.session(session)
        if closed is None:
            return []
        self._roster.drop(session)
        return self._settle([closed.identity], now_s)

    # Moderation

    def on_mute(self, identity: str, *, is_muted: bool, now_s: float) -> list[Effect]:
        self._roster.present(identity)
        return self._mute([identity], is_muted=is_muted, now_s=now_s)

    def on_mute_all(self, identities: Sequence[str], now_s: float) -> list[Effect]:
        """Mutes `identities`, at the packet in one step."""
        return self._mute(identities, is_muted=True, now_s=now_s)

    def on_promote(self, identity: str, role: Role, now_s: float) -> list[Effect]:
        """On stage, as speaker or cohost. Raises CommandError `stage_full`, `unknown_participant`."""
        participant = self._roster.present(identity)
        if not self._roster.is_on_stage(identity) and len(self._roster.on_stage()) >= self.record.max_speakers:
            raise self._stage_full()
        participant.has_raised_hand = False
        participant.is_invited = False
        return [self._give(identity, role), *self._settle([identity], now_s)]

    def on_demote(self, identity: str, now_s: float) -> list[Effect]:
        """Back to the audience: heard no more, whatever the token says, until promoted."""
        self._roster.present(identity)
        return [self._give(identity, "listener"), *self._settle([identity], now_s)]

    def on_invite(self, identity: str) -> list[Effect]:
        self._roster.present(identity).is_invited = True
        return [Notify(identity, "you.invited", Nothing())]

    def on_accept(self, identity: str, now_s: float) -> list[Effect]:
        if not self._roster.present(identity).is_invited:
            raise CommandError("not_invited", "nobody invited you to the stage; raise your hand to ask")
        return self.on_promote(identity, "speaker", now_s)

    def on_remove(self, identity: str, *, is_block: bool, now_s: float) -> list[Effect]:
        """Out, and kept out: for good, or until a token is issued after this. Once more is no error.

        Whoever has left can still be blocked, but not removed.
        """
        if not is_block and not self._standings.is_excluded(identity):
            self._roster.present(identity)
        effects: list[Effect] = [
            Tell(RemoveParticipant(self.id, identity)),
            self._standings.exclude(identity, is_block=is_block, now_s=now_s),
        ]
        if self.given_role(identity) is not None:
            effects.append(self._give(identity, None))
        if participant := self._roster.find(identity):
            for session in list(participant.sessions):
                self._roster.drop(session)
        effects += self._settle([identity], now_s)
        return [*effects, Notify(identity, "you.removed", Nothing()), Eject(identity)]

    # The audience

    def on_hand(self, identity: str, *, is_raised: bool, now_s: float) -> list[Effect]:
        participant = self._roster.present(identity)
        participant.has_raised_hand = is_raised and not self._roster.is_on_stage(identity)
        return self._settle([identity], now_s)

    def on_reaction(self, emoji: str, now_s: float) -> list[Effect]:
        return [*self._showing.on_reaction(emoji, now_s)]

    def on_speaking(self, voices: Iterable[tuple[str, int]], now_s: float) -> list[Effect]:
        """The sfu's report of who is heard, loudest first, in dBov."""
        known = [(identity, level) for identity, level in voices if self._is_visible(identity)]
        return [*self._showing.on_voices(known, now_s)]

    # The space itself

    def on_rename(self, title: str) -> list[Effect]:
        self.record = msgspec.structs.replace(self.record, title=title)
        return [KeepSpace(self.record), Announce("space.changed", self.resource())]

    def on_end(self, now_s: float) -> list[Effect]:
        self.record = msgspec.structs.replace(self.record, ended_at_s=now_s)
        for session in self._roster.sessions():
            self._roster.drop(session.session)
        ending = Announce("space.ended", self.resource())
        return [Tell(CloseSpace(self.id)), KeepSpace(self.record), ending, Eject(None)]

    def on_time(self, now_s: float) -> list[Effect]:
        return [*self._showing.on_time(self.counts(), now_s)]

    # Reconciliation

    def on_snapshot(
        self, state: SpaceState | None, sessions: Iterable[SessionState], *, is_first: bool, now_s: float
    ) -> list[Effect]:
        """Brings both sides together after either restarted; `state` is None where the sfu does not know the space.

        `is_first` since this process started: sessions unknown to us are then ours of before, and mutes that only the
        sfu remembers are kept (a mute is never lost). Later, what we do not know was never acknowledged: it is closed.
        """
        effects: list[Effect] = []
        if state is None:
            state = SpaceState(space=self.id, max_speakers=self.record.max_speakers, muted=[], on_stage=[])
            effects.append(Tell(OpenSpace(self.id, self.record.max_speakers)))
        if is_first:
            effects += self._standings.mute(state.muted, is_muted=True)
        reported = {session.session: session for session in sessions}
        gone = [session for session in self._roster.sessions() if session.session not in reported]
        for session in gone:
            self._roster.drop(session.session)
        for report in reported.values():
            effects += self._reconcile_session(report, is_first=is_first)
        for participant in self._roster:
            participant.is_told_on_stage = participant.identity in state.on_stage
        effects += self._reconcile_mutes(set(state.muted))
        touched = [*(person.identity for person in self._roster), *(session.identity for session in gone)]
        return effects + self._settle(dict.fromkeys(touched), now_s)

    def _reconcile_session(self, report: SessionState, *, is_first: bool) -> list[Effect]:
        known = self._roster.session(report.session)
        if known is None:
            found = joiner_of(report) if is_first else None
            if found is None or not self._standings.admits(found[0].identity, found[0].issued_at_s):
                return [Tell(CloseSession(report.session))]
            joiner, joined_at_s = found
            known = self._roster.enter(joiner, session=report.session, joined_at_s=joined_at_s).sessions[report.session]
        known.is_open = True
        known.is_connected = report.is_connected
        known.ufrag = report.ufrag
        known.remote_ufrag = report.remote_ufrag
        return []

    def _reconcile_mutes(self, theirs: set[str]) -> list[Effect]:
        ours = self._standings.muted()
        effects: list[Effect] = []
        if missing := sorted(ours - theirs):
            effects.append(Tell(SetMuted(self.id, missing, is_muted=True)))
        if lifted := sorted(theirs - ours):
            effects.append(Tell(SetMuted(self.id, lifted, is_muted=False)))
        return effects

    # What is true of a participant

    def _role_of(self, participant: Participant) -> Role:
        return participant.role(self.given_role(participant.identity))

    def _is_visible(self, identity: str) -> bool:
        participant = self._roster.find(identity)
        return participant is not None and not participant.is_hidden

    def _you(self, identity: str, role: Role) -> You:
        participant = self._roster.find(identity)
        live = self._role_of(participant) if participant else role
        return You(identity=identity, role=live, is_muted=self._standings.is_muted(identity))

    def _stage_full(self) -> CommandError:
        return CommandError(
            "stage_full",
            f"the stage of {self.id!r} holds {self.record.max_speakers} and is full; somebody has to leave it first",
            max_speakers=self.record.max_speakers,
        )

    # What changes

    def _give(self, identity: str, role: Role | None) -> Effect:
        decided = self._standings.give(identity, role)
        self._roster.reseat(identity)
        return decided

    def _mute(self, identities: Sequence[str], *, is_muted: bool, now_s: float) -> list[Effect]:
        effects: list[Effect] = [*self._standings.mute(identities, is_muted=is_muted)]
        if identities:
            effects.append(Tell(SetMuted(self.id, list(identities), is_muted)))
        return [*effects, *self._settle(identities, now_s)]

    # What people are told

    def _settle(self, identities: Iterable[str], now_s: float, *, is_arrival: bool = False) -> list[Effect]:
        """Tells the sfu, the watchers and the participants themselves what has become different about `identities`."""
        effects: list[Effect] = []
        for identity in identities:
            participant = self._roster.find(identity)
            if participant is None or not participant.is_present:
                effects += self._showing.on_participant(identity, None, is_arrival=False)
                continue
            effects += self._settle_stage(participant)
            effects += self._settle_you(participant)
            shown = None if participant.is_hidden else self._resource_of(participant)
            effects += self._showing.on_participant(identity, shown, is_arrival=is_arrival)
        self._showing.on_counts(now_s)
        return effects

    def _settle_stage(self, participant: Participant) -> list[Effect]:
        is_on_stage = self._roster.is_on_stage(participant.identity)
        if participant.is_told_on_stage == is_on_stage:
            return []
        participant.is_told_on_stage = is_on_stage
        return [Tell(SetOnStage(self.id, participant.identity, is_on_stage))]

    def _settle_you(self, participant: Participant) -> list[Effect]:
        you = self._you(participant.identity, "listener")
        before, participant.you = participant.you, you
        if before is None or before == you:
            return []
        return [Notify(participant.identity, "you.changed", you)]

    def _resource_of(self, participant: Participant) -> ParticipantResource:
        is_muted = self._standings.is_muted(participant.identity)
        return participant.resource(role=self._role_of(participant), is_muted=is_muted)
