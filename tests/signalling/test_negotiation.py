"""What each kind of session makes of an offer, and the answer: read back by aiortc, an independent reader."""

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from sfu.contract.messages import Candidate, Fingerprint, ReceiveSection, SendSection, SessionOpened
from signalling.errors import PeerError
from signalling.negotiation import Agreement, Kind, build_answer, negotiate
from signalling.sdp import parse_offer
from tests.signalling import offers


def agree(text: str, kind: Kind, *, max_send: int = 10, discards_video: bool = False) -> Agreement:
    return negotiate(parse_offer(text.encode()), kind, max_send=max_send, discards_video=discards_video)


def refusal_of(text: str, kind: Kind, **more: object) -> PeerError:
    with pytest.raises(PeerError) as refusal:
        agree(text, kind, **more)  # type: ignore[arg-type]
    assert refusal.value.code == "unacceptable_sdp"
    return refusal.value


def opened(agreement: Agreement) -> SessionOpened:
    return SessionOpened(
        session="Zm9vYmFyYmF6cXV4",
        ufrag="serverufrag",
        pwd="serverpassword0123456789",
        fingerprint=Fingerprint("sha-256", offers.FINGERPRINT),
        setup=agreement.setup,
        candidates=[Candidate("192.0.2.7", 7882), Candidate("2001:db8::7", 7882)],
        cname="palco",
        ssrcs=[5000 + index for index in range(len(agreement.send))],
    )


def answer(text: str, kind: Kind, **more: object) -> SessionDescription:
    agreement = agree(text, kind, **more)  # type: ignore[arg-type]
    return SessionDescription.parse(build_answer(agreement, opened(agreement)))


# Real clients


@pytest.mark.parametrize(("text", "kind"), offers.ALL.values(), ids=offers.ALL.keys())
def test_a_real_clients_offer_is_answered(text: str, kind: Kind) -> None:
    (media,) = answer(text, kind).media

    assert media.direction == ("recvonly" if kind == "whip" else "sendonly")
    assert media.ice is not None
    assert media.ice.iceLite
    assert [candidate.ip for candidate in media.ice_candidates] == ["192.0.2.7", "2001:db8::7"]
    assert media.ice_candidates_complete
    assert media.rtcp_mux


def test_chrome_speaks_in_the_section_that_it_offered() -> None:
    assert agree(offers.CHROME_WHIP, "whip").receive == ReceiveSection(
        mid="0", payload_type=111, ssrc=3735928559, mid_extension=4, level_extension=1
    )


def test_extensions_keep_the_ids_of_the_offer_and_none_is_added() -> None:
    (chrome,) = answer(offers.CHROME_WHIP, "whip").media
    (ffmpeg,) = answer(offers.FFMPEG_WHIP, "whip").media

    assert {extension.uri.rpartition(":")[2]: extension.id for extension in chrome.rtp.headerExtensions} == {
        "mid": 4,
        "ssrc-audio-level": 1,
    }
    assert ffmpeg.rtp.headerExtensions == []


# DTLS roles (RFC 5763 §5)


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("passive", "active"), ("active", "passive")]
)
def test_the_answer_takes_the_other_role_and_passive_where_it_may_choose(offered: str, answered: str) -> None:
    text = offers.WHIP.replace("a=setup:actpass", f"a=setup:{offered}")

    assert agree(text, "whip").setup == answered
    assert f"a=setup:{answered}\r\n" in build_answer(agree(text, "whip"), opened(agree(text, "whip")))


# Who sends what


def test_whip_receives_and_sends_nothing() -> None:
    agreement = agree(offers.WHIP, "whip")
    assert (agreement.receive is not None, agreement.send) == (True, [])


def test_whep_sends_one_slot_for_each_section() -> None:
    agreement = agree(offers.stage_offer(*["recvonly"] * 3), "whep")

    assert agreement.receive is None
    assert agreement.send == [
        SendSection(mid=str(index), payload_type=111, mid_extension=4, level_extension=1) for index in range(3)
    ]


def test_a_listener_s_maxptime_goes_with_its_section() -> None:
    offer = offers.stage_offer("recvonly", "recvonly").replace("a=mid:1", "a=mid:1\na=maxptime:40")

    assert [section.max_packet_ms for section in agree(offer, "whep").send] == [None, 40]


CHROME_WHEP = offers.CHROME_WHIP.replace("a=sendonly", "a=recvonly")


def test_redundant_audio_is_agreed_on_where_we_send_and_stands_after_opus() -> None:
    (section,) = agree(CHROME_WHEP, "whep").send
    agreement = agree(CHROME_WHEP, "whep")
    text = build_answer(agreement, opened(agreement))

    assert section.red_payload_type == 63
    assert " UDP/TLS/RTP/SAVPF 111 63\r\n" in text
    assert "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" in text


