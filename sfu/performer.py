"""Performs effects on the data plane, and keeps the books of which id there is which session here. Edge.

The machines name sessions and spaces; the data plane names peers, tracks and stages by numbers that are never used
again. Both directions of that mapping live here and nowhere else.
"""

from collections.abc import Callable, Mapping

from sfu._dataplane import Dataplane
from sfu.certificate import parse_expected
from sfu.effects import (
    AddMix,
    AddSlots,
    AddTrack,
    Announce,
    CloseMixer,
    ClosePeer,
    CloseStage,
    Effect,
    Follow,
    FollowMix,
    OpenMixer,
    OpenPeer,
    OpenStage,
    RemoveMix,
    RestartIce,
    SetGate,
)
from sfu.errors import Bug
from sfu.handshakes import Handshakes
from sfu.mixes import Mixes


class Performer:
    """Call from one thread. An effect on a session that is not in the books is our bug (KeyError), save ClosePeer."""

    def __init__(self, dataplane: Dataplane, handshakes: Handshakes, *, mixes: Mixes, workers: int) -> None:
        self._dataplane = dataplane
        self._handshakes = handshakes
        self._mixes = mixes
        self._peers: dict[str, int] = {}
        self._sessions: dict[int, str] = {}
        self._stages: dict[str, int] = {}
        self._spaces: dict[int, str] = {}
        self._tracks: dict[str, int] = {}
        self._speakers: dict[int, str] = {}
        self._heard_in: dict[int, str] = {}
        """The space of a track."""
        self._left_out: dict[str, int] = {}
        """The track of a session that a mix leaves out; it may be gone before the mix is."""
        self._worker_of: dict[int, int] = {}
        self._peers_of_worker = [0] * workers

    @property
    def sessions(self) -> list[str]:
        return list(self._peers)

    @property
    def peers(self) -> Mapping[str, int]:
        """By session."""
        return self._peers

    @property
    def idlest_worker(self) -> int:
        """The one with the fewest peers."""
        return min(range(len(self._peers_of_worker)), key=self._peers_of_worker.__getitem__)

    def session_of(self, peer: int) -> str | None:
        return self._sessions.get(peer)

    def space_of(self, stage: int) -> str | None:
        return self._spaces.get(stage)

    def speaker_of(self, track: int) -> str | None:
        """The session that sends it."""
        return self._speakers.get(track)

    def perform(self, effect: Effect) -> None:
        dataplane = self._dataplane
        match effect:
            case OpenStage():
                stage = dataplane.create_stage()
                self._stages[effect.space], self._spaces[stage] = stage, effect.space
            case CloseStage():
                stage = self._stages.pop(effect.space)
                del self._spaces[stage]
                dataplane.remove_stage(stage)
            case OpenPeer():
                self._open_peer(effect)
            case AddTrack():
                self._add_track(effect)
            case SetGate():
                self._set_gate(effect)
            case AddSlots():
                self._add_slots(effect)
            case Follow():
                excluding = None if effect.excluding is None else self._tracks[effect.excluding]
                peer, stage = self._peers[effect.session], self._stages[effect.space]
                dataplane.follow(peer, stage, excluding=excluding, packet_ms=effect.packet_ms)
            case OpenMixer() | CloseMixer() | AddMix() | RemoveMix() | FollowMix():
                self._perform_mix(effect)
            case RestartIce():
                credentials = effect.credentials
                dataplane.restart_ice(self._peers[effect.session], ufrag=credentials.ufrag, pwd=credentials.pwd)
            case ClosePeer():
                self.close_peer(effect.session)
            case Announce():
                raise Bug("an announcement is not for the data plane", report=effect.report)

    def when_hushed(self, proceed: Callable[[], None]) -> None:
        """Calls `proceed` once no mix holds anything of the voices that earlier effects closed."""
        self._mixes.when_hushed(proceed)

    # Peers

    def close_peer(self, session: str) -> None:
        """Says goodbye first, if anyone is there. Nothing, for a peer that the data plane has removed by itself."""
        if (peer := self._peers.get(session)) is None:
            return
        if farewell := self.forget_peer(session):
            self._dataplane.send_dtls(peer, farewell)
        self._dataplane.remove_peer(peer)

    def forget_peer(self, session: str) -> tuple[bytes, ...]:
        """Strikes it from the books; returns what is to be said to the peer, if it can still be reached."""
        peer = self._peers.pop(session)
        del self._sessions[peer]
        self._peers_of_worker[self._worker_of.pop(peer)] -= 1
        track = self._tracks.pop(session, None)
        if track is not None:
            del self._speakers[track]
            self._mixes.remove_voice(self._heard_in.pop(track), track)
        return self._handshakes.on_closed(peer)

    def _open_peer(self, effect: OpenPeer) -> None:
        worker, credentials = effect.transport.worker, effect.transport.credentials
        peer = self._dataplane.create_peer(worker, ufrag=credentials.ufrag, pwd=credentials.pwd)
        self._peers[effect.session], self._sessions[peer] = peer, effect.session
        self._worker_of[peer] = worker
        self._peers_of_worker[worker] += 1
        self._handshakes.on_opened(peer, setup=effect.setup, expected=parse_expected(effect.fingerprints))

    def _add_track(self, effect: AddTrack) -> None:
        section = effect.section
        track = self._dataplane.add_track(
            self._peers[effect.session],
            self._stages[effect.space],
            payload_type=section.payload_type,
            ssrc=section.ssrc,
            mid=section.mid,
            mid_id=section.mid_extension,
            level_id=section.level_extension,
            is_open=effect.is_open,
            red_payload_type=section.red_payload_type,
        )
        self._tracks[effect.session], self._speakers[track] = track, effect.session
        self._heard_in[track] = effect.space
        self._mixes.set_voice(effect.space, track, is_open=effect.is_open)

    def _set_gate(self, effect: SetGate) -> None:
        """The mixer listens before the gate opens, and forgets what it holds after it has closed."""
        track = self._tracks[effect.session]
        if effect.is_open:
            self._mixes.set_voice(self._heard_in[track], track, is_open=True)
        self._dataplane.set_gate(track, is_open=effect.is_open)
        if not effect.is_open:
            self._mixes.set_voice(self._heard_in[track], track, is_open=False)

    def _add_slots(self, effect: AddSlots) -> None:
        for section, ssrc in zip(effect.sections, effect.ssrcs, strict=True):
            self._dataplane.add_slot(
                self._peers[effect.session],
                ssrc=ssrc,
                payload_type=section.payload_type,
                mid=section.mid,
                mid_id=section.mid_extension,
                level_id=section.level_extension,
                red_payload_type=section.red_payload_type,
            )

    def _perform_mix(self, effect: OpenMixer | CloseMixer | AddMix | RemoveMix | FollowMix) -> None:
        mixes = self._mixes
        match effect:
            case OpenMixer():
                voices = [(self._tracks[session], is_open) for session, is_open in effect.voices]
                mixes.open(effect.space, self._stages[effect.space], voices)
            case CloseMixer():
                mixes.close(effect.space)
            case AddMix():
                mixes.add(effect.space, self._leave_out(effect.without))
            case RemoveMix():
                without = None if effect.without is None else self._left_out.pop(effect.without)
                mixes.remove(effect.space, without)
            case FollowMix():
                self._follow_mix(effect)

    def _follow_mix(self, effect: FollowMix) -> None:
        peer = self._peers[effect.session]
        without = None if effect.without is None else self._left_out[effect.without]
        track = self._mixes.track(effect.space, without)
        if track is not None:
            self._dataplane.follow_track(peer, track, packet_ms=effect.packet_ms)
        else:
            stage = self._stages[effect.space]
            self._dataplane.follow(peer, stage, excluding=without, packet_ms=effect.packet_ms)

    def _leave_out(self, session: str | None) -> int | None:
        if session is None:
            return None
        self._left_out[session] = self._tracks[session]
        return self._left_out[session]
