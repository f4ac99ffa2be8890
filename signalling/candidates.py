"""ICE in SDP as an ICE-lite server writes and checks it (RFC 8839). Pure."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from sfu.contract.messages import Candidate

ICE_OPTIONS: Final = "ice2 trickle"

_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")


def is_ufrag(text: str) -> bool:
    """Whether `text` is an ice-ufrag (RFC 8839 §5.4)."""
    return _UFRAG.fullmatch(text) is not None


def is_pwd(text: str) -> bool:
    """Whether `text` is an ice-pwd (RFC 8839 §5.4)."""
    return _PWD.fullmatch(text) is not None


def candidate_lines(candidates: list[Candidate]) -> Iterator[str]:
    """One `a=candidate` for each, all `host`, the first preferred, but TCP after all UDP.

    Priority: RFC 8445 §5.1.2.1, component 1, type preference 126; by TCP 90, and direction preference 4 for passive
    (RFC 6544 §4.2). IPv6 and IPv4 have each their foundation, as has each protocol.
    """
    for index, candidate in enumerate(candidates):
        version = ipaddress.ip_address(candidate.address).version
        place = f"{candidate.address} {candidate.port} typ host"
        if candidate.protocol == "udp":
            yield f"a=candidate:{version} 1 udp {(126 << 24) | ((65_535 - index) << 8) | 255} {place}"
        else:
            preference = (4 << 13) | (8_191 - index)
            yield f"a=candidate:tcp{version} 1 tcp {(90 << 24) | (preference << 8) | 255} {place} tcptype passive"
