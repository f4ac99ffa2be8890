// Hears what a page hears: all remote tracks of its peer connections, mixed, as frequencies.
(() => {
  const BINS = 4096; // 11.7 Hz each at 48 kHz
  const LOOK_MS = 100;
  const FLOOR_DB = -75; // the page's own comfort noise lies below
  const peers = [];
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      peers.push(this);
    }
  };

  const connected = new Map();
  let audio;
  let analyser;
  const listen = async () => {
    const heard = peers.filter(({ connectionState }) => connectionState === "connected");
    const tracks = heard.flatMap((peer) => peer.getReceivers().map(({ track }) => track));
    if (tracks.length === 0) return;
    audio ??= new AudioContext();
    analyser ??= new AnalyserNode(audio, { fftSize: BINS, smoothingTimeConstant: 0 });
    await audio.resume();
    for (const track of tracks.filter((one) => !connected.has(one))) {
      const source = audio.createMediaStreamSource(new MediaStream([track]));
      source.connect(analyser);
      connected.set(track, source);
    }
  };

  /** The loudest level in dB around `hz` within the next `looks` looks. */
  const level = async (hz, looks = 1) => {
    let loudest = -Infinity;
    for (let look = 0; look < looks; look++) {
      await listen();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      if (!analyser) continue;
      const spectrum = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(spectrum);
      const at = Math.round((hz * BINS) / audio.sampleRate);
      loudest = Math.max(loudest, ...spectrum.slice(at - 2, at + 3));
    }
    return loudest;
  };

  /** What the loudest slot's decoder counted so far. */
  const counted = async () => {
    const reports = await Promise.all(peers.filter(({ connectionState }) => connectionState === "connected").map((peer) => peer.getStats()));
    const slots = reports.flatMap((report) => [...report.values()]).filter(({ type }) => type === "inbound-rtp");
    slots.sort((a, b) => b.totalAudioEnergy - a.totalAudioEnergy);
    return slots[0] ?? { totalAudioEnergy: 0, totalSamplesDuration: 0, totalSamplesReceived: 0, concealedSamples: 0, silentConcealedSamples: 0 };
  };

  window.ear = {
    /** After so many seconds of sound: its mean square, and the share of it that had to be invented. */
    decodes: async (seconds) => {
      const before = await counted();
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
        const now = await counted();
        const since = (field) => now[field] - before[field];
        const duration_s = since("totalSamplesDuration");
        if (duration_s < seconds) continue;
        const invented = since("concealedSamples") - since("silentConcealedSamples");
        return { mean_square: since("totalAudioEnergy") / duration_s, concealed: invented / since("totalSamplesReceived") };
      }
    },
    /** Resolves once `hz` is heard. */
    hears: async (hz) => {
      while ((await level(hz)) < FLOOR_DB + 15);
      return true;
    },
    /**
     * Resolves once `silent` has not been heard for 15 looks: while `witness` was, and 20 dB below it (both are sent
     * equally loud, and a busy machine's dropouts click at every frequency), or, without a witness, at all.
     */
    misses: async (silent, witness) => {
      for (;;) {
        const [missed, heard] = await Promise.all([level(silent, 15), witness ? level(witness, 15) : FLOOR_DB + 20]);
        if (heard > FLOOR_DB + 15 && missed < heard - 20) return true;
      }
    },
  };
})();
