"""The peers, in the order of the tables."""

from typing import Final

from benchmarks.peers import Peer
from benchmarks.peers.aiortc_relay import AiortcRelay
from benchmarks.peers.janus import Janus

PEERS: Final[tuple[Peer, ...]] = (Janus("streaming"), Janus("videoroom"), AiortcRelay())
