"""Between the machines and the data plane: commands and events in, effects and reports out. Edge (loop, randomness).

Commands are obeyed in the order in which they come, within the call that brings them. An answer of `Done` waits for the
data plane's barrier, and for the mixer where there is one: when signalling reads it, the last packet that the command
forbids has left the machine.

DTLS is served in slices: a storm of handshakes (0.3 ms of CPU each) never keeps a command waiting for longer than one.
"""

import asyncio
import base64
import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import structlog

from sfu._dataplane import Dataplane
from sfu.association import Left, Send
from sfu.contract.messages import (
    Answer,
    Command,
    Done,
    Inspect,
    Load,
    OpenSession,
    Refused,
    Report,
    RestartIce,
    SessionClosed,
    SessionConnected,
    SessionOpened,
)
from sfu.effects import Announce, Credentials, Effect, Transport
from sfu.errors import Bug
from sfu.handshake import Established, Failed
from sfu.handshakes import Effect as DtlsEffect
from sfu.handshakes import Handshakes
from sfu.inquiries import Inquiries
from sfu.join_watch import JoinWatch
from sfu.node import Node
from sfu.performer import Performer
from sfu.strain import Strain
from sfu.tally import Tally

if TYPE_CHECKING:
    from sfu._dataplane import Event  # a type of the stub alone

SLICE_S: Final = 0.002
"""How long DTLS may hold the loop before other input gets a turn; a mute is to be in force within 5 ms."""

STILL_AFTER_S: Final = 3.0

GOODBYE_WITHIN_S: Final = 1.0

UFRAG_BYTES: Final = 9
PWD_BYTES: Final = 18
"""72 and 144 random bits, in base64, whose characters are ice-chars: above the 24 and 128 of RFC 8445 §5.3."""

log = structlog.get_logger("sfu.relay")


