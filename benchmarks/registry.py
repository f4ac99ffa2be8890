"""Every server that can be measured, by the name that the command line knows it by; Palco comes first."""

from benchmarks.palco import Palco
from benchmarks.peers.catalogue import PEERS
from benchmarks.scenarios import BESIDE, FIRST, SIXTY, SMALL_MIXES, TWO_CORES, Scenario
from benchmarks.servers import Server

MIXING: dict[str, Server] = {
    "palco-mix": Palco("palco-mix", audience="mix", packet_ms=20),
    "palco-mix-60": Palco("palco-mix-60", audience="mix", packet_ms=60),
    **{peer.name: peer for peer in PEERS if peer.name == "janus-audiobridge"},
}
"""Those that make one stream of all speakers."""

VARIANTS: dict[str, Server] = {
    "palco-60": Palco("palco-60", packet_ms=60),
    "palco-2-cores": Palco("palco-2-cores", workers=2),
}
"""Palco set otherwise: 60 ms of audio in a packet; two workers on two cores, the second shared with the load."""

SERVERS: dict[str, Server] = {"palco": Palco(), **VARIANTS, **{peer.name: peer for peer in PEERS}, **MIXING}


def bears(server: Server, scenario: Scenario) -> bool:
    """Mixes are asked of servers that mix, and of each server no more than it can bear."""
    if (server in MIXING.values()) != (scenario.kind == "mix"):
        return False
    match server.name:
        case "palco-60":
            return scenario in SIXTY
        case "palco-2-cores":
            return scenario in TWO_CORES
        case "aiortc":
            return scenario in FIRST and scenario.listeners <= 100
        case "janus-audiobridge":
            return scenario in SMALL_MIXES
        case "Palco":
            return scenario not in TWO_CORES
        case "palco-mix" | "palco-mix-60":
            return True
        case _:
            return scenario in FIRST or scenario in BESIDE
