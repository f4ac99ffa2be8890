// Stands in for RTCPeerConnection where a test is about the page, not about media: connects at once, carries nothing.
// `window.peerDouble.path = "blocked"` makes connections fail as they do where UDP is blocked;
// "waiting" leaves them connecting. `window.peerDouble.set(state)` moves the newest one. `<html data-peers="1" data-sends="nothing">` says how many are
// connected and whether the newest sends, where a test can wait for it.
(() => {
  const peers = [];
  const silence = () => new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];

  const tell = () => {
    const { dataset } = document.documentElement;
    dataset.peers = String(peers.filter(({ connectionState }) => connectionState === "connected").length);
    dataset.sends = window.peerDouble.sent() ? "a track" : "nothing";
  };

  class PeerDouble extends EventTarget {
    connectionState = "new";
    currentRemoteDescription = { sdp: "v=0\r\n" };
    #transceivers = [];
    #dtls = Object.assign(new EventTarget(), { state: "new" });

    constructor() {
      super();
      peers.push(this);
    }

    addTransceiver(trackOrKind, { direction }) {
      const sender = {
        track: typeof trackOrKind === "string" ? null : trackOrKind,
        transport: this.#dtls,
        replaceTrack: async (track) => {
          sender.track = track;
          tell();
        },
      };
      const transceiver = { sender, receiver: { track: silence() }, direction };
      this.#transceivers.push(transceiver);
      return transceiver;
    }

    getTransceivers() {
      return this.#transceivers;
    }

    async createOffer() {
      const sections = this.#transceivers.map(({ direction }, mid) => `m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=${direction}\r\na=mid:${mid}\r\n`);
      return { type: "offer", sdp: `v=0\r\n${sections.join("")}` };
    }

    getConfiguration() {
      return {};
    }

    setConfiguration() {}

    async setLocalDescription() {}

    async setRemoteDescription() {
      this.move({ open: "connected", blocked: "failed", waiting: "connecting" }[window.peerDouble.path]);
    }

    move(state) {
      this.connectionState = state;
      tell();
      this.dispatchEvent(new Event("connectionstatechange"));
    }

    async getStats() {
      return new Map();
    }

    close() {
      this.connectionState = "closed";
      tell();
    }
  }

  window.RTCPeerConnection = PeerDouble;
  window.peerDouble = {
    path: "open",
    set: (state) => peers.at(-1).move(state),
    sent: () => peers.at(-1).getTransceivers()[0].sender.track,
  };
})();
