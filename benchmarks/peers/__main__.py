"""`python -m benchmarks.peers [list | install [NAME ...]]`: which peers are here; fetch and build the others."""

import asyncio
import sys
import time

from benchmarks.peers import Peer
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.process import SetupError


def show() -> None:
    for peer in PEERS:
        version = peer.version()
        print(f"{peer.name:18} {version or 'missing: ' + peer.how_to_install}")


async def install(peers: list[Peer]) -> int:
    """How many of `peers` are still missing afterwards."""
    missing = 0
    for number, peer in enumerate(peers, 1):
        place, began_s = f"[{number}/{len(peers)}] {peer.name}", time.monotonic()
        print(f"{place}: installing what is missing", flush=True)
        try:
            await peer.install()
        except SetupError as reason:
            print(f"{place}: {reason}")
        version = peer.version()
        missing += version is None
        print(f"{place}: {version or 'missing'} ({time.monotonic() - began_s:.0f} s)", flush=True)
    return missing


def main(words: list[str]) -> int:
    match words:
        case [] | ["list"]:
            show()
            return 0
        case ["install", *names] if set(names) <= {peer.name for peer in PEERS}:
            return 1 if asyncio.run(install([peer for peer in PEERS if not names or peer.name in names])) else 0
        case _:
            print(f"{__doc__}\nNAME: {', '.join(peer.name for peer in PEERS)}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
