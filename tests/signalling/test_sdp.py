"""Offers: those of real clients are read, all else is refused by our own error, in linear time (threat T19)."""

import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signalling.errors import PeerError
from signalling.sdp import MAX_LINE_CHARACTERS, MAX_LINES, MAX_SECTIONS, Offer, parse_offer
from tests.signalling import offers


def parse(text: str) -> Offer:
    return parse_offer(text.replace("\n", "\r\n").encode())


def refusal_of(body: bytes) -> PeerError:
    with pytest.raises(PeerError) as refusal:
        parse_offer(body)
    return refusal.value


def test_chromes_offer_is_read() -> None:
    (section,) = parse(offers.CHROME_WHIP).sections

    assert (section.label, section.mid, section.direction, section.setup) == ("audio 0", "0", "sendonly", "actpass")
    assert [codec.name for codec in section.codecs][:3] == ["opus", "red", "g722"]
    assert section.extensions["urn:ietf:params:rtp-hdrext:ssrc-audio-level"] == 1
    assert section.ssrcs == [3735928559]
    assert (section.ufrag, section.pwd) == ("uKqO", "Wd7aAqgtTPx0gJzqKXKcFQUC")
    assert [entry.algorithm for entry in section.fingerprints] == ["sha-256"]


def test_firefoxes_offer_has_its_fingerprint_in_the_session_part() -> None:
    offer = parse(offers.FIREFOX_WHEP)

    assert offer.bundle == ["0"]
    assert offer.sections[0].fingerprints[0].value == offers.FINGERPRINT
    assert offer.sections[0].direction == "recvonly"


def test_ffmpegs_offer_needs_neither_candidates_nor_ice_options() -> None:
    (section,) = parse(offers.FFMPEG_WHIP).sections

    assert section.setup == "passive"
    assert not section.has_rtcp_mux_only


def test_obs_offers_video_too() -> None:
    audio, video = parse(offers.OBS_WHIP).sections

    assert (audio.kind, video.kind, video.label) == ("audio", "video", "video 1")
    assert video.formats == ["96"]


def test_gstreamers_extension_attributes_are_set_aside() -> None:
    (section,) = parse(offers.GSTREAMER_WHEP).sections

    assert section.extensions == {"urn:ietf:params:rtp-hdrext:ssrc-audio-level": 1}
    assert section.mid == "audio0"


@pytest.mark.parametrize(
    ("attribute", "max_packet_ms"),
    [("maxptime:60", 60), ("maxptime:20\na=maxptime:60", 20), ("ptime:20", None), ("maxptime:soon", None)],
)
def test_maxptime_bounds_the_packets_and_nonsense_does_not(attribute: str, max_packet_ms: int | None) -> None:
    (section,) = parse(offers.WHIP.replace("a=rtcp-mux", f"a={attribute}\na=rtcp-mux")).sections

    assert section.max_packet_ms == max_packet_ms


def test_line_ends_may_be_bare() -> None:
    assert parse_offer(offers.WHIP.encode()) == parse(offers.WHIP)


def test_a_bundle_only_section_is_not_refused_by_its_port_zero() -> None:
    text = offers.stage_offer("sendrecv", "recvonly")
    refused = text.replace("m=audio 9", "m=audio 0")
    bundle_only = refused.replace("a=rtcp-mux", "a=bundle-only\na=rtcp-mux")

    assert all(section.is_refused for section in parse(refused).sections)
    assert not any(section.is_refused for section in parse(bundle_only).sections)


WITHIN_AUDIO_1 = {
    "payload type": ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9 UDP/TLS/RTP/SAVPF 900"),
    "no formats": ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio 9"),
    "port": ("m=audio 9 UDP", "m=audio nine UDP"),
    "rtpmap": ("a=rtpmap:111 opus/48000/2", "a=rtpmap:opus"),
    "fmtp of a stranger": ("a=fmtp:111", "a=fmtp:99"),
    "extmap": ("a=extmap:1 ", "a=extmap:one "),
    "extmap id": ("a=extmap:1 ", "a=extmap:256 "),
    "one id for two": ("a=extmap:4 ", "a=extmap:1 "),
    "fingerprint": (f"sha-256 {offers.FINGERPRINT}", "sha-256"),
    "setup": ("a=setup:actpass", "a=setup:whenever"),
    "ssrc": ("a=rtcp-mux", "a=ssrc:many cname:x\na=rtcp-mux"),
    "ssrc too large": ("a=rtcp-mux", "a=ssrc:4294967296 cname:x\na=rtcp-mux"),
}


