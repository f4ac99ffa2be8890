"""The peers, in the order of the tables."""

from typing import Final

from benchmarks.peers import Peer
from benchmarks.peers.aiortc_relay import AiortcRelay
from benchmarks.peers.janus import Janus
from benchmarks.peers.livekit import LiveKit
from benchmarks.peers.mediasoup import Mediasoup

PEERS: Final[tuple[Peer, ...]] = (
    Mediasoup(),
    LiveKit(),
    Janus("streaming"),
    Janus("videoroom"),
    Janus("audiobridge"),
    AiortcRelay(),
)
