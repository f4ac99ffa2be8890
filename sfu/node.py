"""All spaces of one sfu, and what each command means to them. A machine.

Commands are idempotent: said twice, the second finds the work done and is answered alike.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from sfu.certificate import parse_expected
from sfu.contract import messages
from sfu.contract.messages import (
    PROTOCOL_VERSION,
    Answer,
    Candidate,
    CloseSession,
    CloseSpace,
    Command,
    Describe,
    Done,
    Drain,
    Fingerprint,
    Hello,
    IceRestarted,
    Load,
    OpenSession,
    OpenSpace,
    ReceiveSection,
    Refused,
    RemoveParticipant,
    SendSection,
    SessionOpened,
    SessionState,
    SetAudience,
    SetMuted,
    SetOnStage,
    Snapshot,
)
from sfu.effects import ClosePeer, Credentials, Effect, Transport
from sfu.errors import CommandError
from sfu.packing import AS_SPOKEN, Packing
from sfu.session import Session
from sfu.space import Space

CNAME = "palco"
"""What the data plane's sender reports say (RFC 3550 §6.5.1): one clock stamps everything that leaves this server."""

MAX_SECTIONS = 32

MAX_MID_BYTES = 40
"""What fits into the data plane's header template; browsers use one or two bytes, a UUID has 36."""

_SHAPES = {
    ("whip", True, False),
    ("whep", False, True),
    ("stage", True, True),
    ("stage", True, False),
    ("stage", False, True),
}
"""Kind of session, whether the client may send, whether it listens."""


class Outcome(Struct, frozen=True):
    answer: Answer
    effects: tuple[Effect, ...] = ()


class Limits(Struct, frozen=True):
    max_sessions: int
    listening_sessions_per_identity: int


class Census(Struct, frozen=True):
    """How many are here now; sessions by kind and state (joining, connected)."""

    spaces: int
    on_stage: int
    muted: int
    sessions: Counter[tuple[str, str]]