@pytest.mark.parametrize(("right", "wrong"), WITHIN_AUDIO_1.values(), ids=WITHIN_AUDIO_1.keys())
def test_the_refusal_names_the_section(right: str, wrong: str) -> None:
    good, bad = (offers.audio_section(index, "recvonly") for index in (0, 1))
    head = offers.stage_offer("recvonly").partition("m=")[0]

    refusal = refusal_of((head + good + bad.replace(right, wrong)).encode())

    assert (refusal.code, refusal.facts["section"]) == ("bad_sdp", "audio 1")


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "no version": b"o=- 1 1 IN IP4 0.0.0.0\r\n",
    "no sections": b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    "not SDP": b"hello",
    "HTML": b"<html>\n</html>",
    "not UTF-8": b"v=0\r\ns=\xff\xfe\r\n",
    "NUL": b"v=0\r\ns=\0\r\n",
    "a line separator that only some see": "v=0\r\ns=a\u2028m=audio 9 X 0\r\n".encode(),
    "a vertical tab": b"v=0\r\ns=a\x0bm=audio 9 X 0\r\n",
    "too many lines": b"v=0\r\n" + b"a=x\r\n" * MAX_LINES,
    "a line too long": b"v=0\r\ns=" + b"x" * MAX_LINE_CHARACTERS,
    "too many sections": b"v=0\r\n" + b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * (MAX_SECTIONS + 1),
    "too many repeats": offers.WHIP.encode() + b"a=rtpmap:100 x/8000\r\n" * 65,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_offer_is_refused(body: bytes) -> None:
    assert refusal_of(body).code == "bad_sdp"


def test_a_body_above_the_limit_is_not_even_decoded() -> None:
    assert refusal_of(b"\xff" * 65_537).code == "too_large"


DATA_CHANNEL = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel"
LINES = st.sampled_from([*offers.CHROME_WHIP.splitlines(), *offers.OBS_WHIP.splitlines(), "", "m=", "a=", DATA_CHANNEL])


@given(st.lists(LINES | st.text(max_size=40), max_size=60).map("\r\n".join))
def test_lines_in_any_order_raise_our_error_or_none(text: str) -> None:
    check(f"v=0\r\n{text}".encode(errors="replace"))


@given(st.binary(max_size=300))
@example(b"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=ssrc: cname:")
def test_any_bytes_raise_our_error_or_none(body: bytes) -> None:
    check(body)
    check(b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + body)


@given(st.data())
def test_a_real_offer_with_a_changed_line_raises_our_error_or_none(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from([text for text, _ in offers.ALL.values()])).splitlines()
    place = data.draw(st.integers(0, len(lines) - 1))
    lines[place] = data.draw(st.text(max_size=60) | st.sampled_from(lines).map(lambda line: line[: len(line) // 2]))
    check("\r\n".join(lines).encode(errors="replace"))


@pytest.mark.parametrize("text", [text for text, _ in offers.ALL.values()], ids=offers.ALL.keys())
def test_an_offer_cut_anywhere_raises_our_error_or_none(text: str) -> None:
    for length in range(len(text)):
        check(text[:length].encode())


def check(body: bytes) -> None:
    assert code_of(body) in {None, "bad_sdp", "too_large"}


def code_of(body: bytes) -> str | None:
    try:
        parse_offer(body)
    except PeerError as refusal:
        return refusal.code
    return None


# Linear time: twice the input is at most a little more than twice the work, counted in executed lines, not in seconds.

REPEATED: dict[str, Callable[[int], Iterator[str]]] = {
    "rtcp-fb": lambda count: (f"a=rtcp-fb:* nack {index}" for index in range(count)),
    "ssrc": lambda count: (f"a=ssrc:{index + 1} msid:x y" for index in range(count)),
    "candidates": lambda count: (f"a=candidate:{index} 1 udp 1 10.0.0.1 9 typ host" for index in range(count)),
    "unknown": lambda count: (f"a=x-{index}:{index}" for index in range(count)),
    "crypto": lambda count: (f"a=crypto:{index} AES inline:x" for index in range(count)),
}


@pytest.mark.parametrize("repeated", REPEATED.values(), ids=REPEATED.keys())
def test_twice_the_lines_are_twice_the_work(repeated: Callable[[int], Iterator[str]]) -> None:
    def work(count: int) -> int:
        return lines_executed((offers.WHIP + "\n".join(repeated(count)) + "\n").encode())

    fixed = work(0)
    assert work(800) - fixed <= 2.2 * (work(400) - fixed)


def test_twice_the_sections_are_twice_the_work() -> None:
    def work(count: int) -> int:
        return lines_executed(offers.stage_offer(*["recvonly"] * count).encode())

    assert work(32) <= 2.2 * work(16)


def lines_executed(body: bytes) -> int:
    """How many lines of Python parsing takes: the same on every machine."""
    count = 0

    def trace(*_: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        parse_offer(body, max_bytes=1 << 20)
    finally:
        sys.settrace(before)
    return count
