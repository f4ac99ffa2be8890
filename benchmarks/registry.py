"""Every server that can be measured, by the name that the command line knows it by; Palco comes first."""

from benchmarks.palco import Palco
from benchmarks.peers.catalogue import PEERS
from benchmarks.servers import Server

SERVERS: dict[str, Server] = {"palco": Palco(), **{peer.name: peer for peer in PEERS}}
