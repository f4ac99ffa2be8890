"""One space: who is in it, in which role, muted or not, and what follows when that changes. A machine.

It decides and remembers; the sfu enforces. Inputs are `on_...`, each returns effects (`signalling.effects`) or raises a
CommandError and leaves the state as it was. Whether the caller may is asked before, in `signalling.permissions`.

The live role: what a moderator gave or took stands first, then what the token says (host, cohost, `canPublish`), then
listener. On stage is who may speak and has a session to speak in. A mute belongs to the identity: leaving, returning
and restarts do not lift it. What people see is compared with what they were last shown, so every input simply settles
the participants that it touched.
"""

from collections.abc import Iterable, Sequence
from typing import Final

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
from signalling.effects import (
    Announce,
    Effect,
    Eject,
    KeepExclusion,
    KeepSpace,
    KeepStanding,
    Notify,
    Tell,
)
from signalling.errors import CommandError
from signalling.participants import Admission, Joiner, Participant, Session
from signalling.permissions import Role
from signalling.pulse import Pulse
from signalling.records import ExclusionRecord, Owner, SpaceRecord, StandingRecord
from signalling.resources import (
    SILENCE_DBOV,
    Counts,
    Left,
    Nothing,
    ParticipantResource,
    SnapshotEvent,
    SpaceResource,
    Voice,
    You,
    timestamp,
)

