"""Every server that can be measured, by the name that the command line knows it by; Palco comes first."""

from benchmarks.palco import Palco
from benchmarks.peers.catalogue import PEERS
from benchmarks.scenarios import FIRST, SMALL_MIXES, Scenario
from benchmarks.servers import Server

MIXING: dict[str, Server] = {
    "palco-mix": Palco("palco-mix", audience="mix", packet_ms=20),
    "palco-mix-60": Palco("palco-mix-60", audience="mix", packet_ms=60),
    **{peer.name: peer for peer in PEERS if peer.name == "janus-audiobridge"},
}
"""Those that make one stream of all speakers."""

SERVERS: dict[str, Server] = {"palco": Palco(), **{peer.name: peer for peer in PEERS}, **MIXING}


def bears(server: Server, scenario: Scenario) -> bool:
    """Mixes are asked of servers that mix, and of each server no more than it can bear."""
    if (server in MIXING.values()) != (scenario.kind == "mix"):
        return False
    match server.name:
        case "aiortc":
            return scenario in FIRST
        case "janus-audiobridge":
            return scenario in SMALL_MIXES
        case _:
            return True