class Node:
    """`candidates` are what each worker's peers announce, by worker; `name` is new with every process."""

    def __init__(
        self,
        name: str,
        *,
        fingerprint: Fingerprint,
        candidates: Sequence[Sequence[Candidate]],
        limits: Limits,
        packing: Packing = AS_SPOKEN,
    ) -> None:
        self._name = name
        self._fingerprint = fingerprint
        self._candidates = [list(ours) for ours in candidates]
        self._limits = limits
        self._packing = packing
        self._spaces: dict[str, Space] = {}
        self._home: dict[str, Space] = {}
        self._is_draining = False
        self._ends_at_s: float | None = None
        self._is_overloaded = False
        self._is_still = False
        self._table: Mapping[type[Command], Callable[[Any], Outcome]] = {
            Hello: self._hello,
            OpenSpace: self._open_space,
            CloseSpace: self._close_space,
            CloseSession: self._close_session,
            SetMuted: self._set_muted,
            SetOnStage: self._set_on_stage,
            SetAudience: self._set_audience,
            RemoveParticipant: self._remove_participant,
            Describe: self._describe,
            Drain: self._drain,
        }

    def session(self, session: str) -> Session | None:
        space = self._home.get(session)
        return None if space is None else space.session(session)

    def census(self) -> Census:
        """Counted afresh; for metrics."""
        states = [state for space in self._spaces.values() for state in space.session_states()]
        return Census(
            spaces=len(self._spaces),
            on_stage=sum(len(space.state().on_stage) for space in self._spaces.values()),
            muted=sum(len(space.state().muted) for space in self._spaces.values()),
            sessions=Counter((state.kind, "connected" if state.is_connected else "joining") for state in states),
        )

    def on_strain(self, *, is_overloaded: bool) -> None:
        """Who is in stays; who comes is refused while the workers do not keep up."""
        self._is_overloaded = is_overloaded

    def on_end_foreseen(self, ends_at_s: float) -> None:
        """The process is told to end: nobody new comes in, and who is in may stay until then (seconds since 1970)."""
        self._is_draining = True
        self._ends_at_s = ends_at_s

    def on_limits_changed(self, limits: Limits) -> None:
        """For who comes from now on; nobody is sent away."""
        self._limits = limits
        for space in self._spaces.values():
            space.on_listening_limit_changed(limits.listening_sessions_per_identity)

    def on_standstill(self, *, is_still: bool) -> None:
        """Whether a worker of the data plane has stopped to turn: nobody should be sent here."""
        self._is_still = is_still

    def load(self) -> Load:
        """Whether another session would be taken."""
        reason = self._reason_to_refuse()
        return Load(accepts=not reason, reason=reason, sessions=len(self._home), ends_at_s=self._ends_at_s)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            node=self._name,
            is_draining=self._is_draining,
            spaces=[space.state() for space in self._spaces.values()],
            sessions=[state for space in self._spaces.values() for state in space.session_states()],
        )

    # Commands

    def on_command(self, command: Command) -> Outcome:
        """Any command but the two that need something drawn. A refusal changes nothing."""
        try:
            return self._table[type(command)](command)
        except CommandError as error:
            return _refuse(error)

    def on_open_session(self, command: OpenSession, transport: Transport) -> Outcome:
        """`transport` is used only when the session is new."""
        try:
            if (space := self._home.get(command.session)) is not None:
                return Outcome(self._session_opened(_same(space.session(command.session), command)))
            _check_session(command)
            self._check_room()
            space = self._space(command.space)
            effects = space.on_session_opened(command, transport)
        except CommandError as error:
            return _refuse(error)
        self._home[command.session] = space
        self._forget_closed(effects)
        return Outcome(self._session_opened(space.session(command.session)), tuple(effects))

    def on_restart_ice(self, command: messages.RestartIce, credentials: Credentials) -> Outcome:
        """`credentials` are used only when the remote ones are new."""
        if (space := self._home.get(command.session)) is None:
            return _refuse(CommandError("unknown_session", "the session is gone; the client has to join again"))
        effects = space.on_ice_restart(command.session, command.remote_ufrag, credentials)
        record = space.session(command.session)
        answer = IceRestarted(
            session=command.session,
            ufrag=record.credentials.ufrag,
            pwd=record.credentials.pwd,
            candidates=self._candidates[record.transport.worker],
        )
        return Outcome(answer, tuple(effects))

    def space_sessions(self, space: str) -> list[SessionState] | None:
        """None where there is no such space."""
        return self._spaces[space].session_states() if space in self._spaces else None

    # What the data plane and the handshakes tell; a session that is gone already is no surprise

    def on_connected(self, session: str) -> list[Effect]:
        space = self._home.get(session)
        return [] if space is None else space.on_connected(session)

    def on_session_gone(self, session: str, reason: str) -> list[Effect]:
        space = self._home.pop(session, None)
        return [] if space is None else space.on_session_gone(session, reason)

    def on_expired(self, session: str) -> list[Effect]:
        """Nothing authentic came for too long: after it was connected, or ever."""
        space = self._home.get(session)
        was_connected = space is not None and space.session(session).is_connected
        return self.on_session_gone(session, "expired" if was_connected else "never_connected")

    def on_voices(self, space: str, voices: Sequence[tuple[str, int]]) -> list[Effect]:
        """`voices` are (session, level in dBov), loudest first."""
        return self._spaces[space].on_voices(voices) if space in self._spaces else []

    # The table's rows

    def _hello(self, _: Hello) -> Outcome:
        return Outcome(Hello(version=PROTOCOL_VERSION, node=self._name))

    def _open_space(self, command: OpenSpace) -> Outcome:
        if (known := self._spaces.get(command.space)) is not None:
            changed = known.on_limit_changed(command.max_speakers)
            return self._done([*changed, *known.on_audience_changed(command.audience)])
        space = Space(
            command.space,
            max_speakers=command.max_speakers,
            max_listening_sessions=self._limits.listening_sessions_per_identity,
            audience=command.audience,
            packing=self._packing,
        )
        self._spaces[command.space] = space
        return self._done(space.on_opened())

    def _close_space(self, command: CloseSpace) -> Outcome:
        space = self._spaces.pop(command.space, None)
        return self._done([] if space is None else space.on_closed())

    def _close_session(self, command: CloseSession) -> Outcome:
        return Outcome(Done(), tuple(self.on_session_gone(command.session, "closed")))

    def _set_muted(self, command: SetMuted) -> Outcome:
        return self._done(self._space(command.space).on_muted(command.identities, is_muted=command.is_muted))

    def _set_on_stage(self, command: SetOnStage) -> Outcome:
        space = self._space(command.space)
        return self._done(space.on_stage_changed(command.identity, is_on_stage=command.is_on_stage))

    def _set_audience(self, command: SetAudience) -> Outcome:
        return self._done(self._space(command.space).on_audience_changed(command.audience))

    def _remove_participant(self, command: RemoveParticipant) -> Outcome:
        return self._done(self._space(command.space).on_removed(command.identity))

    def _describe(self, _: Describe) -> Outcome:
        return Outcome(self.snapshot())

    def _drain(self, command: Drain) -> Outcome:
        self._is_draining = command.is_draining or self._ends_at_s is not None
        return Outcome(Done())

    # Steps

    def _reason_to_refuse(self) -> str:
        if self._is_draining:
            return "draining"
        if self._is_still:
            return "standstill"
        is_full = self._is_overloaded or len(self._home) >= self._limits.max_sessions
        return "overloaded" if is_full else ""

    def _check_room(self) -> None:
        if reason := self._reason_to_refuse():
            raise CommandError(reason, "this server takes no further session now; try another or try later")

    def _space(self, name: str) -> Space:
        try:
            return self._spaces[name]
        except KeyError:
            raise CommandError("unknown_space", f"open the space {name!r} first") from None

    def _done(self, effects: Sequence[Effect]) -> Outcome:
        self._forget_closed(effects)
        return Outcome(Done(), tuple(effects))

    def _forget_closed(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ClosePeer):
                self._home.pop(effect.session, None)

    def _session_opened(self, record: Session) -> SessionOpened:
        return SessionOpened(
            session=record.request.session,
            ufrag=record.transport.credentials.ufrag,
            pwd=record.transport.credentials.pwd,
            fingerprint=self._fingerprint,
            setup=record.request.setup,
            candidates=self._candidates[record.transport.worker],
            cname=CNAME,
            ssrcs=list(record.transport.ssrcs),
        )


