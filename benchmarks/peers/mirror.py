"""How two who both offer are joined: each is given the answer that the other's offer implies. Pure.

Janus and LiveKit insist on offering to those who listen; the load, as WHEP wants it, offers too. Both offers say how
their side is reached (ICE, DTLS), and that is all an answer adds to the sections it answers. It works where the server
is ICE-lite: the one that is not controls (RFC 8445 §6.1.1), whoever offered.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

KEPT = ("mid", "rtpmap", "fmtp", "rtcp-mux", "sctp-port")
TRANSPORT = ("ice-ufrag", "ice-pwd", "fingerprint", "candidate")


@dataclass(frozen=True)
class Side:
    """What an offer says of how its side is reached, one `a=` line each."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, offer: str) -> "Side":
        """The offer is of one bundle: each section repeats the same lines."""
        return cls(tuple(dict.fromkeys(line for line in offer.splitlines() if _name(line) in TRANSPORT)))


def answer(
    offer: str, side: Side, *, setup: Literal["active", "passive"], direction: Literal["recvonly", "sendonly"]
) -> str:
    """The answer to `offer` of a peer that is reached as `side` says and takes every section."""
    session, *sections = re.split(r"^(?=m=)", offer.replace("\r\n", "\n"), flags=re.MULTILINE)
    group = next((line for line in session.splitlines() if line.startswith("a=group:BUNDLE")), "")
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", group]
    for section in sections:
        media, *attributes = section.splitlines()
        lines += [_on_discard_port(media), "c=IN IP4 0.0.0.0"]
        lines += _kept(attributes)
        if media.startswith("m=audio"):
            lines.append(f"a={direction}")
        lines += [*side.lines, f"a=setup:{setup}"]
    return "".join(f"{line}\r\n" for line in lines if line)


def _on_discard_port(media: str) -> str:
    kind, _, rest = media.split(" ", 2)
    return f"{kind} 9 {rest}"


def _kept(attributes: Iterable[str]) -> Iterator[str]:
    """Without header extensions and feedback: what is not agreed on costs the server nothing."""
    return (line for line in attributes if _name(line) in KEPT)


def _name(line: str) -> str:
    return line.removeprefix("a=").split(":", 1)[0] if line.startswith("a=") else ""
