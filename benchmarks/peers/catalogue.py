"""The peers, in the order of the tables."""

from typing import Final

from benchmarks.peers import Peer
from benchmarks.peers.aiortc_relay import AiortcRelay

PEERS: Final[tuple[Peer, ...]] = (AiortcRelay(),)