def test_a_stage_section_takes_redundant_audio_both_ways() -> None:
    agreement = agree(offers.CHROME_WHIP.replace("a=sendonly", "a=sendrecv"), "stage")

    assert agreement.receive is not None
    assert (agreement.receive.red_payload_type, agreement.send[0].red_payload_type) == (63, 63)


def test_redundant_audio_is_not_asked_for_where_we_only_receive() -> None:
    agreement = agree(offers.CHROME_WHIP, "whip")

    assert agreement.receive is not None
    assert agreement.receive.red_payload_type is None
    assert "red/48000" not in build_answer(agreement, opened(agreement))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("a=fmtp:63 111/111", "a=fmtp:63 111/0"),
        ("a=fmtp:63 111/111\n", ""),
        ("red/48000/2", "red/8000"),
        ("63", "80"),
    ],
    ids=["of another codec", "of nothing", "at another rate", "under a number of RTCP's"],
)
def test_redundant_audio_that_is_not_opus_s_is_passed_over(written: str, instead: str) -> None:
    assert agree(CHROME_WHEP.replace(written, instead), "whep").send[0].red_payload_type is None


def test_a_stage_session_hears_in_the_section_that_it_speaks_in_and_in_the_others() -> None:
    agreement = agree(offers.stage_offer("sendrecv", "recvonly", "recvonly"), "stage")
    description = answer(offers.stage_offer("sendrecv", "recvonly", "recvonly"), "stage")

    assert agreement.receive is not None
    assert agreement.receive.mid == "0"
    assert [section.mid for section in agreement.send] == ["0", "1", "2"]
    assert [media.direction for media in description.media] == ["sendrecv", "sendonly", "sendonly"]
    assert [media.msid for media in description.media] == [f"palco-{slot} palco-{slot}" for slot in range(3)]
    assert [media.ssrc[0].ssrc for media in description.media] == [5000, 5001, 5002]
    assert {media.ssrc[0].cname for media in description.media} == {"palco"}


def test_a_stage_session_may_speak_in_a_section_of_its_own() -> None:
    description = answer(offers.stage_offer("sendonly", "recvonly"), "stage")
    assert [media.direction for media in description.media] == ["recvonly", "sendonly"]


def test_the_answer_is_one_bundle_with_candidates_in_its_first_section() -> None:
    description = answer(offers.stage_offer("sendrecv", "recvonly"), "stage")

    assert [(group.semantic, group.items) for group in description.group] == [("BUNDLE", ["0", "1"])]
    assert [len(media.ice_candidates) for media in description.media] == [2, 0]
    assert {media.ice.usernameFragment for media in description.media if media.ice} == {"serverufrag"}


def test_dtx_is_answered_where_it_was_offered_and_fec_always() -> None:
    (whip,) = answer(offers.WHIP, "whip").media
    (chrome,) = answer(offers.CHROME_WHIP, "whip").media

    assert whip.rtp.codecs[0].parameters == {"minptime": 10, "useinbandfec": 1, "usedtx": "1"}
    assert chrome.rtp.codecs[0].parameters == {"minptime": 10, "useinbandfec": 1}


def test_without_a_mid_a_single_section_is_answered_without_one() -> None:
    text = offers.WHIP.replace("a=mid:0\n", "").replace("a=group:BUNDLE 0\n", "")
    agreement = agree(text, "whip")

    assert agreement.receive is not None
    assert agreement.receive.mid_extension == 0
    assert "a=mid" not in build_answer(agreement, opened(agreement))
    assert "a=group" not in build_answer(agreement, opened(agreement))


# Video and data


def test_video_is_refused_by_name() -> None:
    assert refusal_of(offers.OBS_WHIP, "whip").facts["section"] == "video 1"


def test_video_can_be_set_aside_instead() -> None:
    description = answer(offers.OBS_WHIP, "whip", discards_video=True)

    assert [(media.kind, media.port) for media in description.media] == [("audio", 7882), ("video", 0)]
    assert description.media[1].direction == "inactive"
    assert [group.items for group in description.group] == [["0"]]


def test_the_transport_may_be_described_in_the_section_that_is_set_aside() -> None:
    """RFC 8843 §7.1.3: the first section of the bundle speaks for all."""
    video = offers.OBS_WHIP[offers.OBS_WHIP.index("m=video") :].replace("WxYz", "vide")
    head, audio = offers.OBS_WHIP.partition("m=video")[0].split("m=audio")
    text = head.replace("BUNDLE 0 1", "BUNDLE 1 0") + video + "m=audio" + audio

    assert agree(text, "whip", discards_video=True).remote_ufrag == "vide"


def test_a_data_channel_is_refused() -> None:
    text = offers.WHIP + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:1\na=sctp-port:5000\n"
    assert refusal_of(text, "whip", discards_video=True).facts["section"] == "application 1"


