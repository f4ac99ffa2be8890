"""From an offer to what the sfu is asked for, and from its answer to the SDP that goes back (RFC 9429, RFC 8843). Pure.

`negotiate` decides for each section: *receive* (the client may speak in it), *send* (a slot), both, or *discard*. What
cannot be served is refused whole, with the section named: WHIP wants no half-accepted answers (RFC 9725 §4.4).

Redundant audio (RFC 2198) is agreed on where it is offered in a section that we send in, after Opus: so a browser takes
it and, by its own rule of the first codec, does not send it.

Left out: simulcast, RTX and FEC payloads, RTCP feedback (none is sent), renegotiation. `.local` and all other remote
candidates are ignored, since ICE-lite learns addresses from authenticated checks.
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from sfu.contract.messages import Fingerprint, ReceiveSection, SendSection, SessionOpened, Setup
from signalling.candidates import ICE_OPTIONS, candidate_lines, is_pwd, is_ufrag
from signalling.errors import PeerError
from signalling.sdp import Codec, Offer, OfferedFingerprint, Section

Kind = Literal["whip", "whep", "stage"]

MID_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
LEVEL_EXTENSION: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

_PROFILES: Final = frozenset({"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF"})
_FINGERPRINT_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_ANSWERED_SETUP: Final[dict[str, Setup]] = {"actpass": "passive", "passive": "active", "active": "passive"}
"""Passive where we may choose: the DTLS server picks the SRTP profile, and ours prefers AEAD_AES_128_GCM."""

_MID = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,16}")  # an RFC 8866 token; 16 bytes is a one-byte extension's most
UNNAMED_MID: Final = "0"
"""What the sfu calls the section of an offer that has one, and no mid."""

_MAX_ONE_BYTE_EXTENSION: Final = 14  # RFC 8285 §4.2
_FORBIDDEN_PAYLOAD_TYPES: Final = range(64, 96)  # RTCP's, once multiplexed (RFC 5761 §4)


class AnswerSection(Struct, frozen=True, kw_only=True):
    """What the answer says about one section of the offer; `slot` counts what we send, from 0."""

    offered: Section
    codec: Codec | None = None
    red: Codec | None = None
    receives: bool = False
    slot: int | None = None

    @property
    def is_accepted(self) -> bool:
        return self.codec is not None


class Agreement(Struct, frozen=True, kw_only=True):
    """An offer that will do: the fields of `OpenSession`, and the layout of the answer."""

    kind: Kind
    setup: Setup
    fingerprints: list[Fingerprint]
    remote_ufrag: str
    receive: ReceiveSection | None
    send: list[SendSection]
    sections: list[AnswerSection]
    bundle_mid: str
    """The mid whose transport all sections share; named again in the fragment that answers an ICE restart."""


def negotiate(offer: Offer, kind: Kind, *, max_send: int, discards_video: bool) -> Agreement:
    """What `offer` comes to for a session of `kind`. Raises PeerError `unacceptable_sdp` with `section`."""
    _check_mids(offer)
    live = [section for section in offer.sections if not section.is_refused]
    audio = [section for section in live if _is_used(section, discards_video=discards_video)]
    if not audio:
        raise _unacceptable("session", "it offers no audio section")
    _check_bundle(offer, audio)
    transport = _transport_of(offer, live)
    setup, fingerprints = _check_transport(transport)
    answers = _lay_out(audio, kind, max_send=max_send)
    speaking = next((answer for answer in answers.values() if answer.receives), None)
    return Agreement(
        kind=kind,
        setup=setup,
        fingerprints=fingerprints,
        remote_ufrag=transport.ufrag or "",
        receive=_receive_section(speaking) if speaking else None,
        send=[_send_section(answer) for answer in answers.values() if answer.slot is not None],
        sections=[answers.get(section.index, AnswerSection(offered=section)) for section in offer.sections],
        bundle_mid=audio[0].mid or UNNAMED_MID,
    )


def build_answer(agreement: Agreement, opened: SessionOpened) -> str:
    """The SDP answer: ICE-lite, every candidate of the server, one bundle, an SSRC and a msid for each slot."""
    accepted = [section for section in agreement.sections if section.is_accepted]
    number = int.from_bytes(opened.session.encode()[:7], "big")  # o= wants a number; the session's id makes it unique
    lines = ["v=0", f"o=palco {number} 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
    if accepted[0].offered.mid:
        lines.append(f"a=group:BUNDLE {' '.join(section.offered.mid for section in accepted)}")
    lines += ["a=msid-semantic:WMS *", f"a=ice-options:{ICE_OPTIONS}"]
    for section in agreement.sections:
        if section.codec is None:
            lines += _discarded_lines(section.offered)
        else:
            lines += _accepted_lines(section, section.codec, opened, is_first=section is accepted[0])
    return "\r\n".join(lines) + "\r\n"


# What is checked


def _check_mids(offer: Offer) -> None:
    seen: set[str] = set()
    for section in offer.sections:
        if section.mid in seen:
            raise _unacceptable(section.label, "its mid is missing or another section's")
        if section.mid and not _MID.fullmatch(section.mid):
            raise _unacceptable(section.label, "its mid is not a token of at most 16 characters")
        seen.add(section.mid)


def _is_used(section: Section, *, discards_video: bool) -> bool:
    """Whether a section that was not refused by the offerer is audio; video is refused here or set aside."""
    if section.kind == "audio":
        return True
    if section.kind == "video" and discards_video:
        return False
    if section.kind == "video":
        raise _unacceptable(
            section.label, "this server carries audio only; offer no video (the operator may set whip.video: discard)"
        )
    raise _unacceptable(section.label, f"{section.kind} sections (data channels among them) are not served")


def _check_bundle(offer: Offer, audio: list[Section]) -> None:
    if offer.bundle is None and len(offer.sections) == 1:
        return  # a bundle of one needs no name
    for section in audio:
        if not section.mid or section.mid not in (offer.bundle or []):
            raise _unacceptable(section.label, "it is not in the BUNDLE group; all sections share one transport")


def _transport_of(offer: Offer, live: list[Section]) -> Section:
    """The section whose ICE and DTLS attributes count: the first of the group that has any (RFC 8843 §7.1.3)."""
    order = {mid: place for place, mid in enumerate(offer.bundle or [])}
    ordered = sorted(live, key=lambda section: order.get(section.mid, len(order)))
    return next((section for section in ordered if section.ufrag is not None), ordered[0])


def _check_transport(section: Section) -> tuple[Setup, list[Fingerprint]]:
    if not is_ufrag(section.ufrag or ""):
        raise _unacceptable(section.label, "its ice-ufrag is missing or not of 4 to 256 ICE characters")
    if not is_pwd(section.pwd or ""):
        raise _unacceptable(section.label, "its ice-pwd is missing or not of 22 to 256 ICE characters")
    if section.setup is None:
        raise _unacceptable(section.label, "it has no a=setup, so no DTLS role (RFC 5763 §5)")
    strong = [entry for entry in section.fingerprints if entry.algorithm in _FINGERPRINT_BYTES]
    if not strong:
        raise _unacceptable(section.label, "it has no fingerprint of sha-256 or better (RFC 8122 §5)")
    for entry in strong:
        if not _is_hash(entry):
            raise _unacceptable(section.label, f"its {entry.algorithm} fingerprint has the wrong form")
    return _ANSWERED_SETUP[section.setup], [Fingerprint(entry.algorithm, entry.value) for entry in strong]


def _is_hash(entry: OfferedFingerprint) -> bool:
    pattern = rf"[0-9A-F]{{2}}(:[0-9A-F]{{2}}){{{_FINGERPRINT_BYTES[entry.algorithm] - 1}}}"
    return re.fullmatch(pattern, entry.value) is not None


# Who sends what in which section


def _lay_out(audio: list[Section], kind: Kind, *, max_send: int) -> dict[int, AnswerSection]:
    """Section index → what is agreed about it."""
    if kind == "whip":
        roles = _whip_roles(audio)
    elif kind == "whep":
        roles = _whep_roles(audio)
    else:
        roles = _stage_roles(audio)
    if sum(sends for _, sends in roles) > max_send:
        raise _unacceptable(audio[max_send].label, f"at most {max_send} audio sections can be sent to one listener")
    answers = {}
    slots = iter(range(max_send))
    for section, (receives, sends) in zip(audio, roles, strict=True):
        slot = next(slots) if sends else None
        codec = _opus_of(section)
        red = _red_of(section, codec) if sends else None
        answers[section.index] = AnswerSection(offered=section, codec=codec, red=red, receives=receives, slot=slot)
    return answers


def _whip_roles(audio: list[Section]) -> list[tuple[bool, bool]]:
    if len(audio) > 1:
        raise _unacceptable(audio[1].label, "WHIP takes one audio section (RFC 9725 §4.2)")
    if audio[0].direction not in {"sendonly", "sendrecv"}:
        raise _unacceptable(audio[0].label, f"it is {audio[0].direction}, but WHIP is for sending: offer sendonly")
    return [(True, False)]


def _whep_roles(audio: list[Section]) -> list[tuple[bool, bool]]:
    for section in audio:
        if section.direction not in {"recvonly", "sendrecv"}:
            raise _unacceptable(section.label, f"it is {section.direction}, but WHEP is for hearing: offer recvonly")
    return [(False, True)] * len(audio)


def _stage_roles(audio: list[Section]) -> list[tuple[bool, bool]]:
    roles = []
    for section in audio:
        if section.direction == "inactive":
            raise _unacceptable(section.label, "it is inactive; offer sendrecv, sendonly or recvonly")
        roles.append((section.direction != "recvonly", section.direction != "sendonly"))
    speaking = [section for section, (receives, _) in zip(audio, roles, strict=True) if receives]
    if not speaking:
        raise _unacceptable("session", "no section of it sends; a stage session needs one (to only hear, use WHEP)")
    if len(speaking) > 1:
        raise _unacceptable(speaking[1].label, "a participant speaks in one section; make the others recvonly")
    return roles


def _opus_of(section: Section) -> Codec:
    if section.profile not in _PROFILES:
        raise _unacceptable(section.label, f"its profile {section.profile[:32]} is not DTLS-SRTP (UDP/TLS/RTP/SAVPF)")
    if not section.has_rtcp_mux:
        raise _unacceptable(section.label, "it lacks a=rtcp-mux; RTP and RTCP share one port here")
    for codec in section.codecs:
        if (codec.name, codec.clock_rate_hz, codec.channels) == ("opus", 48_000, 2):
            if codec.payload_type > 127 or codec.payload_type in _FORBIDDEN_PAYLOAD_TYPES:
                raise _unacceptable(section.label, f"payload type {codec.payload_type} cannot be used for Opus")
            return codec
    raise _unacceptable(section.label, "it does not offer Opus (opus/48000/2), the one codec of this server")


def _red_of(section: Section, opus: Codec) -> Codec | None:
    """Redundant audio whose blocks are all `opus` (`fmtp` 111/111, RFC 2198 §5), if it is offered."""
    for codec in section.codecs:
        is_red = (codec.name, codec.clock_rate_hz, codec.channels) == ("red", 48_000, 2)
        is_possible = codec.payload_type <= 127 and codec.payload_type not in _FORBIDDEN_PAYLOAD_TYPES
        if is_red and is_possible and set("/".join(codec.parameters).split("/")) == {str(opus.payload_type)}:
            return codec
    return None


def _receive_section(answer: AnswerSection) -> ReceiveSection:
    section = answer.offered
    return ReceiveSection(
        mid=section.mid or UNNAMED_MID,
        payload_type=_payload_type(answer),
        ssrc=section.ssrcs[0] if len(section.ssrcs) == 1 else None,
        mid_extension=_extension_id(section, MID_EXTENSION),
        level_extension=_extension_id(section, LEVEL_EXTENSION),
        red_payload_type=answer.red.payload_type if answer.red else None,
    )


def _send_section(answer: AnswerSection) -> SendSection:
    section = answer.offered
    return SendSection(
        mid=section.mid or UNNAMED_MID,
        payload_type=_payload_type(answer),
        mid_extension=_extension_id(section, MID_EXTENSION),
        level_extension=_extension_id(section, LEVEL_EXTENSION),
        max_packet_ms=section.max_packet_ms,
        red_payload_type=answer.red.payload_type if answer.red else None,
    )


def _payload_type(answer: AnswerSection) -> int:
    return answer.codec.payload_type if answer.codec else 0


def _extension_id(section: Section, uri: str) -> int:
    """The id to use, 0 for none: one-byte extensions only, and no mid extension for a section without a mid."""
    identifier = section.extensions.get(uri, 0)
    if identifier > _MAX_ONE_BYTE_EXTENSION or (uri == MID_EXTENSION and not section.mid):
        return 0
    return identifier


# The answer's text


def _discarded_lines(section: Section) -> Iterator[str]:
    yield f"m={section.kind} 0 {section.profile} {' '.join(section.formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=inactive"
    if section.mid:
        yield f"a=mid:{section.mid}"


def _accepted_lines(answer: AnswerSection, codec: Codec, opened: SessionOpened, *, is_first: bool) -> Iterator[str]:
    section = answer.offered
    default = opened.candidates[0]
    formats = f"{codec.payload_type} {answer.red.payload_type}" if answer.red else f"{codec.payload_type}"
    yield f"m=audio {default.port} {section.profile} {formats}"
    yield f"c=IN IP{ipaddress.ip_address(default.address).version} {default.address}"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield f"a={_direction(answer)}"
    yield "a=rtcp-mux"
    if section.has_rtcp_mux_only:
        yield "a=rtcp-mux-only"
    yield f"a=ice-ufrag:{opened.ufrag}"
    yield f"a=ice-pwd:{opened.pwd}"
    yield f"a=fingerprint:{opened.fingerprint.algorithm} {opened.fingerprint.value}"
    yield f"a=setup:{opened.setup}"
    yield f"a=rtpmap:{codec.payload_type} opus/48000/2"
    yield f"a=fmtp:{codec.payload_type} {_opus_parameters(codec)}"
    if answer.red:
        yield f"a=rtpmap:{answer.red.payload_type} red/48000/2"
        yield f"a=fmtp:{answer.red.payload_type} {codec.payload_type}/{codec.payload_type}"
    for uri in (MID_EXTENSION, LEVEL_EXTENSION):
        if identifier := _extension_id(section, uri):
            yield f"a=extmap:{identifier} {uri}"
    if answer.slot is not None:
        yield f"a=msid:palco-{answer.slot} palco-{answer.slot}"
        yield f"a=ssrc:{opened.ssrcs[answer.slot]} cname:{opened.cname}"
    if is_first:
        yield from candidate_lines(opened.candidates)
        yield "a=end-of-candidates"


def _direction(answer: AnswerSection) -> str:
    if answer.receives:
        return "recvonly" if answer.slot is None else "sendrecv"
    return "sendonly"


def _opus_parameters(codec: Codec) -> str:
    """What we want to be sent: in-band FEC always, DTX where the client offered it (RFC 7587 §6.1)."""
    parameters = ["minptime=10", "useinbandfec=1"]
    if codec.parameters.get("usedtx") == "1":
        parameters.append("usedtx=1")
    return ";".join(parameters)


def _unacceptable(section: str, why: str) -> PeerError:
    where = "the offer" if section == "session" else f"section {section!r}"
    return PeerError("unacceptable_sdp", f"{where} cannot be served: {why}", section=section)
