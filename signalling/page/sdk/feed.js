/** The events of a space: one stream of envelopes, over whatever transport gets through. */

import { PalcoError, problemOf } from "./api.js";
import { backoff_ms, pause } from "./backoff.js";
import { ServerSentEvents } from "./sse.js";

/** Either transport must deliver its snapshot in this time, or the other is tried. */
const OPEN_LIMIT_MS = 6_000;
/** Servers ping an idle stream; this long without a byte (of server-sent events) means that it is dead. */
const SILENCE_LIMIT_MS = 45_000;

/**
 * @typedef {{type: string, seq: number, ts: string, space: string, data: any}} Envelope
 *
 * Events: `envelope` (a CustomEvent with the `Envelope` as detail) and `state`.
 * States: `connecting`, `open`, `waiting`, and for good `failed` (with `error`) or `closed`.
 *
 * WebSocket comes first: it passes most networks and costs least. A WebSocket cannot say why it was refused, so after
 * one that never opened, server-sent events are read by fetch, which either works (a proxy without WebSocket) or yields
 * the problem document. A stream that follows another names the last event that was seen: the server then sends what was
 * missed (`resumed`), or where it has forgotten that, a new `snapshot`.
 */
export class EventFeed extends EventTarget {
  #api;
  #path;
  #end = new AbortController();
  #current = null;
  #usesSse = false;
  #socketWorks = false;
  #epoch = null;
  #seq = 0;

  state = "connecting";
  /** @type {PalcoError | null} */
  error = null;

  /** @param {import("./api.js").Api} api @param {string} space */
  constructor(api, space) {
    super();
    this.#api = api;
    this.#path = `/v1/spaces/${encodeURIComponent(space)}`;
    this.#run();
  }

  /** Begins a new stream now; for when the network is known to have changed. */
  refresh() {
    this.#current?.abort();
  }

  close() {
    this.#end.abort();
    this.#current?.abort();
    this.#become("closed");
  }

  async #run() {
    for (let attempt = 0; !this.#end.signal.aborted; attempt++) {
      this.#become("connecting");
      this.#current = new AbortController();
      let error = null;
      try {
        const wasOpen = await (this.#usesSse ? this.#readSse() : this.#readSocket());
        if (wasOpen) attempt = 0;
        // Where WebSocket is known to pass, server-sent events only bridge a moment (a server that was restarting).
        this.#usesSse = wasOpen ? this.#usesSse && !this.#socketWorks : !this.#usesSse;
      } catch (caught) {
        error = caught instanceof PalcoError ? caught : null;
        this.#usesSse = false;
      }
      if (this.#end.signal.aborted) return;
      if (error?.isFinal) return this.#become("failed", error);
      // Never opened by WebSocket: ask the other transport at once what is wrong.
      if (this.#usesSse && attempt === 0) continue;
      this.#become("waiting", error);
      await pause(backoff_ms(attempt, Math.random(), error?.retryAfter_s), this.#end.signal);
    }
  }

  /** @returns {Promise<boolean>} whether it was ever open */
  async #readSocket() {
    const token = await this.#api.token();
    const url = new URL(`${this.#path}/ws${this.#after()}`, this.#api.baseUrl);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, ["palco.v1", `palco.token.${token}`]);
    const { signal } = this.#current;
    return await new Promise((resolve) => {
      let isOpen = false;
      const limit = setTimeout(() => socket.close(), OPEN_LIMIT_MS);
      signal.addEventListener("abort", () => socket.close());
      socket.addEventListener("message", ({ data }) => {
        if (typeof data !== "string" || signal.aborted) return;
        if (!isOpen) clearTimeout(limit);
        isOpen = true;
        this.#socketWorks = true;
        this.#take(data);
      });
      socket.addEventListener("close", () => {
        clearTimeout(limit);
        resolve(isOpen);
      });
    });
  }

  async #readSse() {
    const current = this.#current;
    const response = await this.#api.request("GET", `${this.#path}/events${this.#after()}`, {
      headers: { Accept: "text/event-stream" },
      signal: current.signal,
    });
    if (!response.body) throw await problemOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new ServerSentEvents();
    let isOpen = false;
    let limit = setTimeout(() => current.abort(), OPEN_LIMIT_MS);
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return isOpen;
        clearTimeout(limit);
        limit = setTimeout(() => current.abort(), SILENCE_LIMIT_MS);
        for (const { data } of parser.push(value)) {
          isOpen = true;
          this.#take(data);
        }
      }
    } catch {
      return isOpen;
    } finally {
      clearTimeout(limit);
    }
  }

  #take(text) {
    const envelope = JSON.parse(text);
    this.#epoch = envelope.data?.epoch ?? this.#epoch; // of a snapshot, or of what was resumed
    this.#seq = envelope.seq;
    if (this.state !== "open") this.#become("open");
    this.dispatchEvent(new CustomEvent("envelope", { detail: envelope }));
  }

  #after() {
    return this.#epoch === null ? "" : `?after=${encodeURIComponent(`${this.#epoch}-${this.#seq}`)}`;
  }

  #become(state, error = null) {
    if (this.state === "closed") return;
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("state"));
  }
}