class Relay:
    """Call everything from the event loop's thread."""

    def __init__(
        self,
        dataplane: Dataplane,
        *,
        node: Node,
        handshakes: Handshakes,
        performer: Performer,
        tally: Tally,
        watch: JoinWatch,
        announce: Callable[[Report], None],
    ) -> None:
        self._dataplane = dataplane
        self._node = node
        self._handshakes = handshakes
        self._performer = performer
        self._tally = tally
        self._watch = watch
        self._tell_signalling = announce
        self._inquiries = Inquiries()
        self._pulse_since_s: float | None = None
        self._strain = Strain()
        self._awaiting: dict[int, Callable[[], None]] = {}
        self._dtls: deque[tuple[int, bytes]] = deque()
        self._is_dtls_due = False
        self._alarm: asyncio.Handle | None = None
        self._alarm_s: float | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(dataplane.fileno(), self._on_readable)

    async def stop(self) -> None:
        """Says goodbye to every peer, waits until that has left the machine, and ends the workers."""
        for session in self._performer.sessions:
            self._performer.close_peer(session)
        gone = asyncio.Event()
        self._after_barrier(gone.set)
        try:
            await asyncio.wait_for(gone.wait(), GOODBYE_WITHIN_S)
        except TimeoutError:
            log.warning("stopped before every goodbye was out")
        self._loop.remove_reader(self._dataplane.fileno())
        if self._alarm is not None:
            self._alarm.cancel()
        self._dataplane.close()

    def load(self) -> Load:
        """Asked for once a second; that is also when the workers are asked whether they live, and how late they are."""
        self._feel_pulse()
        self._strain.on_counters(self._dataplane.counters())
        self._node.on_strain(is_overloaded=self._strain.is_overloaded)
        return self._node.load()

    def _feel_pulse(self) -> None:
        """A barrier comes back within a turn of every worker; one that does not means a worker that stands still."""
        now_s = self._loop.time()
        if self._pulse_since_s is None:
            self._pulse_since_s = now_s
            self._after_barrier(self._on_pulse)
        elif now_s - self._pulse_since_s > STILL_AFTER_S:
            self._node.on_standstill(is_still=True)

    def _on_pulse(self) -> None:
        self._pulse_since_s = None
        self._node.on_standstill(is_still=False)

    def obey(self, command: Command, reply: Callable[[Answer], None]) -> None:
        """Performs `command` at once and calls `reply` exactly once, at the latest when it is in force."""
        match command:
            case Inspect():
                self._inspect(command, reply)
                return
            case OpenSession():
                outcome = self._node.on_open_session(command, self._draw_transport(command))
                if isinstance(outcome.answer, SessionOpened):
                    self._watch.opened(command)
            case RestartIce():
                outcome = self._node.on_restart_ice(command, _draw_credentials())
            case _:
                outcome = self._node.on_command(command)
        answer = outcome.answer
        try:
            self._perform(outcome.effects)
        except Exception as error:  # noqa: BLE001 - a bug in one command must not end the connection that brings all
            answer = self._give_up(command, error)
        self._tally.count_command(type(command).__name__, answer.code if isinstance(answer, Refused) else "done")
        if isinstance(answer, Done):
            self._performer.when_hushed(lambda: self._after_barrier(lambda: reply(answer)))
        else:
            reply(answer)

    def _inspect(self, command: Inspect, reply: Callable[[Answer], None]) -> None:
        states = self._node.space_sessions(command.space)
        if states is None:
            reply(Refused(code="unknown_space", detail="there is no such space"))
            return
        asked = self._inquiries.on_asked(
            command.space,
            states,
            peers=self._performer.peers,
            limit=command.sessions,
            now_s=self._loop.time(),
            answer=reply,
        )
        for peer in asked:
            self._dataplane.request_report(peer)
        if (until_s := self._inquiries.wakes_at_s) is not None:
            self._loop.call_at(until_s, lambda: self._inquiries.on_time(self._loop.time()))

    def _give_up(self, command: Command, error: Exception) -> Refused:
        """A half-performed command: what it began to open is closed again."""
        log.error("bug", command=type(command).__name__, exc_info=error)
        if isinstance(command, OpenSession):
            self._perform(self._node.on_session_gone(command.session, "closed"))
        return Refused(code="bad_command", detail="the sfu met a bug of its own over this command; see its log")

    # Events of the data plane

    def _on_readable(self) -> None:
        for event in self._dataplane.events():
            try:
                self._on_event(event)
            except Exception as error:  # noqa: BLE001 - one participant's trouble must not become another's
                self._contain(error, kind=event[0], peer=event[1])
        self._serve_dtls_soon()
        self._set_alarm()

    def _on_event(self, event: "Event") -> None:
        match event:
            case ("dtls", peer, datagram):
                self._dtls.append((peer, datagram))
            case ("nominated", peer, _, _):
                if (session := self._performer.session_of(peer)) is not None:
                    self._watch.reached(session)
                self._do_dtls(peer, self._handshakes.on_validated(peer, self._loop.time()))
            case ("expired", peer):
                self._on_expired(peer)
            case ("applied", ticket):
                self._awaiting.pop(ticket)()
            case ("voices", stage, voices):
                self._on_voices(stage, voices)
            case ("heard", track):
                if (speaker := self._performer.speaker_of(track)) is not None:
                    self._watch.heard(speaker)
            case ("report", peer, figures):
                self._inquiries.on_report(peer, figures)

    def _on_expired(self, peer: int) -> None:
        """The data plane has removed the peer already."""
        session = self._performer.session_of(peer)
        if session is not None:
            self._performer.forget_peer(session)
            self._perform(self._node.on_expired(session))

    def _on_voices(self, stage: int, voices: list[tuple[int, int]]) -> None:
        if (space := self._performer.space_of(stage)) is None:
            return
        speakers = [(self._performer.speaker_of(track), -level) for track, level in voices]
        self._perform(self._node.on_voices(space, [(who, level) for who, level in speakers if who is not None]))

    # DTLS

    def _serve_dtls_soon(self) -> None:
        if self._dtls and not self._is_dtls_due:
            self._is_dtls_due = True
            self._loop.call_soon(self._serve_dtls)

    def _serve_dtls(self) -> None:
        """Handles what waits, for a slice of time."""
        self._is_dtls_due = False
        until_s = self._loop.time() + SLICE_S
        while self._dtls and (now_s := self._loop.time()) < until_s:
            peer, datagram = self._dtls.popleft()
            try:
                self._do_dtls(peer, self._handshakes.on_datagram(peer, datagram, now_s))
            except Exception as error:  # noqa: BLE001 - as above
                self._contain(error, kind="dtls", peer=peer)
        self._serve_dtls_soon()
        self._set_alarm()

    def _on_alarm(self) -> None:
        self._alarm_s = None
        for peer, effect in self._handshakes.on_timer(self._loop.time()):
            try:
                self._do_dtls(peer, [effect])
            except Exception as error:  # noqa: BLE001 - as above
                self._contain(error, kind="dtls", peer=peer)
        self._set_alarm()

    def _set_alarm(self) -> None:
        wakes_at_s = self._handshakes.wakes_at_s
        if wakes_at_s == self._alarm_s:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = wakes_at_s
        self._alarm = None if wakes_at_s is None else self._loop.call_at(wakes_at_s, self._on_alarm)

    def _do_dtls(self, peer: int, effects: Iterable[DtlsEffect]) -> None:
        for effect in effects:
            session = self._performer.session_of(peer)
            if session is None:
                return
            match effect:
                case Send():
                    self._dataplane.send_dtls(peer, effect.datagrams)
                case Established():
                    self._dataplane.set_srtp(
                        peer, profile=effect.profile, receive_key=effect.receive_key, send_key=effect.send_key
                    )
                    self._tally.count_handshake("established")
                    self._watch.secured(session)
                    self._perform(self._node.on_connected(session))
                case Failed():
                    self._tally.count_handshake(effect.reason)
                    log.warning("handshake failed", session=_short(session), reason=effect.reason, detail=effect.detail)
                    self._perform(self._node.on_session_gone(session, effect.reason))
                case Left():
                    self._perform(self._node.on_session_gone(session, "left"))

    # Steps

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Announce):
                self._announce(effect.report)
            else:
                self._performer.perform(effect)

    def _announce(self, report: Report) -> None:
        if isinstance(report, SessionConnected) and (session := self._node.session(report.session)) is not None:
            request = session.request
            who = {"space": request.space, "identity": request.identity, "kind": request.kind}
            log.info("joined", session=_short(report.session), **who)
        elif isinstance(report, SessionClosed):
            self._tally.count_closed(report.reason)
            self._watch.gone(report.session)
            who = {"space": report.space, "identity": report.identity, "reason": report.reason}
            log.info("left", session=_short(report.session), **who)
        self._tell_signalling(report)

    def _after_barrier(self, proceed: Callable[[], None]) -> None:
        self._awaiting[self._dataplane.barrier()] = proceed

    def _draw_transport(self, command: OpenSession) -> Transport:
        """SSRCs unlike each other and the client's own."""
        taken = set() if command.receive is None else {command.receive.ssrc}
        ssrcs = _draw_ssrcs(len(command.send))
        while len({0, *taken, *ssrcs}) < 1 + len(taken) + len(ssrcs):
            ssrcs = _draw_ssrcs(len(command.send))
        return Transport(worker=self._performer.idlest_worker, credentials=_draw_credentials(), ssrcs=ssrcs)

    def _contain(self, error: Exception, *, kind: str, peer: int) -> None:
        """A bug costs the one participant that it met, never the space."""
        facts = error.facts if isinstance(error, Bug) else {}
        session = self._performer.session_of(peer) if kind in {"dtls", "nominated", "expired"} else None
        log.error("bug", event_kind=kind, session=session and _short(session), exc_info=error, **facts)
        if session is not None:
            self._perform(self._node.on_session_gone(session, "handshake_failed"))


def _draw_credentials() -> Credentials:
    return Credentials(ufrag=_draw(UFRAG_BYTES), pwd=_draw(PWD_BYTES))


def _draw_ssrcs(count: int) -> tuple[int, ...]:
    return struct.unpack(f">{count}I", secrets.token_bytes(4 * count))


def _draw(octets: int) -> str:
    return base64.b64encode(secrets.token_bytes(octets)).decode()


def _short(session: str) -> str:
    """Enough to follow one session through the log; the whole id is its address and not for everyone."""
    return session[:8]
