"""SDP offers, read from strangers: text in, `Offer` out, or a PeerError that names the section. Pure.

aiortc's parser reads the grammar (RFC 8866, RFC 8839, RFC 8842); this module stands before it. It bounds bytes, lines,
line lengths, sections and repeats, and hands over only the attributes that an audio session needs, one section at a
time: several of the parser's loops are quadratic in what is left out here (`rtcp-fb`, `ssrc`, `fmtp`), and an exception
that it throws belongs to the one section it was given.

An `Offer` says what was written, not whether it will do: that is `signalling.negotiation`.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal, cast

from aiortc.sdp import MediaDescription, SessionDescription
from msgspec import Struct

from signalling.errors import PeerError

MAX_BYTES: Final = 65_536
MAX_LINES: Final = 2_000
MAX_LINE_CHARACTERS: Final = 2_048
MAX_SECTIONS: Final = 32
MAX_REPEATS: Final = 64
"""Of one attribute in one section; the longest honest list is Chrome's 13 audio `rtpmap`s."""

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
OfferedSetup = Literal["actpass", "active", "passive"]

_SESSION_LINES: Final = frozenset({"v", "o", "s", "t"})
_TRANSPORT: Final = frozenset({"ice-ufrag", "ice-pwd", "fingerprint", "setup"})
_SESSION_ATTRIBUTES: Final = _TRANSPORT | {"group"}
_DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
_SECTION_ATTRIBUTES: Final = _TRANSPORT | _DIRECTIONS | {"mid", "rtcp-mux"}
_AUDIO_ATTRIBUTES: Final = _SECTION_ATTRIBUTES | {"rtpmap", "fmtp", "extmap", "ssrc"}

_SETUPS: Final[dict[str | None, OfferedSetup]] = {"auto": "actpass", "client": "active", "server": "passive"}
"""aiortc's names for the DTLS roles, turned back into what the SDP said."""


class Codec(Struct, frozen=True):
    payload_type: int
    name: str
    clock_rate_hz: int
    channels: int
    parameters: dict[str, str]


class OfferedFingerprint(Struct, frozen=True):
    algorithm: str
    value: str


class Section(Struct, frozen=True, kw_only=True):
    """One `m=` section. Codecs stand in the offerer's order of preference."""

    index: int
    kind: str
    mid: str
    is_refused: bool
    """Port 0, and not because it is bundle-only (RFC 8843 §6)."""
    profile: str
    direction: Direction
    formats: list[str]
    codecs: list[Codec]
    extensions: dict[str, int]
    ssrcs: list[int]
    has_rtcp_mux: bool
    has_rtcp_mux_only: bool
    ufrag: str | None
    pwd: str | None
    fingerprints: list[OfferedFingerprint]
    setup: OfferedSetup | None
    max_packet_ms: int | None
    """`a=maxptime` (RFC 8866 §6.4): the most audio that the offerer takes in a packet."""

    @property
    def label(self) -> str:
        """How errors name it: kind and place, `audio 0`."""
        return f"{self.kind} {self.index}"


class Offer(Struct, frozen=True):
    sections: list[Section]
    bundle: list[str] | None
    """The mids of the first BUNDLE group; None without one."""


def parse_offer(body: bytes, *, max_bytes: int = MAX_BYTES, max_lines: int = MAX_LINES) -> Offer:
    """What `body` offers. Raises PeerError: `bad_sdp` with `section` (`session`, `audio 0`), or `too_large`."""
    session, sections = _group(_lines_of(body, max_bytes=max_bytes, max_lines=max_lines))
    if not session or session[0] != "v=0":
        raise _bad("session", "it does not begin with v=0")
    if not sections:
        raise _bad("session", "it has no m= section")
    kept = [line for line in session if _is_kept(line, _SESSION_ATTRIBUTES, label="session")]
    _check_repeats(kept, label="session")
    parsed = [_parse_section(kept, lines, index) for index, lines in enumerate(sections)]
    return Offer(sections=parsed, bundle=_bundle_of(kept))


def split_lines(body: bytes, *, code: str, max_bytes: int, max_lines: int) -> list[str]:
    """The lines of an SDP-like body within its caps; CRLF or LF. Raises PeerError `code` or `too_large`."""
    if len(body) > max_bytes:
        raise PeerError("too_large", f"the body has {len(body)} bytes; the limit is {max_bytes}", limit=max_bytes)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise PeerError(code, "the body is not UTF-8", section="session") from None
    if text.count("\n") > max_lines:
        raise PeerError(code, f"the body has more than {max_lines} lines", section="session")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise PeerError(code, f"line {number} is longer than {MAX_LINE_CHARACTERS} characters", section="session")
        if not line.isprintable():  # also what str.splitlines, and so the parser, would take for an end of line
            raise PeerError(code, f"line {number} has characters that do not belong there", section="session")
    return lines


def _lines_of(body: bytes, *, max_bytes: int, max_lines: int) -> list[str]:
    lines = split_lines(body, code="bad_sdp", max_bytes=max_bytes, max_lines=max_lines)
    for number, line in enumerate(lines, start=1):
        if line and line[1:2] != "=":
            raise _bad("session", f"line {number} is not of the form <letter>=<value>")
    return [line for line in lines if line]


