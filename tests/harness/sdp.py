"""The test clients' own SDP: a minimal offer and as much of the answer as a client needs. Pure. RFC 8866, RFC 8829."""

from dataclasses import dataclass, field
from typing import Literal

LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"

Direction = Literal["sendonly", "recvonly", "sendrecv", "inactive"]


@dataclass(frozen=True)
class Offer:
    """What a client offers; `sections` are the directions of its audio sections, in order."""

    sections: list[Direction]
    ufrag: str
    pwd: str
    fingerprint: str
    setup: str = "actpass"
    payload_type: int = 111
    ssrc: int | None = None
    level_extension: int = 1
    mid_extension: int = 4
    """0 leaves an extension out."""
    extra_lines: list[str] = field(default_factory=list)

    def sdp(self) -> str:
        mids = " ".join(str(index) for index in range(len(self.sections)))
        lines = [
            "v=0",
            "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mids}",
            "a=msid-semantic: WMS *",
        ]
        for index, direction in enumerate(self.sections):
            lines += self._section(index, direction)
        return "\r\n".join([*lines, *self.extra_lines, ""])

    def _section(self, index: int, direction: Direction) -> list[str]:
        lines = [
            f"m=audio 9 UDP/TLS/RTP/SAVPF {self.payload_type}",
            "c=IN IP4 0.0.0.0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            f"a=mid:{index}",
            f"a={direction}",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            "a=ice-options:trickle",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            f"a=setup:{self.setup}",
            f"a=rtpmap:{self.payload_type} opus/48000/2",
            f"a=fmtp:{self.payload_type} minptime=10;useinbandfec=1",
        ]
        if self.level_extension:
            lines.append(f"a=extmap:{self.level_extension} {LEVEL}")
        if self.mid_extension:
            lines.append(f"a=extmap:{self.mid_extension} {MID}")
        if direction in {"sendonly", "sendrecv"}:
            lines.append("a=msid:wire wire-audio")
            if self.ssrc is not None:
                lines.append(f"a=ssrc:{self.ssrc} cname:wire")
        return lines


@dataclass(frozen=True)
class AnswerSection:
    mid: str
    port: int
    direction: str
    payload_types: list[int]
    ssrcs: list[int]
    extensions: dict[str, int]


@dataclass(frozen=True)
class Answer:
    ufrag: str
    pwd: str
    setup: str
    fingerprint: str
    candidates: list[tuple[str, int]]
    sections: list[AnswerSection]
    lines: list[str]


def parse_answer(text: str) -> Answer:
    """Takes the transport attributes from wherever they stand; all sections are bundled."""
    lines = text.split("\r\n")
    starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
    blocks = [lines[start:end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    candidates = [value.split(" ") for value in _values(lines, "candidate")]
    return Answer(
        ufrag=_values(lines, "ice-ufrag")[0],
        pwd=_values(lines, "ice-pwd")[0],
        setup=_values(lines, "setup")[0],
        fingerprint=_values(lines, "fingerprint")[0],
        candidates=list(dict.fromkeys((words[4], int(words[5])) for words in candidates if words[2].lower() == "udp")),
        sections=[_section(block) for block in blocks],
        lines=lines,
    )


def _section(lines: list[str]) -> AnswerSection:
    words = lines[0].split(" ")
    directions = ("sendrecv", "sendonly", "recvonly", "inactive")
    extensions = [value.split(" ") for value in _values(lines, "extmap")]
    return AnswerSection(
        mid=_values(lines, "mid")[0],
        port=int(words[1]),
        direction=next((line[2:] for line in lines if line[2:] in directions), "sendrecv"),
        payload_types=[int(word) for word in words[3:]],
        ssrcs=list(dict.fromkeys(int(value.split(" ")[0]) for value in _values(lines, "ssrc"))),
        extensions={uri: int(number.split("/")[0]) for number, uri, *_ in extensions},
    )


def _values(lines: list[str], name: str) -> list[str]:
    prefix = f"a={name}:"
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
