// libwebrtc in Node with the WHIP and WHEP client of the specification's author:
// `node node.mjs speak|hear ENDPOINT TOKEN TONE_HZ`. Speaks a sine; hears as 16-bit mono PCM on standard output.

import wrtc from "@roamhq/wrtc";
import { WHEPClient } from "whip-whep/whep.js";
import { WHIPClient } from "whip-whep/whip.js";

const RATE_HZ = 48_000;
const CHUNK = RATE_HZ / 100; // RTCAudioSource takes 10 ms at a time

const [, , mode, endpoint, token, tone] = process.argv;
const { MediaStream, RTCPeerConnection, nonstandard } = wrtc;
Object.assign(globalThis, { MediaStream, RTCPeerConnection });
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();

const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
if (mode === "speak") {
  const source = new nonstandard.RTCAudioSource();
  peer.addTrack(source.createTrack(), new MediaStream());
  await new WHIPClient().publish(peer, endpoint, token);
  console.error("published");
  sing(source);
} else {
  peer.addTransceiver("audio", { direction: "recvonly" });
  peer.ontrack = ({ track }) => record(track);
  await new WHEPClient().view(peer, endpoint, token);
}

function sing(source) {
  let at = 0;
  const started = performance.now();
  setInterval(() => {
    while (at < ((performance.now() - started) / 1000) * RATE_HZ) {
      const samples = Int16Array.from({ length: CHUNK }, (_, i) => 16384 * Math.sin((2 * Math.PI * tone * (at + i)) / RATE_HZ));
      source.onData({ samples, sampleRate: RATE_HZ, bitsPerSample: 16, channelCount: 1, numberOfFrames: CHUNK });
      at += CHUNK;
    }
  }, 10);
}

function record(track) {
  const sink = new nonstandard.RTCAudioSink(track);
  sink.ondata = ({ samples, sampleRate, channelCount }) => {
    if (sampleRate !== RATE_HZ) return; // silence before the first packet comes at another rate
    const mono = Int16Array.from({ length: samples.length / channelCount }, (_, i) => samples[i * channelCount]);
    process.stdout.write(Buffer.from(mono.buffer));
  };
}
