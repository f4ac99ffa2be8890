// A browser as plain WHIP and WHEP client, on an origin that is not the server's. Chromium and Firefox run the same.

async function exchange(peer, url, token) {
  await peer.setLocalDescription(await peer.createOffer());
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
    body: peer.localDescription.sdp,
  });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  if (!response.headers.get("Location") || !response.headers.get("ETag")) throw new Error("Location or ETag is hidden");
  await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
  await connected(peer);
}

function connected(peer) {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (peer.connectionState === "connected") resolve();
      if (peer.connectionState === "failed") reject(new Error("the connection failed"));
    };
    peer.addEventListener("connectionstatechange", look);
    look();
  });
}

window.speak = async (url, token) => {
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  window.speaking = peer;
  peer.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly", streams: [stream] });
  await exchange(peer, url, token);
};

window.hear = async (url, token) => {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  window.hearing = peer;
  const arrived = new Promise((resolve) => peer.addEventListener("track", (event) => resolve(event), { once: true }));
  peer.addTransceiver("audio", { direction: "recvonly" });
  await exchange(peer, url, token);
  const { track } = await arrived;
  const stream = new MediaStream([track]);
  // Chromium gives WebAudio the sound of a remote track only while an element plays it.
  const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
  await element.play();
  window.element = element;
  const context = new AudioContext();
  await context.resume();
  const analyser = Object.assign(context.createAnalyser(), { fftSize: 16384, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(stream).connect(analyser);
  window.ear = { context, analyser };
};

// The loudest frequency now; 0 below -60 dB, where there is next to nothing.
window.peakHz = () => {
  const { context, analyser } = window.ear;
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.reduce((best, level, index) => (level > bins[best] ? index : best), 0);
  return bins[loudest] > -60 ? (loudest * context.sampleRate) / analyser.fftSize : 0;
};
