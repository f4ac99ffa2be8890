"""GStreamer's webrtcbin as a WHIP and WHEP client, run by the system's Python, which has the GStreamer bindings.

`python3 gstreamer.py speak|hear ENDPOINT TOKEN TONE_HZ`. Speaks a sine; hears as 16-bit mono PCM on standard output.
"""

import sys
import threading
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402 versions must be named first

OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,encoding-params=(string)2,payload=111"
SPEAK = (
    "webrtcbin name=peer bundle-policy=max-bundle audiotestsrc is-live=true wave=sine freq={tone} volume=0.5 "
    "! audio/x-raw,rate=48000,channels=1 ! opusenc bitrate=64000 ! rtpopuspay pt=111 ! " + OPUS + " ! peer."
)
PCM = "audio/x-raw,format=S16LE,rate=48000,channels=1"
DECODE = f"rtpopusdepay ! opusdec ! audioconvert ! audioresample ! {PCM} ! fdsink fd=1"


class Client:
    """Gathers, then offers once with all candidates: webrtcbin does not trickle by HTTP itself."""

    def __init__(self, mode: str, endpoint: str, token: str, tone: str) -> None:
        self._endpoint, self._token = endpoint, token
        if mode == "speak":
            self._pipeline = Gst.parse_launch(SPEAK.format(tone=tone))
            self._peer = self._pipeline.get_by_name("peer")
        else:
            self._pipeline = Gst.Pipeline.new("client")
            self._peer = Gst.ElementFactory.make("webrtcbin", "peer")
            self._peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
            self._pipeline.add(self._peer)
        # libnice leaves loopback out unless it is told the address. webrtcbin 1.22 gives its agent away uncounted.
        self._agent = self._peer.get_property("ice-agent").ref()
        self._agent.emit("add-local-ip-address", "127.0.0.1")
        self._peer.connect("notify::ice-gathering-state", self._on_gathering)
        self._peer.connect("pad-added", self._on_pad)
        if mode == "speak":
            self._peer.connect("on-negotiation-needed", self._on_negotiation_needed)
        else:
            receive = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self._peer.emit("add-transceiver", receive, Gst.Caps.from_string(OPUS))
        self._pipeline.set_state(Gst.State.PLAYING)
        if mode == "hear":
            self._on_negotiation_needed(self._peer)

    def _on_negotiation_needed(self, peer: Gst.Element) -> None:
        peer.emit("create-offer", None, Gst.Promise.new_with_change_func(self._on_offer))

    def _on_offer(self, promise: Gst.Promise) -> None:
        reply = promise.get_reply()  # owns the offer
        self._peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def _on_gathering(self, peer: Gst.Element, _: object) -> None:
        if peer.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            offer = peer.get_property("local-description").sdp.as_text()
            threading.Thread(target=self._exchange, args=[offer]).start()

    def _exchange(self, offer: str) -> None:
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._endpoint, offer.encode(), headers)
        with urllib.request.urlopen(request) as response:
            text = response.read().decode()
        _, message = GstSdp.SDPMessage.new_from_text(text)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._peer.emit("set-remote-description", answer, Gst.Promise.new())

    def _on_pad(self, _: Gst.Element, pad: Gst.Pad) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        decoder = Gst.parse_bin_from_description(DECODE, ghost_unlinked_pads=True)
        self._pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))


def main() -> None:
    Gst.init(None)
    client = Client(*sys.argv[1:5])  # noqa: F841 kept alive by the loop
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
