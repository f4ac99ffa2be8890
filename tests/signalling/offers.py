"""SDP offers as the clients in the field write them, each after what its documentation and sources say it sends."""

FINGERPRINT = ":".join(f"{byte:02X}" for byte in range(32))

CHROME_WHIP = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS 0b8a1d2e-5b0b-4d2c-8a5e-0b9f7a2f4c11
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:uKqO
a=ice-pwd:Wd7aAqgtTPx0gJzqKXKcFQUC
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendonly
a=msid:0b8a1d2e-5b0b-4d2c-8a5e-0b9f7a2f4c11 6f1a7c5b-0b8a-4a8e-9a0e-3d5bb3a0c0de
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:3735928559 cname:pgyuuAwPYcsZTYbQ
a=ssrc:3735928559 msid:0b8a1d2e-5b0b-4d2c-8a5e-0b9f7a2f4c11 6f1a7c5b-0b8a-4a8e-9a0e-3d5bb3a0c0de
"""

FIREFOX_WHEP = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 5837463529911 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {FINGERPRINT}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=recvonly
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:5f0a7d2c8e3b6149aabbccddeeff0011
a=ice-ufrag:1a2b3c4d
a=mid:0
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:1122334455 cname:{{7f3c0f7e-5a11-4f0c-9a3e-1f2d3c4b5a69}}
"""

FFMPEG_WHIP = f"""v=0
o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1
s=FFmpegPublishSession
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:7c5a1f2b
a=ice-pwd:0e9d8c7b6a59483726150f0e0d0c0b0a
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:passive
a=mid:0
a=sendonly
a=msid:FFmpeg audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=ssrc:2718281828 cname:FFmpeg
a=ssrc:2718281828 msid:FFmpeg audio
"""

OBS_WHIP = f"""v=0
o=rtc 2718281828 0 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=group:LS 0 1
a=msid-semantic:WMS *
a=ice-options:ice2,trickle
a=fingerprint:sha-256 {FINGERPRINT}
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=sendonly
a=ssrc:1442695040 cname:6a1yXrJ8cQyW2pZn
a=ssrc:1442695040 msid:0SxKRHJc4 0SxKRHJc4-audio
a=msid:0SxKRHJc4 0SxKRHJc4-audio
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1
a=setup:actpass
a=ice-ufrag:WxYz
a=ice-pwd:abcdefghijklmnopqrstuv
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:1
a=sendonly
a=ssrc:1442695041 cname:6a1yXrJ8cQyW2pZn
a=msid:0SxKRHJc4 0SxKRHJc4-video
a=rtcp-mux
a=rtpmap:96 H264/90000
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1
a=setup:actpass
a=ice-ufrag:WxYz
a=ice-pwd:abcdefghijklmnopqrstuv
"""

GSTREAMER_WHEP = f"""v=0
o=- 3312387189456721 0 IN IP4 0.0.0.0
s=-
t=0 0
a=ice-options:trickle
m=audio 9 UDP/TLS/RTP/SAVPF 97
c=IN IP4 0.0.0.0
a=setup:actpass
a=ice-ufrag:k9hBzE4VxT7mQfJ2sLwY6cNpRdG3aUo8
a=ice-pwd:tGfVbYhNuJmIkOlPqAzWsXeDcRfVtGbY
a=rtcp-mux
a=rtcp-rsize
a=recvonly
a=rtpmap:97 OPUS/48000/2
a=rtcp-fb:97 transport-cc
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on
a=mid:audio0
a=fingerprint:sha-256 {FINGERPRINT}
"""


def stage_offer(*directions: str, ufrag: str = "stag") -> str:
    """A bundle of audio sections as a browser offers them, such as `stage_offer("sendrecv", "recvonly")`."""
    mids = " ".join(str(index) for index in range(len(directions)))
    head = f"v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE {mids}\n"
    return head + "".join(audio_section(index, direction, ufrag=ufrag) for index, direction in enumerate(directions))


def audio_section(index: int, direction: str, *, ufrag: str = "stag") -> str:
    return f"""m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:{ufrag}
a=ice-pwd:0123456789012345678901
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:{index}
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a={direction}
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1
"""


WHIP = stage_offer("sendonly", ufrag="whip")
WHEP = stage_offer("recvonly", ufrag="whep")

ALL = {
    "chrome": (CHROME_WHIP, "whip"),
    "firefox": (FIREFOX_WHEP, "whep"),
    "ffmpeg": (FFMPEG_WHIP, "whip"),
    "gstreamer": (GSTREAMER_WHEP, "whep"),
}
