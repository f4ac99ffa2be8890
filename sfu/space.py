"""One space's media: who may be heard, and who hears it. A machine.

A participant is an identity with any number of sessions: at most one that may send (whip, stage) and some that only
listen (whep). What is true of the participant outlives its sessions differently:

    muted       until unmuted, sessions or none, even before the first one comes
    on stage    until demoted, or until the last session is gone: an absent speaker keeps no seat

The gate of the sending session is open exactly while the participant is on stage and not muted. A session's own words
about muting can only close it: `is_muted=False` in OpenSession does not unmute.

What those who listen follow is `hearing`'s to decide.
"""

from collections.abc import Iterable, Sequence

from sfu.contract.messages import (
    Audience,
    OpenSession,
    SessionClosed,
    SessionConnected,
    SessionState,
    SpaceState,
    Speaking,
)
from sfu.effects import (
    AddSlots,
    AddTrack,
    Announce,
    ClosePeer,
    CloseStage,
    Credentials,
    Effect,
    OpenPeer,
    OpenStage,
    RestartIce,
    SetGate,
    Transport,
)
from sfu.errors import CommandError
from sfu.hearing import Hearing
from sfu.packing import AS_SPOKEN, Packing
from sfu.session import Participant, Session


class Space:
    """Inputs are `on_…`, each returns effects in the order to perform; a CommandError leaves everything as it was."""

    def __init__(
        self,
        name: str,
        *,
        max_speakers: int,
        max_listening_sessions: int,
        audience: Audience = "forward",
        packing: Packing = AS_SPOKEN,
    ) -> None:
        self.name = name
        self._max_speakers = max_speakers
        self._max_listening_sessions = max_listening_sessions
        self._participants: dict[str, Participant] = {}
        self._sessions: dict[str, Session] = {}
        self._muted: set[str] = set()
        self._on_stage: set[str] = set()
        self._hearing = Hearing(name, self._participants, audience=audience, packing=packing)

    def session(self, session: str) -> Session:
        """Raises KeyError."""
        return self._sessions[session]

    def state(self) -> SpaceState:
        return SpaceState(
            space=self.name,
            max_speakers=self._max_speakers,
            muted=sorted(self._muted),
            on_stage=sorted(self._on_stage),
            audience=self._hearing.audience,
        )

    def session_states(self) -> list[SessionState]:
        return [self._session_state(session) for session in self._sessions.values()]

    # Inputs

    def on_opened(self) -> list[Effect]:
        return [OpenStage(self.name)]

    def on_listening_limit_changed(self, max_listening_sessions: int) -> None:
        """From the next session of each participant on."""
        self._max_listening_sessions = max_listening_sessions

    def on_limit_changed(self, max_speakers: int) -> list[Effect]:
        """A lower limit sends nobody off the stage; it holds for the next."""
        self._max_speakers = max_speakers
        return []

    def on_audience_changed(self, audience: Audience) -> list[Effect]:
        return self._hearing.on_audience_changed(audience)

    def on_closed(self) -> list[Effect]:
        closed = self._close_all(list(self._sessions), "space_closed")
        return [*closed, *self._hearing.on_closed(), CloseStage(self.name)]

    def on_session_opened(self, request: OpenSession, transport: Transport) -> list[Effect]:
        """A participant's new sending session replaces the old one, seat and mute staying; of those that only listen
        the oldest makes room. Raises `stage_full`."""
        is_sending = request.receive is not None
        if is_sending and request.is_on_stage:
            self._check_seat(request.identity)
        replaced = self._close_all(self._displaced(request), "replaced", keeps_seat=True)
        self._admit(request, transport)
        if is_sending:
            self._seat(request.identity, is_on_stage=request.is_on_stage)
        if request.is_muted:
            self._muted.add(request.identity)
        opened = self._set_up(self._sessions[request.session])
        return [*replaced, *opened, *self._turn_gates([request.identity])]

    def on_ice_restart(self, session: str, remote_ufrag: str, credentials: Credentials) -> list[Effect]:
        """The same remote fragment said again restarts nothing; the credentials in force are the session's."""
        record = self._sessions[session]
        if record.remote_ufrag == remote_ufrag:
            return []
        record.remote_ufrag = remote_ufrag
        record.credentials = credentials
        return [RestartIce(session, credentials)]

    def on_connected(self, session: str) -> list[Effect]:
        self._sessions[session].is_connected = True
        return [Announce(SessionConnected(session))]

    def on_session_gone(self, session: str, reason: str) -> list[Effect]:
        identity = self._sessions[session].request.identity
        return [*self._close_all([session], reason), *self._hearing.settle([identity])]

    def on_muted(self, identities: Iterable[str], *, is_muted: bool) -> list[Effect]:
        names = list(dict.fromkeys(identities))
        if is_muted:
            self._muted.update(names)
        else:
            self._muted.difference_update(names)
        return self._turn_gates(names)

    def on_stage_changed(self, identity: str, *, is_on_stage: bool) -> list[Effect]:
        """Raises `stage_full`, or `unknown_participant` for a promotion of someone who is not here."""
        if is_on_stage:
            if identity not in self._participants:
                detail = f"{identity!r} has no session in {self.name!r}; promote again once it has joined"
                raise CommandError("unknown_participant", detail)
            self._check_seat(identity)
        self._seat(identity, is_on_stage=is_on_stage)
        return self._turn_gates([identity])

    def on_removed(self, identity: str) -> list[Effect]:
        """Idempotent: of an identity that has no session there is nothing to remove."""
        sessions = list(self._participants.get(identity, Participant()).sessions)
        return [*self._close_all(sessions, "removed"), *self._hearing.settle([identity])]

    def on_voices(self, voices: Sequence[tuple[str, int]]) -> list[Effect]:
        """`voices` are (session, level in dBov), loudest first; those whose gate has closed since are left out."""
        heard = [
            (record.request.identity, level_dbov)
            for session, level_dbov in voices
            if (record := self._sessions.get(session)) is not None and record.is_open
        ]
        return [Announce(Speaking(space=self.name, voices=heard))]

    # Steps

    def _check_seat(self, identity: str) -> None:
        if identity not in self._on_stage and len(self._on_stage) >= self._max_speakers:
            detail = f"{self.name!r} has {len(self._on_stage)} of {self._max_speakers} on stage; demote one first"
            raise CommandError("stage_full", detail)

    def _seat(self, identity: str, *, is_on_stage: bool) -> None:
        if is_on_stage:
            self._on_stage.add(identity)
        else:
            self._on_stage.discard(identity)

    def _displaced(self, request: OpenSession) -> list[str]:
        sessions = self._participants.get(request.identity, Participant()).sessions
        if request.receive is not None:
            return [name for name, record in sessions.items() if record.is_sending]
        listening = [name for name, record in sessions.items() if not record.is_sending]
        return listening[: max(0, len(listening) + 1 - self._max_listening_sessions)]

    def _admit(self, request: OpenSession, transport: Transport) -> None:
        record = Session(
            request=request,
            transport=transport,
            credentials=transport.credentials,
            remote_ufrag=request.remote_ufrag,
        )
        self._sessions[request.session] = record
        self._participants.setdefault(request.identity, Participant()).sessions[request.session] = record
        self._hearing.on_admitted(record)

    def _set_up(self, record: Session) -> list[Effect]:
        request = record.request
        effects: list[Effect] = [
            OpenPeer(request.session, record.transport, request.setup, tuple(request.fingerprints)),
        ]
        if request.receive is not None:
            record.is_open = self._may_be_heard(request.identity)
            effects.append(AddTrack(request.session, self.name, request.receive, record.is_open))
        if record.is_listening:
            effects.append(AddSlots(request.session, tuple(request.send), record.transport.ssrcs))
        return effects

    def _may_be_heard(self, identity: str) -> bool:
        return identity in self._on_stage and identity not in self._muted

    def _turn_gates(self, identities: Iterable[str]) -> list[Effect]:
        """Only those that must move, and what is heard because of it."""
        names = list(identities)
        effects: list[Effect] = []
        for identity in names:
            is_open = self._may_be_heard(identity)
            for session, record in self._participants.get(identity, Participant()).sessions.items():
                if record.is_sending and record.is_open != is_open:
                    record.is_open = is_open
                    effects.append(SetGate(session, is_open))
        return [*effects, *self._hearing.settle(names)]

    def _close_all(self, sessions: Iterable[str], reason: str, *, keeps_seat: bool = False) -> list[Effect]:
        effects: list[Effect] = []
        for session in sessions:
            record = self._sessions.pop(session)
            self._hearing.on_gone(record)
            identity = record.request.identity
            siblings = self._participants[identity].sessions
            del siblings[session]
            if not siblings:
                del self._participants[identity]
                if not keeps_seat:
                    self._on_stage.discard(identity)
            effects += [
                ClosePeer(session),
                Announce(SessionClosed(session=session, space=self.name, identity=identity, reason=reason)),
            ]
        return effects

    def _session_state(self, record: Session) -> SessionState:
        request = record.request
        return SessionState(
            session=request.session,
            space=self.name,
            identity=request.identity,
            kind=request.kind,
            is_connected=record.is_connected,
            is_on_stage=request.identity in self._on_stage,
            is_muted=request.identity in self._muted,
            ufrag=record.credentials.ufrag,
            remote_ufrag=record.remote_ufrag,
            owner=request.owner,
        )
