"""Trickle-ICE fragments (RFC 8840 §9, RFC 9725 §4.3): what a PATCH says, and the answer to an ICE restart. Pure.

An ICE-lite server needs no remote candidates: it answers checks and learns addresses from those that authenticate
(RFC 8445 §7.3.1.3). They are therefore counted and forgotten, and `.local` names are never resolved.
"""

from typing import Final

from msgspec import Struct

from sfu.contract.messages import Candidate
from signalling.candidates import ICE_OPTIONS, candidate_lines, is_pwd, is_ufrag
from signalling.errors import PeerError
from signalling.sdp import split_lines

MAX_BYTES: Final = 16_384
MAX_LINES: Final = 300


class Fragment(Struct, frozen=True):
    """The credentials that a fragment is about (None where it names none), and how many candidates it brought."""

    ufrag: str | None
    pwd: str | None
    candidates: int


def parse_fragment(body: bytes) -> Fragment:
    """Raises PeerError `bad_sdpfrag` or `too_large`. Attributes that are not about ICE are ignored."""
    ufrags: set[str] = set()
    pwds: set[str] = set()
    candidates = 0
    for line in split_lines(body, code="bad_sdpfrag", max_bytes=MAX_BYTES, max_lines=MAX_LINES):
        if not line:
            continue
        if line[1:2] != "=" or line[0] not in "am":
            raise _bad("a line is neither a= nor m=")
        name, _, value = line[2:].partition(":")
        if name == "ice-ufrag":
            ufrags.add(value)
        elif name == "ice-pwd":
            pwds.add(value)
        elif name == "candidate":
            candidates += 1
    if len(ufrags) > 1 or len(pwds) > 1:
        raise _bad("it names more than one ufrag or pwd; the sections are bundled and share one")
    ufrag = next(iter(ufrags), None)
    pwd = next(iter(pwds), None)
    if (ufrag is not None and not is_ufrag(ufrag)) or (pwd is not None and not is_pwd(pwd)):
        raise _bad("its ice-ufrag or ice-pwd is not of 4 (22) to 256 ICE characters (RFC 8839 §5.4)")
    return Fragment(ufrag=ufrag, pwd=pwd, candidates=candidates)


def build_fragment(*, mid: str, ufrag: str, pwd: str, candidates: list[Candidate]) -> str:
    """The body that answers an ICE restart: new credentials and all candidates."""
    lines = [
        "a=ice-lite",
        f"a=ice-options:{ICE_OPTIONS}",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{pwd}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        *candidate_lines(candidates),
        "a=end-of-candidates",
    ]
    return "\r\n".join(lines) + "\r\n"


def _bad(why: str) -> PeerError:
    return PeerError("bad_sdpfrag", f"the fragment cannot be read: {why}", section="session")
