/** One WHIP, WHEP or stage session: a peer connection and the HTTP resource that stands for it. */

import { PalcoError } from "./api.js";
import { iceServers, restartedAnswer, restartFragment, withDtx } from "./sdp.js";

/** A check that finds no way through in this time finds none later: UDP is blocked (browsers give up after 15 s). */
export const CONNECT_LIMIT_MS = 10_000;

/** @returns {boolean} whether this browser can hold a session at all */
export function isSupported() {
  return typeof globalThis.RTCPeerConnection === "function" && "addTransceiver" in RTCPeerConnection.prototype;
}

/**
 * @typedef {object} Shape
 * @property {string} endpoint where the offer is posted, such as `/whep/evening-talk`
 * @property {boolean} sends whether the first section may carry our microphone
 * @property {number} slots sections in which the server may send; more than one is Palco's extension to WHEP
 */

export class Session {
  #api;
  #shape;
  #peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
  #sender = null;
  #url = null;
  #isEnded = false;
  #end = new AbortController();

  /**
   * @param {import("./api.js").Api} api
   * @param {Shape} shape
   * @param {{track?: MediaStreamTrack | null}} [options] `track`: what is sent from the start
   */
  constructor(api, shape, { track = null } = {}) {
    this.#api = api;
    this.#shape = shape;
    const received = Math.max(shape.slots, shape.sends ? 1 : 0);
    for (let index = 0; index < received; index++) {
      const isSending = shape.sends && index === 0;
      const direction = isSending ? (shape.slots > 0 ? "sendrecv" : "sendonly") : "recvonly";
      const transceiver = this.#peer.addTransceiver(isSending && track ? track : "audio", { direction });
      if (isSending) this.#sender = transceiver.sender;
    }
  }

  /** The session's URL, known once opened. */
  get url() {
    return this.#url;
  }

  /** @returns {MediaStreamTrack[]} one per slot, in the order of the sections */
  get tracks() {
    if (this.#shape.slots === 0) return [];
    return this.#peer.getTransceivers().map((transceiver) => transceiver.receiver.track);
  }

  /** Posts the offer and takes the answer; throws `PalcoError`. */
  async open() {
    const offer = await this.#peer.createOffer();
    const response = await this.#api.request("POST", this.#shape.endpoint, {
      body: withDtx(offer.sdp),
      headers: { "Content-Type": "application/sdp", Accept: "application/sdp, application/problem+json" },
      signal: this.#end.signal,
    });
    const location = response.headers.get("Location");
    if (!location) throw new PalcoError("no_location", "The server named no session.");
    this.#url = new URL(location, new URL(this.#shape.endpoint, this.#api.baseUrl));
    const answer = await response.text();
    if (this.#isEnded) return void this.#delete();
    // ICE servers are known only now, which is why the offer becomes the local description after the answer came.
    const servers = iceServers(response.headers.get("Link"));
    if (servers.length > 0) this.#peer.setConfiguration({ ...this.#peer.getConfiguration(), iceServers: servers });
    await this.#peer.setLocalDescription(offer);
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /**
   * New ICE credentials over the same DTLS session: sound goes on over another network.
   *
   * Nothing is touched until the server agreed; after an error (404: it no longer knows us) the session is as before.
   */
  async restartIce() {
    const offer = await this.#peer.createOffer({ iceRestart: true });
    const response = await this.#api.request("PATCH", this.#url, {
      body: restartFragment(offer.sdp),
      headers: { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" },
      signal: this.#end.signal,
    });
    const fragment = await response.text();
    const answer = restartedAnswer(this.#peer.currentRemoteDescription.sdp, fragment);
    await this.#peer.setLocalDescription(offer);
    await this.#peer.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** Resolves true once media can flow, false when it cannot within `limit_ms` or the session ended. */
  connected(limit_ms = CONNECT_LIMIT_MS) {
    return this.#until((state) => state === "connected", (state) => state === "failed" || state === "closed", limit_ms);
  }

  /** Resolves when a standing session is interrupted: the path is lost, or the server hung up. */
  async interrupted() {
    await this.#until((state) => state !== "connected", () => false, Infinity);
  }

  /** @param {MediaStreamTrack | null} track what to send from now on; renegotiates nothing */
  async setTrack(track) {
    await this.#sender?.replaceTrack(track);
  }

  /** @returns {Promise<RTCStatsReport>} */
  report() {
    return this.#peer.getStats();
  }

  /** Ends the session here and on the server; never throws. */
  close() {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#end.abort();
    this.#peer.close();
    this.#peer.dispatchEvent(new Event("connectionstatechange"));
    this.#delete();
  }

  /** `keepalive`, because the page may be on its way out; the server would notice our silence after 30 s anyway. */
  #delete() {
    if (this.#url === null) return;
    this.#api.request("DELETE", this.#url, { keepalive: true }).catch(() => {});
  }

  /** The peer connection's state; a server that hung up (DTLS closed) counts as "failed", which browsers do not say. */
  #state() {
    const { connectionState } = this.#peer;
    if (connectionState !== "connected") return connectionState;
    const dtls = this.#peer.getTransceivers()[0]?.sender.transport?.state;
    return dtls === "closed" || dtls === "failed" ? "failed" : connectionState;
  }

  #until(isReached, isHopeless, limit_ms) {
    return new Promise((resolve) => {
      const dtls = this.#peer.getTransceivers()[0]?.sender.transport;
      const finish = (reached) => {
        clearTimeout(timer);
        this.#peer.removeEventListener("connectionstatechange", check);
        dtls?.removeEventListener("statechange", check);
        resolve(reached);
      };
      const check = () => {
        const state = this.#state();
        if (isReached(state)) finish(true);
        else if (isHopeless(state)) finish(false);
      };
      const timer = Number.isFinite(limit_ms) ? setTimeout(() => finish(false), limit_ms) : undefined;
      this.#peer.addEventListener("connectionstatechange", check);
      dtls?.addEventListener("statechange", check);
      check();
    });
  }
}
