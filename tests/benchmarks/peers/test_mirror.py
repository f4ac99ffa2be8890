"""Two offers, two answers: what each side says of itself reaches the other, and nothing else does."""

from benchmarks.peers.mirror import Side, answer

LISTENER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtpmap:111 opus/48000/2
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=rtcp-mux
a=ice-ufrag:load
a=ice-pwd:password-of-the-load
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=candidate:1 1 udp 2130706431 127.0.0.1 9000 typ host
""".replace("\n", "\r\n")

SERVER = """v=0
o=- 2 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE a b
a=ice-lite
a=fingerprint:sha-256 CC:DD
m=audio 5000 UDP/TLS/RTP/SAVPF 100
a=mid:a
a=sendonly
a=rtpmap:100 opus/48000/2
a=ice-ufrag:server
a=ice-pwd:password-of-the-server
a=setup:actpass
a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host
a=candidate:2 1 udp 2130706175 127.0.0.2 5000 typ host
m=audio 5000 UDP/TLS/RTP/SAVPF 100
a=mid:b
a=sendonly
a=rtpmap:100 opus/48000/2
a=ice-ufrag:server
a=ice-pwd:password-of-the-server
a=setup:actpass
a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host
"""


def sections(sdp: str) -> list[list[str]]:
    return [section.splitlines() for section in sdp.split("m=")[1:]]


def test_a_side_is_known_by_its_credentials_fingerprint_and_candidates_each_once() -> None:
    assert Side.of(SERVER).lines == (
        "a=fingerprint:sha-256 CC:DD",
        "a=ice-ufrag:server",
        "a=ice-pwd:password-of-the-server",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host",
        "a=candidate:2 1 udp 2130706175 127.0.0.2 5000 typ host",
    )


def test_every_section_of_the_servers_offer_is_answered_in_its_order_by_the_listeners_side() -> None:
    found = answer(SERVER, Side.of(LISTENER), setup="passive", direction="recvonly")
    assert "a=group:BUNDLE a b\r\n" in found
    assert [section[2] for section in sections(found)] == ["a=mid:a", "a=mid:b"]
    for section in sections(found):
        assert section[0] == "audio 9 UDP/TLS/RTP/SAVPF 100"
        assert {"a=recvonly", "a=setup:passive", "a=ice-ufrag:load", "a=fingerprint:sha-256 AA:BB"} <= set(section)


def test_the_listener_is_answered_with_the_servers_side() -> None:
    (section,) = sections(answer(LISTENER, Side.of(SERVER), setup="active", direction="sendonly"))
    assert {"a=mid:0", "a=sendonly", "a=setup:active", "a=ice-ufrag:server"} <= set(section)
    assert "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host" in section


def test_no_header_extension_is_agreed_on() -> None:
    assert "extmap" not in answer(LISTENER, Side.of(SERVER), setup="active", direction="sendonly")
