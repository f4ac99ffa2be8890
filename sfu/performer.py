"""Performs effects on the data plane, and keeps the books of which id there is which session here. Edge.

The machines name sessions and spaces; the data plane names peers, tracks and stages by numbers that are never used
again. Both directions of that mapping live here and nowhere else.
"""

from sfu._dataplane import Dataplane
from sfu.certificate import parse_expected
from sfu.effects import (
    AddSlots,
    AddTrack,
    Announce,
    ClosePeer,
    CloseStage,
    Effect,
    Follow,
    OpenPeer,
    OpenStage,
    RestartIce,
    SetGate,
)
from sfu.errors import Bug
from sfu.handshakes import Handshakes


class Performer:
    """Call from one thread. An effect on a session that is not in the books is our bug (KeyError), save ClosePeer."""

    def __init__(self, dataplane: Dataplane, handshakes: Handshakes, *, workers: int) -> None:
        self._dataplane = dataplane
        self._handshakes = handshakes
        self._peers: dict[str, int] = {}
        self._sessions: dict[int, str] = {}
        self._stages: dict[str, int] = {}
        self._spaces: dict[int, str] = {}
        self._tracks: dict[str, int] = {}
        self._speakers: dict[int, str] = {}
        self._worker_of: dict[int, int] = {}
        self._peers_of_worker = [0] * workers

    @property
    def sessions(self) -> list[str]:
        return list(self._peers)

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
                dataplane.set_gate(self._tracks[effect.session], is_open=effect.is_open)
            case AddSlots():
                self._add_slots(effect)
            case Follow():
                excluding = None if effect.excluding is None else self._tracks[effect.excluding]
                peer, stage = self._peers[effect.session], self._stages[effect.space]
                dataplane.follow(peer, stage, excluding=excluding, packet_ms=effect.packet_ms)
            case RestartIce():
                credentials = effect.credentials
                dataplane.restart_ice(self._peers[effect.session], ufrag=credentials.ufrag, pwd=credentials.pwd)
            case ClosePeer():
                self.close_peer(effect.session)
            case Announce():
                raise Bug("an announcement is not for the data plane", report=effect.report)

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
