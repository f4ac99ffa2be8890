"""T19: SDP that is malformed, oversized or hostile. Refusals name what is wrong, and harm nobody."""

import pytest

from tests.harness.room import SPEAKER, Room
from tests.harness.wire import Manner, meet

pytestmark = pytest.mark.live

SDP_BYTES = 65_536
"""`limits.sdp_bytes` as it is by default."""

FINGERPRINT = "a=fingerprint:sha-256 "


async def good_offer(room: Room) -> str:
    guest = await room.guest("ana", room.token("ana", **SPEAKER), Manner(sections=["sendonly"]))
    return guest.peer.offer().sdp()


def _without(offer: str, start: str) -> str:
    return "\r\n".join(line for line in offer.split("\r\n") if not line.startswith(start))


def _with(offer: str, start: str, line: str) -> str:
    return "\r\n".join(line if one.startswith(start) else one for one in offer.split("\r\n"))


def mutations(offer: str) -> dict[str, str]:
    """One fault each, after the CVEs of Janus, PJSIP and str0m."""
    data = (
        offer
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sctp-port:5000\r\n"
    )
    return {
        "empty": "",
        "not SDP": "GET / HTTP/1.1\r\n\r\n",
        "NUL bytes": offer.replace("a=mid:0", "a=mid:\0"),
        "not UTF-8": offer.replace("s=-", "s=\udcff"),
        "no version": _without(offer, "v="),
        "no sections": offer[: offer.index("m=audio")],
        "a section without a port": _with(offer, "m=", "m=audio"),
        "a port that is no number": _with(offer, "m=", "m=audio x UDP/TLS/RTP/SAVPF 111"),
        "a port past 65535": _with(offer, "m=", "m=audio 70000 UDP/TLS/RTP/SAVPF 111"),
        "payload type 128": offer.replace(" 111", " 128").replace(":111", ":128"),
        "payload type 999999999999": offer.replace(" 111", " 999999999999").replace(":111", ":999999999999"),
        "negative payload type": offer.replace(" 111", " -1").replace(":111", ":-1"),
        "no payload type at all": _with(offer, "m=", "m=audio 9 UDP/TLS/RTP/SAVPF"),
        "plain RTP": offer.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        "keys in the SDP instead of DTLS": _with(
            offer, "a=fingerprint", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"
        ),
        "no Opus": offer.replace("opus/48000/2", "PCMU/8000"),
        "no ufrag": _without(offer, "a=ice-ufrag"),
        "no password": _without(offer, "a=ice-pwd"),
        "a ufrag of two characters": _with(offer, "a=ice-ufrag", "a=ice-ufrag:ab"),
        "a ufrag of 300 characters": _with(offer, "a=ice-ufrag", "a=ice-ufrag:" + "a" * 300),
        "a ufrag with a colon": _with(offer, "a=ice-ufrag", "a=ice-ufrag:ab:cd"),
        "a short password": _with(offer, "a=ice-pwd", "a=ice-pwd:short"),
        "no fingerprint": _without(offer, "a=fingerprint"),
        "a fingerprint of an unknown hash": _with(offer, "a=fingerprint", "a=fingerprint:md5 00:11:22"),
        "a fingerprint cut short": _with(offer, "a=fingerprint", f"{FINGERPRINT}00:11"),
        "a fingerprint that is no hex": _with(offer, "a=fingerprint", FINGERPRINT + ":".join(["ZZ"] * 32)),
        "a setup of holdconn": _with(offer, "a=setup", "a=setup:holdconn"),
        "an unknown setup": _with(offer, "a=setup", "a=setup:both"),
        "no rtcp-mux": _without(offer, "a=rtcp-mux"),
        "a BUNDLE of what is not there": _with(offer, "a=group", "a=group:BUNDLE 7"),
        "two sections of one mid": offer + offer[offer.index("m=audio") :],
        "extension id 0": offer.replace("a=extmap:1 ", "a=extmap:0 "),
        "extension id 99999": offer.replace("a=extmap:1 ", "a=extmap:99999 "),
        "two extensions of one id": offer.replace("a=extmap:4 ", "a=extmap:1 "),
        "an SSRC past 32 bits": offer.replace("a=msid:", "a=ssrc:4294967296 cname:x\r\na=msid:"),
        "a direction that WHIP has not": offer.replace("a=sendonly", "a=recvonly"),
        "a data channel": data,
        "video": offer.replace("m=audio", "m=video"),
        "a mid of 500 characters": offer.replace("a=mid:0", "a=mid:" + "m" * 500).replace(
            "BUNDLE 0", "BUNDLE " + "m" * 500
        ),
    }