def _group(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """The session's lines, and those of each section."""
    session: list[str] = []
    sections: list[list[str]] = []
    current = session
    for line in lines:
        if line.startswith("m="):
            if len(sections) == MAX_SECTIONS:
                raise _bad("session", f"it has more than {MAX_SECTIONS} sections")
            current = []
            sections.append(current)
        current.append(line)
    return session, sections


def _is_kept(line: str, attributes: frozenset[str], *, label: str) -> bool:
    if line[0] in _SESSION_LINES:
        return label == "session"
    name, _, value = line[2:].partition(":")
    if line[0] != "a" or name not in attributes:
        return False
    if name == "ssrc":
        return " cname:" in value
    return True


def _check_repeats(lines: list[str], *, label: str) -> None:
    counts: dict[str, int] = {}
    for line in lines:
        name = line.partition(":")[0]
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > MAX_REPEATS:
            raise _bad(label, f"it repeats {name} more than {MAX_REPEATS} times")


def _parse_section(session: list[str], lines: list[str], index: int) -> Section:
    kind = lines[0][2:].partition(" ")[0][:16]
    label = f"{kind} {index}"
    attributes = _AUDIO_ATTRIBUTES if kind == "audio" else _SECTION_ATTRIBUTES
    kept = [_simplified(line) for line in lines[1:] if _is_kept(line, attributes, label=label)]
    _check_repeats(kept, label=label)
    try:
        description = SessionDescription.parse("\r\n".join([*session, lines[0], *kept]) + "\r\n")
        media = description.media[0]
        return _section_of(media, lines, index, label=label)
    except PeerError:
        raise
    except Exception as error:  # noqa: BLE001 - the parser raises whatever int(), split() and assert happen to raise
        raise _bad(label, f"an attribute in it is malformed ({type(error).__name__})") from None


def _simplified(line: str) -> str:
    """An `extmap` without its own attributes (RFC 8285 §5 allows them, the parser does not)."""
    return " ".join(line.split()[:2]) if line.startswith("a=extmap:") else line


def _section_of(media: MediaDescription, lines: list[str], index: int, *, label: str) -> Section:
    formats = lines[0].split()[3:]
    is_bundle_only = "a=bundle-only" in lines
    setup = media.dtls.role if media.dtls else None
    return Section(
        index=index,
        kind=media.kind,
        mid=(media.rtp.muxId or "").strip(),
        is_refused=_checked(media.port, 0, 0xFFFF, label=label, what="a port") == 0 and not is_bundle_only,
        profile=media.profile,
        direction=cast(Direction, media.direction or "sendrecv"),
        formats=formats,
        codecs=list(_codecs_of(media)),
        extensions=_extensions_of(media, label=label),
        ssrcs=[_checked(entry.ssrc, 1, 0xFFFF_FFFF, label=label, what="an SSRC") for entry in media.ssrc],
        has_rtcp_mux=media.rtcp_mux,
        has_rtcp_mux_only="a=rtcp-mux-only" in lines,
        ufrag=media.ice.usernameFragment if media.ice else None,
        pwd=media.ice.password if media.ice else None,
        fingerprints=[OfferedFingerprint(entry.algorithm, entry.value) for entry in _fingerprints_of(media)],
        setup=_SETUPS[setup] if setup else None,
        max_packet_ms=_max_packet_ms(lines),
    )


def _max_packet_ms(lines: list[str]) -> int | None:
    """The first; one that is no sensible number says nothing."""
    value = next((line.removeprefix("a=maxptime:") for line in lines if line.startswith("a=maxptime:")), "")
    return int(value) if re.fullmatch(r"[0-9]{1,5}", value) else None


def _fingerprints_of(media: MediaDescription) -> Iterator[OfferedFingerprint]:
    for entry in media.dtls.fingerprints if media.dtls else []:
        yield OfferedFingerprint(entry.algorithm.lower(), entry.value.upper())


def _codecs_of(media: MediaDescription) -> Iterator[Codec]:
    """The codecs that both `m=` and an `rtpmap` name, in the order of `m=`."""
    by_payload_type = {codec.payloadType: codec for codec in media.rtp.codecs}
    for payload_type in media.fmt if media.kind == "audio" else []:
        if codec := by_payload_type.get(payload_type):
            parameters = {key: "" if value is None else str(value) for key, value in codec.parameters.items()}
            name = codec.mimeType.partition("/")[2].lower()
            yield Codec(payload_type, name, codec.clockRate, codec.channels or 1, parameters)


def _extensions_of(media: MediaDescription, *, label: str) -> dict[str, int]:
    """URI to id; the first id of a URI counts. Raises where one id stands for two."""
    extensions: dict[str, int] = {}
    for extension in media.rtp.headerExtensions:
        extensions.setdefault(extension.uri, _checked(extension.id, 1, 255, label=label, what="an extmap id"))
    if len(set(extensions.values())) != len(extensions):
        raise _bad(label, "one extmap id stands for two extensions")
    return extensions


def _bundle_of(session: list[str]) -> list[str] | None:
    groups = (line.removeprefix("a=group:").split() for line in session if line.startswith("a=group:"))
    return next((group[1:] for group in groups if group[:1] == ["BUNDLE"]), None)


def _checked(value: int, low: int, high: int, *, label: str, what: str) -> int:
    if not low <= value <= high:
        raise _bad(label, f"{what} is not between {low} and {high}")
    return value


def _bad(section: str, why: str) -> PeerError:
    where = "the SDP" if section == "session" else f"section {section!r}"
    return PeerError("bad_sdp", f"{where} cannot be read: {why}", section=section)
