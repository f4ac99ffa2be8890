"""A network namespace of the benchmark's own, in which the kernel counts and drops what listeners need not open. Edge.

On loopback the kernel's receiving half runs on the sender's core. A rule at the ingress of the namespace's `lo` ends it
at the first step, as a network card would take the packet off the machine: what remains is the cost of sending. It
counts messages and bytes; a GSO message passes it whole.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

IP_AND_UDP_BYTES = 28
FIRST_PORT = 20_000
LAST_PORT = 32_700
"""Below the kernel's ephemeral ports, so that sampled listeners are never counted."""

RULES = f"""
table netdev palco_bench {{
  chain sink {{
    type filter hook ingress device "lo" priority 0; policy accept;
    udp dport {FIRST_PORT}-{LAST_PORT} @th,64,2 2 @th,72,8 < 192 counter drop
    udp dport {FIRST_PORT}-{LAST_PORT} @th,64,2 2 @th,72,8 > 223 counter drop
  }}
}}
"""
"""RTP by its first two bits and payload type (RFC 7983 §7, RFC 5761 §4); STUN, DTLS and RTCP go through."""


@dataclass(frozen=True)
class Sunk:
    messages: int
    bytes: int

    def datagrams_of(self, bytes_each: float) -> int:
        """How many datagrams of that size these were: a GSO message has one IP and UDP header for all of its own."""
        if not bytes_each:
            return 0
        return round((self.bytes - self.messages * IP_AND_UDP_BYTES) / bytes_each)


def can_be_made() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("nft") is not None


def enter(arguments: Sequence[str]) -> int:
    """Runs this program again with `arguments` inside a fresh namespace; its exit code."""
    name = f"palco-bench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        inside = ["ip", "netns", "exec", name, sys.executable, "-m", "benchmarks", *arguments]
        return _run_to_its_end(inside)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _run_to_its_end(command: Sequence[str]) -> int:
    """However we are ended, the program inside gets to stop the servers that it started."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


@contextlib.contextmanager
def sink() -> Iterator[None]:
    """While inside, media for the counted ports ends in the rule."""
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "netdev", "palco_bench"], check=True)


def sunk() -> Sunk:
    listing = subprocess.run(
        ["nft", "--json", "list", "table", "netdev", "palco_bench"], capture_output=True, text=True, check=True
    )
    expressions = [
        expression["counter"]
        for entry in json.loads(listing.stdout)["nftables"]
        for expression in entry.get("rule", {}).get("expr", [])
        if "counter" in expression
    ]
    return Sunk(sum(each["packets"] for each in expressions), sum(each["bytes"] for each in expressions))