async def test_t19_sdp_each_fault_is_refused_and_named(room: Room) -> None:
    offer = await good_offer(room)
    token = room.token("ana", **SPEAKER)
    wrong = {}
    for fault, text in mutations(offer).items():
        body = text.encode(errors="surrogateescape")
        headers = {"Content-Type": "application/sdp"}
        response = await room.call("POST", room.endpoint("whip"), token, content=body, headers=headers)
        is_problem = response.headers["Content-Type"].startswith("application/problem+json")
        if response.status_code not in {400, 422} or not is_problem or "code" not in response.json():
            wrong[fault] = f"{response.status_code} {response.text[:200]}"
    assert not wrong
    assert (await room.participants()) == {}


async def test_t19_sdp_a_refusal_names_the_section(room: Room) -> None:
    guest = await room.guest("ana", room.token("ana"), Manner(sections=["recvonly", "recvonly"]))
    first, second = guest.peer.offer().sdp().split("a=mid:1")
    broken = first + "a=mid:1" + second.replace("opus/48000/2", "PCMU/8000")
    response = await room.offer(guest, "whep", sdp=broken)
    assert response.status_code == 422
    assert response.json()["section"] == "audio 1"


async def test_t19_sdp_of_another_type_or_too_large_is_refused_unread(room: Room) -> None:
    offer = await good_offer(room)
    token = room.token("ana", **SPEAKER)
    for media_type in ("text/plain", "application/json", "application/sdp+xml", ""):
        headers = {"Content-Type": media_type}
        response = await room.call("POST", room.endpoint("whip"), token, content=offer, headers=headers)
        assert response.status_code == 415
    padding = "a=x:" + "y" * SDP_BYTES + "\r\n"
    headers = {"Content-Type": "application/sdp"}
    response = await room.call("POST", room.endpoint("whip"), token, content=offer + padding, headers=headers)
    assert response.status_code == 413


HOSTILE = {
    "attributes": "a=x\r\n",
    "empty lines": "\r\n",
    "sections": "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    "formats": "a=fmtp:111 a=b;c=d\r\n",
    "candidates": "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
    "SSRCs": "a=ssrc:1 cname:x\r\n",
    "one line": "a=" + "x=;" * 10,
    "groups": "a=group:BUNDLE " + "0 " * 100 + "\r\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_t19_sdp_as_much_as_fits_of_any_line_harms_nobody(room: Room, kind: str) -> None:
    """Fifty documents of 60 kB at once, while somebody speaks: refused or taken, and not one packet lost."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    first = ana.peer.said + 1
    offer = await good_offer(room)
    line = HOSTILE[kind]
    bomb = offer + line * ((60_000 - len(offer)) // len(line))
    headers = {"Content-Type": "application/sdp"}
    async with ana.peer.speaking():
        for _ in range(50):
            token = room.token("mallory", **SPEAKER)
            response = await room.call("POST", room.endpoint("whip"), token, content=bomb, headers=headers)
            assert response.status_code in {201, 400, 409, 413, 422}
    last = ana.peer.say()
    await bob.peer.hears(last)
    heard = [number for number in bob.peer.numbers(ana.peer) if number >= first]
    assert heard == list(range(first, last.number + 1))