def _refuse(error: CommandError) -> Outcome:
    return Outcome(Refused(code=error.code, detail=error.detail))


def _same(record: Session, command: OpenSession) -> Session:
    if (record.request.space, record.request.identity) != (command.space, command.identity):
        raise CommandError("bad_command", "this session id belongs to someone else; draw a new one")
    return record


def _check_session(command: OpenSession) -> None:
    """What the data plane would refuse is refused here, before anything is made. Raises `bad_command`."""
    if (command.kind, command.receive is not None, bool(command.send)) not in _SHAPES:
        raise CommandError("bad_command", f"a {command.kind} session cannot have these sections")
    if len(command.send) > MAX_SECTIONS:
        raise CommandError("bad_command", f"at most {MAX_SECTIONS} sections can be sent to one listener")
    parse_expected(command.fingerprints)
    sections: list[ReceiveSection | SendSection] = [*command.send]
    if command.receive is not None:
        sections.append(command.receive)
    for section in sections:
        if not _is_possible(section):
            raise CommandError("bad_command", f"section {section.mid[:MAX_MID_BYTES]!r} has an impossible number")


def _is_possible(section: ReceiveSection | SendSection) -> bool:
    return (
        0 <= section.payload_type <= 127
        and (section.red_payload_type is None or 0 <= section.red_payload_type <= 127)
        and section.red_payload_type != section.payload_type
        and 0 <= section.mid_extension <= 255
        and 0 <= section.level_extension <= 255
        and 1 <= len(section.mid.encode()) <= MAX_MID_BYTES
    )
