"""One space: who is in it, in which role, muted or not, and what follows when that changes. A machine.

It decides and remembers; the sfu enforces. Inputs are `on_...`, each returns effects (`signalling.effects`) or raises a
CommandError and leaves the state as it was. Whether the caller may is asked before, in `signalling.permissions`. What
people do to each other stands in `signalling.acts`; here are a space's beginning and end, sessions, and the sfu.

The live role: what a moderator gave or took stands first, then what the token says (host, cohost, `canPublish`), then
listener. On stage is who may speak and has a session to speak in. A mute belongs to the identity: leaving, returning
and restarts do not lift it. What people see is compared with what they were last shown, so every input simply settles
the participants that it touched.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from sfu.contract.messages import (
    CloseSession,
    CloseSpace,
    OpenSpace,
    SessionState,
    SetAudience,
    SetMuted,
    SpaceState,
)
from signalling.acts import Acts
from signalling.effects import Announce, Effect, Eject, Tell
from signalling.errors import CommandError
from signalling.participants import Admission, Joiner, joiner_of
from signalling.records import EndReason
from signalling.resources import timestamp


class Space(Acts):
    """The machine. `wakes_at_s` says when `on_time` has something to do."""

    @property
    def wakes_at_s(self) -> float | None:
        starts_at_s = self.record.starts_at_s if self.record.state == "scheduled" else None
        due = (self._showing.wakes_at_s, self._attendance.keep_at_s, self.ends_at_s, starts_at_s)
        return min((moment_s for moment_s in due if moment_s is not None), default=None)

    # Beginning, changing, ending

    def on_edit(self, changes: dict[str, Any]) -> list[Effect]:
        """Fields of `SpaceRecord`. Raises CommandError `space_ended`; `already_live` for a start that has been."""
        self._check_is_on()
        if "starts_at_s" in changes and self.is_live:
            raise CommandError("already_live", "the space has begun, so its start cannot be moved")
        before, after = self.record, self._with(**changes)
        effects = self._replace(after)
        if self.is_live and after.audience != before.audience:
            effects.append(Tell(SetAudience(self.id, after.audience)))
        if self.is_live and after.max_on_stage != before.max_on_stage:
            effects.append(Tell(self.opening()))
        return [*effects, Announce("space.changed", self.resource())]

    def on_start(self, now_s: float, *, is_by_schedule: bool = False) -> list[Effect]:
        """Live from now on. Raises CommandError `already_live`, `space_ended`, `space_cancelled`."""
        self._check_is_on()
        if self.is_live:
            raise CommandError("already_live", f"space {self.id!r} is live already")
        # Nobody hosts yet what began by itself: whoever is late may be so for a while.
        effects = self._replace(self._with(started_at_s=now_s, hostless_since_s=now_s if is_by_schedule else None))
        return [*effects, Tell(self.opening()), Announce("space.started", self.resource())]

    def on_cancel(self, now_s: float) -> list[Effect]:
        """It will not take place. Raises CommandError `already_live`, `space_ended`, `space_cancelled`."""
        self._check_is_on()
        if self.is_live:
            raise CommandError("already_live", f"space {self.id!r} has begun; end it instead")
        effects = self._replace(self._with(ended_at_s=now_s, end_reason="cancelled"))
        return [*effects, Announce("space.cancelled", self.resource()), Eject(None)]

    def on_end(self, now_s: float, *, reason: EndReason = "ended") -> list[Effect]:
        """For everyone. Raises CommandError `space_ended`, `space_cancelled`."""
        self._check_is_on()
        effects = self._replace(self._with(ended_at_s=now_s, end_reason=reason))
        for session in self._roster.sessions():
            self._roster.drop(session.session)
        return [*effects, Tell(CloseSpace(self.id)), Announce("space.ended", self.resource()), Eject(None)]

    def on_time(self, now_s: float) -> list[Effect]:
        if self.is_over:
            return []
        starts_at_s = self.record.starts_at_s
        if self.record.state == "scheduled" and starts_at_s is not None and now_s >= starts_at_s:
            return self.on_start(now_s, is_by_schedule=True)
        if self.ends_at_s is not None and now_s >= self.ends_at_s:
            return self.on_end(now_s, reason="host_gone")
        effects: list[Effect] = []
        if self._attendance.keep_at_s is not None and now_s >= self._attendance.keep_at_s:
            effects += self._replace(self._counted())
        return [*effects, *self._showing.on_time(self.counts(), now_s)]

    def opening(self) -> OpenSpace:
        """What the sfu is told when it begins."""
        return OpenSpace(self.id, self.record.max_on_stage, self.record.audience)

    # Sessions

    def on_session_limit_changed(self, sessions_per_identity: int) -> None:
        """For who joins from now on; nobody is sent away."""
        self._sessions_per_identity = sessions_per_identity

    def on_join(self, joiner: Joiner, *, session: str, now_s: float) -> Admission:
        """A place for a session about to be opened at the sfu; ends in `on_session_opened` or `on_session_closed`.

        Raises CommandError: `space_ended`, `not_started`, `removed`, `blocked`, `ticket_needed`, `not_on_stage`,
        `duplicate_identity`, `too_many_sessions`, `stage_full`.
        """
        self.check_admission(joiner.identity, joiner.issued_at_s)
        self._check_has_begun()
        if self.record.ticket and joiner.authority is None:
            self.tickets.check(joiner.identity, self.record.ticket)
        standing = self._standings.of(joiner.identity)
        if joiner.kind == "whip" and standing.role == "listener" and not standing.has_stepped_down:
            raise CommandError("not_on_stage", "a moderator moved you to the audience; raise your hand to speak again")
        self._check_sessions(joiner)
        was_on_stage = self._roster.is_on_stage(joiner.identity)
        participant = self._roster.enter(joiner, session=session, joined_at_s=now_s)
        is_on_stage = self._roster.is_on_stage(joiner.identity)
        if is_on_stage and not was_on_stage:
            try:
                self._check_seat(joiner.identity, self._role_of(participant))
            except CommandError:
                self._roster.drop(session)
                raise
        participant.is_told_on_stage = is_on_stage
        return Admission(
            is_on_stage=is_on_stage,
            is_muted=self._standings.is_silent(joiner.identity),
            owner=msgspec.json.encode(joiner.owner(participant.joined_at_s)).decode(),
        )

    def _check_has_begun(self) -> None:
        if self.is_live:
            return
        starts_at_s = self.record.starts_at_s or self.record.created_at_s
        raise CommandError(
            "not_started", f"space {self.id!r} has not begun; come back then", starts_at=timestamp(starts_at_s)
        )

    def _check_sessions(self, joiner: Joiner) -> None:
        present = self._roster.find(joiner.identity)
        if present is None:
            return
        if joiner.key != present.key:
            raise CommandError(
                "duplicate_identity", f"{joiner.identity!r} is here already, by the word of another application"
            )
        if len(present.sessions) >= self._sessions_per_identity:
            raise CommandError(
                "too_many_sessions",
                f"{joiner.identity!r} has {len(present.sessions)} sessions here; close one first",
                limit=self._sessions_per_identity,
            )

    def on_session_opened(
        self, session: str, *, ufrag: str, now_s: float, follows: frozenset[str] = frozenset()
    ) -> list[Effect]:
        """The sfu has it. A session that was removed in between is closed again. `follows` are a host's, by token."""
        opened = self._roster.session(session)
        if opened is None:
            return [Tell(CloseSession(session))]
        opened.ufrag = ufrag
        opened.is_open = True
        identity = opened.identity
        if opened.authority == "host":
            self._host_follows |= follows
        effects: list[Effect] = [*self.tickets.use(identity, now_s)] if self.record.ticket else []
        standing = self._standings.of(identity)
        if opened.kind == "whip" and (standing.is_self_muted or standing.has_stepped_down):
            # Whoever publishes has switched on the microphone, and means to be heard.
            if standing.has_stepped_down:
                effects += self._change(identity, role=None, has_stepped_down=False)
            effects += self._silence([identity], is_self_muted=False)
        return [*effects, *self._settle([identity], now_s, is_arrival=True)]

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

    def on_relations(self, identity: str, *, blocks: frozenset[str], is_followed: bool, now_s: float) -> list[Effect]:
        """The operator's callback has said whom they blocked and whether the host follows them."""
        self._roster.know(identity, blocks=blocks, is_followed=is_followed)
        return self._settle([identity], now_s)

    # The audience

    def on_reaction(self, emoji: str, now_s: float) -> list[Effect]:
        return [*self._showing.on_reaction(emoji, now_s)]

    def on_speaking(self, voices: Iterable[tuple[str, int]], now_s: float) -> list[Effect]:
        """The sfu's report of who is heard, loudest first, in dBov."""
        known = [(identity, level) for identity, level in voices if self._is_visible(identity)]
        return [*self._showing.on_voices(known, now_s)]

    # Reconciliation

    def on_snapshot(
        self, state: SpaceState | None, sessions: Iterable[SessionState], *, is_first: bool, now_s: float
    ) -> list[Effect]:
        """Brings both sides together after either restarted; `state` is None where the sfu does not know the space.

        `is_first` since this process started: sessions unknown to us are then ours of before, and mutes and demotions
        that only the sfu remembers are kept (a mute is never lost). Later, what we do not know was never acknowledged:
        it is closed.
        """
        if not self.is_live:
            return [] if state is None else [Tell(CloseSpace(self.id))]
        effects: list[Effect] = []
        wanted = self.opening()
        if state is None:
            state = SpaceState(
                space=self.id, max_speakers=wanted.max_speakers, muted=[], on_stage=[], audience=wanted.audience
            )
            effects.append(Tell(wanted))
        elif (state.max_speakers, state.audience) != (wanted.max_speakers, wanted.audience):
            effects.append(Tell(wanted))
        if is_first:
            unknown = [identity for identity in state.muted if not self._standings.is_silent(identity)]
            effects += self._standings.change(unknown, is_muted=True)
        reported = {session.session: session for session in sessions}
        gone = [session for session in self._roster.sessions() if session.session not in reported]
        for session in gone:
            self._roster.drop(session.session)
        for report in reported.values():
            effects += self._reconcile_session(report, is_first=is_first)
        if is_first:
            effects += self._take_over_demotions(set(state.on_stage))
        for participant in self._roster:
            participant.is_told_on_stage = participant.identity in state.on_stage
        effects += self._reconcile_mutes(set(state.muted))
        self._awaits_sfu = False
        touched = [
            *(person.identity for person in self._roster),
            *(session.identity for session in gone),
            *self._standings.hands(),
        ]
        return effects + self._settle(dict.fromkeys(touched), now_s)

    def _reconcile_session(self, report: SessionState, *, is_first: bool) -> list[Effect]:
        known = self._roster.session(report.session)
        if known is None:
            found = joiner_of(report) if is_first else None
            if found is None or not self._standings.admits(found[0].identity, found[0].issued_at_s):
                return [Tell(CloseSession(report.session))]
            joiner, joined_at_s = found
            known = self._roster.enter(joiner, session=report.session, joined_at_s=joined_at_s).sessions[report.session]
            self._attendance.on_found(joiner.identity)
        known.is_open = True
        known.is_connected = report.is_connected
        known.ufrag = report.ufrag
        known.remote_ufrag = report.remote_ufrag
        return []

    def _take_over_demotions(self, theirs: set[str]) -> list[Effect]:
        """Who is off the stage at the sfu was moved to the audience, or brought up: neither was acknowledged."""
        down = [identity for identity in self._roster.on_stage() if identity not in theirs]
        return [
            effect
            for identity in down
            if self.role_of(identity) != "host"
            for effect in self._change(identity, role="listener", has_stepped_down=False)
        ]

    def _reconcile_mutes(self, theirs: set[str]) -> list[Effect]:
        ours = self._standings.silent()
        effects: list[Effect] = []
        if missing := sorted(ours - theirs):
            effects.append(Tell(SetMuted(self.id, missing, is_muted=True)))
        if lifted := sorted(theirs - ours):
            effects.append(Tell(SetMuted(self.id, lifted, is_muted=False)))
        return effects