# What cannot be served

UNACCEPTABLE: dict[str, tuple[str, str]] = {
    "no Opus": ("opus/48000/2", "PCMU/8000"),
    "mono Opus": ("opus/48000/2", "opus/48000"),
    "a payload type of RTCP's": ("111", "80"),
    "no rtcp-mux": ("a=rtcp-mux\n", ""),
    "no setup": ("a=setup:actpass\n", ""),
    "no fingerprint": (f"a=fingerprint:sha-256 {offers.FINGERPRINT}\n", ""),
    "a weak fingerprint": ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
    "half a fingerprint": (offers.FINGERPRINT, offers.FINGERPRINT[:47]),
    "a fingerprint of letters": (offers.FINGERPRINT, offers.FINGERPRINT.replace("0", "Z")),
    "no ufrag": ("a=ice-ufrag:whip\n", ""),
    "a short ufrag": ("a=ice-ufrag:whip", "a=ice-ufrag:abc"),
    "a long ufrag": ("a=ice-ufrag:whip", f"a=ice-ufrag:{'a' * 257}"),
    "a short pwd": ("a=ice-pwd:0123456789012345678901", "a=ice-pwd:012345678901234567890"),
    "no encryption": ("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    "a long mid": ("a=mid:0", "a=mid:01234567890123456"),
    "a mid that is no token": ("a=mid:0", 'a=mid:"'),
    "recvonly": ("a=sendonly", "a=recvonly"),
    "inactive": ("a=sendonly", "a=inactive"),
}


@pytest.mark.parametrize(("right", "wrong"), UNACCEPTABLE.values(), ids=UNACCEPTABLE.keys())
def test_an_offer_that_cannot_be_served_is_refused_whole(right: str, wrong: str) -> None:
    text = offers.WHIP.replace(right, wrong)
    assert text != offers.WHIP
    assert refusal_of(text, "whip").facts["section"] == "audio 0"


def test_whip_takes_one_section() -> None:
    assert refusal_of(offers.stage_offer("sendonly", "sendonly"), "whip").facts["section"] == "audio 1"


def test_whep_takes_no_section_that_only_sends() -> None:
    assert refusal_of(offers.stage_offer("recvonly", "sendonly"), "whep").facts["section"] == "audio 1"


def test_whep_takes_as_many_sections_as_can_be_sent() -> None:
    text = offers.stage_offer(*["recvonly"] * 4)

    assert len(agree(text, "whep", max_send=4).send) == 4
    assert refusal_of(text, "whep", max_send=3).facts["section"] == "audio 3"


def test_a_stage_session_speaks_in_exactly_one_section() -> None:
    assert refusal_of(offers.stage_offer("sendrecv", "sendrecv"), "stage").facts["section"] == "audio 1"
    assert refusal_of(offers.stage_offer("recvonly", "recvonly"), "stage").facts["section"] == "session"
    assert refusal_of(offers.stage_offer("sendrecv", "inactive"), "stage").facts["section"] == "audio 1"


def test_sections_outside_the_bundle_are_refused() -> None:
    text = offers.stage_offer("recvonly", "recvonly").replace("BUNDLE 0 1", "BUNDLE 0")
    assert refusal_of(text, "whep").facts["section"] == "audio 1"


def test_two_sections_of_one_name_are_refused() -> None:
    text = offers.stage_offer("recvonly", "recvonly").replace("a=mid:1", "a=mid:0")
    assert refusal_of(text, "whep").facts["section"] == "audio 1"


def test_an_offer_of_nothing_is_refused() -> None:
    assert refusal_of(offers.WHIP.replace("m=audio 9", "m=audio 0"), "whip").facts["section"] == "session"


def test_a_section_that_the_client_itself_refused_is_answered_so() -> None:
    first, second = offers.stage_offer("recvonly", "recvonly").rsplit("m=audio 9", 1)
    description = answer(first + "m=audio 0" + second, "whep")

    assert [media.port for media in description.media] == [7882, 0]


DIRECTIONS = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["whip", "whep", "stage"])


@given(st.lists(DIRECTIONS, min_size=1, max_size=12), KINDS)
def test_an_answer_has_the_offers_sections_and_promises_no_more_than_was_asked(
    directions: list[str], kind: Kind
) -> None:
    try:
        agreement = agree(offers.stage_offer(*directions), kind)
    except PeerError:
        return
    description = SessionDescription.parse(build_answer(agreement, opened(agreement)))
    allowed = {"sendrecv": {"sendrecv", "sendonly", "recvonly"}, "sendonly": {"recvonly"}, "recvonly": {"sendonly"}}

    assert [media.rtp.muxId for media in description.media] == [str(index) for index in range(len(directions))]
    for offered, media in zip(directions, description.media, strict=True):
        assert media.direction in allowed[offered]