MAX_SNAPSHOT_HANDS: Final = 100
"""Raised hands shown at once in a snapshot; a host works through them from the front."""


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
        self._standings = {standing.identity: standing for standing in standings}
        self._exclusions = {exclusion.identity: exclusion for exclusion in exclusions}
        self._sessions_per_identity = sessions_per_identity
        self._participants: dict[str, Participant] = {}
        self._sessions: dict[str, Session] = {}
        self._shown: dict[str, ParticipantResource] = {}
        self._levels: dict[str, int] = {}
        self._pulse = Pulse()

    # What there is to see

    @property
    def id(self) -> str:
        return self.record.space

    @property
    def is_live(self) -> bool:
        return self.record.ended_at_s is None

    @property
    def wakes_at_s(self) -> float | None:
        return self._pulse.wakes_at_s

    def session(self, session: str) -> Session | None:
        return self._sessions.get(session)

    def counts(self) -> Counts:
        speakers = len(self.on_stage())
        return Counts(speakers=speakers, listeners=len(self._participants) - speakers)

    def resource(self) -> SpaceResource:
        return space_resource(self.record, self.counts())

    def participants(self) -> list[ParticipantResource]:
        """Everyone but the hidden: moderators and speakers first, then the others as they came."""
        visible = [participant for participant in self._participants.values() if not participant.is_hidden]
        resources = [self._resource_of(participant) for participant in visible if participant.is_present]
        return sorted(resources, key=lambda resource: resource.role == "listener")

    def on_stage(self) -> list[str]:
        """Who may be heard now, hidden ones included."""
        return [participant.identity for participant in self._participants.values() if self._is_on_stage(participant)]

    def participant(self, identity: str) -> ParticipantResource:
        """As moderators see it, hidden or not. Raises CommandError `unknown_participant`."""
        return self._resource_of(self._participant(identity))

    def given_role(self, identity: str) -> Role | None:
        """What a moderator gave or took; None where the token alone counts."""
        standing = self._standings.get(identity)
        return standing.role if standing else None

    def role_of(self, identity: str) -> Role:
        """The rank of `identity` as a target of moderation, here or not."""
        if participant := self._participants.get(identity):
            return self._role_of(participant)
        return "host" if identity == self.record.host else self.given_role(identity) or "listener"

    def snapshot_for(self, identity: str, role: Role) -> SnapshotEvent:
        """What a new watcher is shown; `role` is the watcher's by token, for when he has no session."""
        hands = [shown for shown in self._shown.values() if shown.role == "listener"]
        prominent = [shown for shown in self._shown.values() if shown.role != "listener"]
        people = [self._with_level(shown) for shown in prominent + hands[:MAX_SNAPSHOT_HANDS]]
        return SnapshotEvent(space=self.resource(), participants=people, you=self._you(identity, role))

    def check_admission(self, identity: str, issued_at_s: float | None) -> None:
        """Raises CommandError `space_ended`, `blocked` or `removed`, for tokens from before the removal."""
        if not self.is_live:
            raise CommandError("space_ended", f"space {self.id!r} has ended")
        exclusion = self._exclusions.get(identity)
        if exclusion is None:
            return
        if exclusion.is_block:
            raise CommandError("blocked", f"{identity!r} was blocked from space {self.id!r}")
        if issued_at_s is None or issued_at_s <= exclusion.at_s:
            raise CommandError(
                "removed", f"{identity!r} was removed from space {self.id!r}; only a newly issued token lets it back in"
            )

    # Sessions

    def on_join(self, joiner: Joiner, *, session: str, now_s: float) -> Admission:
        """A place for a session about to be opened at the sfu; ends in `on_session_opened` or `on_session_closed`.

        Raises CommandError: `space_ended`, `removed`, `blocked`, `not_on_stage`, `too_many_sessions`, `stage_full`.
        """
        self.check_admission(joiner.identity, joiner.issued_at_s)
        given = self.given_role(joiner.identity)
        if joiner.kind == "whip" and given == "listener":
            raise CommandError("not_on_stage", "a moderator moved you to the audience; raise your hand to speak again")
        present = self._participants.get(joiner.identity)
        if present and len(present.sessions) >= self._sessions_per_identity:
            raise CommandError(
                "too_many_sessions",
                f"{joiner.identity!r} has {len(present.sessions)} sessions here; close one first",
                limit=self._sessions_per_identity,
            )
        was_on_stage = present is not None and self._is_on_stage(present)
        self._enter(joiner, session=session, joined_at_s=present.joined_at_s if present else now_s)
        participant = self._participants[joiner.identity]
        if not was_on_stage and self._is_on_stage(participant) and self._is_stage_overfull():
            self._drop(session)
            raise self._stage_full()
        participant.is_told_on_stage = self._is_on_stage(participant)
        return Admission(
            is_on_stage=participant.is_told_on_stage,
            is_muted=self._is_muted(joiner.identity),
            owner=msgspec.json.encode(joiner.owner(participant.joined_at_s)).decode(),
        )

    def on_session_opened(self, session: str, *, ufrag: str, now_s: float) -> list[Effect]:
        """The sfu has it. A session that was removed in between is closed again."""
        opened = self._sessions.get(session)
        if opened is None:
            return [Tell(CloseSession(session))]
        opened.ufrag = ufrag
        opened.is_open = True
        return self._settle([opened.identity], now_s, is_arrival=True)

    def on_session_connected(self, session: str, now_s: float) -> list[Effect]:
        if connected := self._sessions.get(session):
            connected.is_connected = True
            return self._settle([connected.identity], now_s)
        return []

    def on_ice_restarted(self, session: str, *, ufrag: str, remote_ufrag: str) -> list[Effect]:
        if restarted := self._sessions.get(session):
            restarted.ufrag = ufrag
            restarted.remote_ufrag = remote_ufrag
        return []

    def on_session_closed(self, session: str, now_s: float) -> list[Effect]:
        """Also for one that the sfu refused to open."""
        closed = self._sessions.get(session)
        if closed is None:
            return []
        self._drop(session)
        return self._settle([closed.identity], now_s)

    # Moderation

    def on_mute(self, identity: str, *, is_muted: bool, now_s: float) -> list[Effect]:
        self._participant(identity)
        return [*self._mute([identity], is_muted=is_muted), *self._settle([identity], now_s)]

    def on_mute_all(self, identities: Sequence[str], now_s: float) -> list[Effect]:
        """Mutes `identities`, at the packet in one step."""
        return [*self._mute(identities, is_muted=True), *self._settle(identities, now_s)]

    def on_promote(self, identity: str, role: Role, now_s: float) -> list[Effect]:
        """On stage, as speaker or cohost. Raises CommandError `stage_full`, `unknown_participant`."""
        participant = self._participant(identity)
        before = self._standings.get(identity)
        was_on_stage = self._is_on_stage(participant)
        effects = self._give(identity, role)
        is_crowded = not was_on_stage and self.counts().speakers + (not self._is_on_stage(participant)) > self._places
        if is_crowded:
            self._standings.pop(identity)
            if before:
                self._standings[identity] = before
            raise self._stage_full()
        participant.has_raised_hand = False
        participant.is_invited = False
        return [*effects, *self._settle([identity], now_s)]

    def on_demote(self, identity: str, now_s: float) -> list[Effect]:
        """Back to the audience: heard no more, whatever the token says, until promoted."""
        self._participant(identity)
        return [*self._give(identity, "listener"), *self._settle([identity], now_s)]

    def on_invite(self, identity: str) -> list[Effect]:
        participant = self._participant(identity)
        participant.is_invited = True
        return [Notify(identity, "you.invited", Nothing())]

    def on_accept(self, identity: str, now_s: float) -> list[Effect]:
        participant = self._participant(identity)
        if not participant.is_invited:
            raise CommandError("not_invited", "nobody invited you to the stage; raise your hand to ask")
        return self.on_promote(identity, "speaker", now_s)

    def on_remove(self, identity: str, *, is_block: bool, now_s: float) -> list[Effect]:
        """Out, and kept out: for good, or until a token is issued after this. Once more is no error.

        Whoever has left can still be blocked, but not removed.
        """
        if not is_block and identity not in self._exclusions:
            self._participant(identity)
        earlier = self._exclusions.get(identity)
        exclusion = ExclusionRecord(identity, now_s, is_block or (earlier is not None and earlier.is_block))
        self._exclusions[identity] = exclusion
        effects: list[Effect] = [Tell(RemoveParticipant(self.id, identity)), KeepExclusion(exclusion)]
        if self.given_role(identity) is not None:
            effects += self._give(identity, None)
        if participant := self._participants.get(identity):
            for session in list(participant.sessions):
                self._drop(session)
        return [
            *effects,
            *self._settle([identity], now_s),
            Notify(identity, "you.removed", Nothing()),
            Eject(identity),
        ]

    # The audience

    def on_hand(self, identity: str, *, is_raised: bool, now_s: float) -> list[Effect]:
        participant = self._participant(identity)
        participant.has_raised_hand = is_raised and not self._is_on_stage(participant)
        return self._settle([identity], now_s)

    def on_reaction(self, emoji: str, now_s: float) -> list[Effect]:
        return list(self._pulse.on_reaction(emoji, now_s))

    def on_speaking(self, voices: Iterable[tuple[str, int]], now_s: float) -> list[Effect]:
        """The sfu's report of who is heard, loudest first; of two tracks of one identity the louder counts."""
        levels: dict[str, int] = {}
        for identity, level_dbov in voices:
            participant = self._participants.get(identity)
            if participant and not participant.is_hidden:
                levels[identity] = max(levels.get(identity, SILENCE_DBOV), level_dbov)
        self._levels = levels
        return list(self._pulse.on_voices([Voice(identity, level) for identity, level in levels.items()], now_s))

    # The space itself

    def on_rename(self, title: str) -> list[Effect]:
        self.record = msgspec.structs.replace(self.record, title=title)
        return [KeepSpace(self.record), Announce("space.changed", self.resource())]

    def on_end(self, now_s: float) -> list[Effect]:
        self.record = msgspec.structs.replace(self.record, ended_at_s=now_s)
        for session in list(self._sessions):
            self._drop(session)
        ending = Announce("space.ended", self.resource())
        return [Tell(CloseSpace(self.id)), KeepSpace(self.record), ending, Eject(None)]

    def on_time(self, now_s: float) -> list[Effect]:
        return list(self._pulse.on_time(self.counts(), now_s))

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
            effects.append(Tell(OpenSpace(self.id, self.record.max_speakers)))
        elif is_first:
            missed = [identity for identity in state.muted if not self._is_muted(identity)]
            effects += [effect for effect in self._mute(missed, is_muted=True) if isinstance(effect, KeepStanding)]
        reported = {session.session: session for session in sessions}
        gone = [session for session in self._sessions.values() if session.session not in reported]
        for session in gone:
            self._drop(session.session)
        for report in reported.values():
            effects += self._reconcile_session(report, is_first=is_first)
        effects += self._reconcile_mutes(state)
        on_stage = set(state.on_stage) if state else set()
        for participant in self._participants.values():
            participant.is_told_on_stage = participant.identity in on_stage
        return effects + self._settle({*self._participants, *(session.identity for session in gone)}, now_s)

    def _reconcile_session(self, report: SessionState, *, is_first: bool) -> list[Effect]:
        known = self._sessions.get(report.session)
        if known is None:
            joiner = _joiner_of(report) if is_first else None
            if joiner is None or not self._is_admissible(joiner):
                return [Tell(CloseSession(report.session))]
            self._enter(joiner, session=report.session, joined_at_s=_owner_of(report).joined_at_s)
            known = self._sessions[report.session]
        known.is_open = True
        known.is_connected = report.is_connected
        known.ufrag = report.ufrag
        known.remote_ufrag = report.remote_ufrag
        return []

    def _reconcile_mutes(self, state: SpaceState | None) -> list[Effect]:
        ours = {standing.identity for standing in self._standings.values() if standing.is_muted}
        theirs = set(state.muted) if state else set()
        effects: list[Effect] = []
        if missing := sorted(ours - theirs):
            effects.append(Tell(SetMuted(self.id, missing, is_muted=True)))
        if lifted := sorted(theirs - ours):
            effects.append(Tell(SetMuted(self.id, lifted, is_muted=False)))
        return effects

    def _is_admissible(self, joiner: Joiner) -> bool:
        try:
            self.check_admission(joiner.identity, joiner.issued_at_s)
        except CommandError:
            return False
        return True

    # What is true of a participant

    @property
    def _places(self) -> int:
        return self.record.max_speakers

    def _is_muted(self, identity: str) -> bool:
        standing = self._standings.get(identity)
        return standing is not None and standing.is_muted

    def _role_of(self, participant: Participant) -> Role:
        given = self.given_role(participant.identity)
        if given == "listener":
            return "listener"
        return participant.authority or given or ("speaker" if participant.speaks_by_token else "listener")

    def _is_on_stage(self, participant: Participant) -> bool:
        given = self.given_role(participant.identity)
        if given is None:
            return participant.speaks_by_token
        return given != "listener" and participant.sends

    def _is_stage_overfull(self) -> bool:
        return self.counts().speakers > self._places

    def _stage_full(self) -> CommandError:
        return CommandError(
            "stage_full",
            f"the stage of space {self.id!r} holds {self._places} and is full; somebody has to leave it first",
            max_speakers=self._places,
        )

    def _participant(self, identity: str) -> Participant:
        participant = self._participants.get(identity)
        if participant is None or not participant.is_present:
            raise unknown_participant(identity)
        return participant

    def _you(self, identity: str, role: Role) -> You:
        participant = self._participants.get(identity)
        live = self._role_of(participant) if participant else role
        return You(identity=identity, role=live, is_muted=self._is_muted(identity))

    # What changes

    def _enter(self, joiner: Joiner, *, session: str, joined_at_s: float) -> None:
        participant = self._participants.get(joiner.identity)
        if participant is None:
            participant = Participant(identity=joiner.identity, joined_at_s=joined_at_s)
            self._participants[joiner.identity] = participant
        opening = joiner.session(session)
        participant.sessions[session] = opening
        self._sessions[session] = opening

    def _drop(self, session: str) -> None:
        dropped = self._sessions.pop(session)
        participant = self._participants[dropped.identity]
        del participant.sessions[session]
        if not participant.sessions:
            del self._participants[dropped.identity]
            self._levels.pop(dropped.identity, None)

    def _give(self, identity: str, role: Role | None) -> list[Effect]:
        standing = StandingRecord(identity, role, self._is_muted(identity))
        self._standings[identity] = standing
        return [KeepStanding(standing)]

    def _mute(self, identities: Sequence[str], *, is_muted: bool) -> list[Effect]:
        effects: list[Effect] = []
        if identities:
            effects.append(Tell(SetMuted(self.id, list(identities), is_muted)))
        for identity in identities:
            if is_muted != self._is_muted(identity):
                standing = StandingRecord(identity, self.given_role(identity), is_muted)
                self._standings[identity] = standing
                effects.append(KeepStanding(standing))
        return effects

    # What people are told

    def _settle(self, identities: Iterable[str], now_s: float, *, is_arrival: bool = False) -> list[Effect]:
        """Tells the sfu, the watchers and the participants themselves what has become different about `identities`."""
        effects: list[Effect] = []
        for identity in identities:
            participant = self._participants.get(identity)
            if participant and participant.is_present:
                effects += self._settle_stage(participant)
                effects += self._settle_you(participant)
            effects += self._settle_roster(identity, participant, is_arrival=is_arrival)
        self._pulse.on_counts(now_s)
        return effects

    def _settle_stage(self, participant: Participant) -> list[Effect]:
        is_on_stage = self._is_on_stage(participant)
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

    def _settle_roster(self, identity: str, participant: Participant | None, *, is_arrival: bool) -> list[Effect]:
        shown = self._shown.get(identity)
        if participant is None or participant.is_hidden or not participant.is_present:
            if shown is None:
                return []
            del self._shown[identity]
            return [Announce("participant.left", Left(identity))]
        now = self._silent_resource_of(participant)
        if now.role == "listener" and not now.has_raised_hand:
            # The audience is counted, not listed: one who goes back to it is shown a last time.
            self._shown.pop(identity, None)
            return [Announce("participant.changed", now)] if shown else []
        self._shown[identity] = now
        if shown == now:
            return []
        return [Announce("participant.joined" if shown is None and is_arrival else "participant.changed", now)]

    def _resource_of(self, participant: Participant) -> ParticipantResource:
        return self._with_level(self._silent_resource_of(participant))

    def _with_level(self, resource: ParticipantResource) -> ParticipantResource:
        level_dbov = self._levels.get(resource.identity)
        if level_dbov is None:
            return resource
        return msgspec.structs.replace(resource, is_speaking=True, level_dbov=level_dbov)

    def _silent_resource_of(self, participant: Participant) -> ParticipantResource:
        """Without the level, which has events of its own."""
        return ParticipantResource(
            identity=participant.identity,
            name=participant.name,
            role=self._role_of(participant),
            is_muted=self._is_muted(participant.identity),
            is_connected=participant.is_connected,
            has_raised_hand=participant.has_raised_hand,
            joined_at=timestamp(participant.joined_at_s),
        )


def space_resource(record: SpaceRecord, counts: Counts) -> SpaceResource:
    """A space as the API shows it, live or ended."""
    return SpaceResource(
        id=record.space,
        title=record.title,
        state="live" if record.ended_at_s is None else "ended",
        audience=record.audience,
        host=record.host,
        created_at=timestamp(record.created_at_s),
        max_speakers=record.max_speakers,
        counts=counts,
    )


def unknown_participant(identity: str) -> CommandError:
    return CommandError("unknown_participant", f"{identity!r} is not in this space", identity=identity)


def _owner_of(report: SessionState) -> Owner:
    return msgspec.json.decode(report.owner, type=Owner)


def _joiner_of(report: SessionState) -> Joiner | None:
    """Whose session it is; None where its owner is not of our writing."""
    try:
        owner = _owner_of(report)
    except msgspec.DecodeError:
        return None
    return Joiner(
        identity=report.identity,
        name=owner.name,
        authority=owner.authority,
        can_publish=owner.can_publish,
        is_hidden=owner.is_hidden,
        issued_at_s=owner.issued_at_s,
        kind=report.kind,
        remote_ufrag=report.remote_ufrag,
        mid=owner.mid,
    )
