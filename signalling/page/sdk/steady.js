/** A session that is kept up: ICE restart first, a new session second, both with back-off. */

import { PalcoError } from "./api.js";
import { backoff_ms, pause } from "./backoff.js";
import { Session } from "./session.js";

/** A restart that works does so within a round trip or two of the network being back. */
const RESTART_LIMIT_MS = 6_000;
const RESTART_TRIES = 2;
/** Tries before "UDP is blocked" is said, when there has never been a path. */
const FIRST_TRIES = 2;

/**
 * Events: `state` whenever `state` changes, `slots` whenever `tracks` are new ones.
 *
 * States: `connecting` → `connected` ⇄ `interrupted` (the path is being repaired) → `waiting` (between tries) →
 * `connecting`; `failed` (with `error`: it is pointless to go on) and `closed` (by us) are final.
 */
export class SteadySession extends EventTarget {
  #api;
  #shape;
  #track;
  #session = null;
  #end = new AbortController();

  state = "connecting";
  /** @type {PalcoError | null} */
  error = null;

  /**
   * @param {import("./api.js").Api} api
   * @param {import("./session.js").Shape} shape
   * @param {{track?: MediaStreamTrack | null}} [options]
   */
  constructor(api, shape, { track = null } = {}) {
    super();
    this.#api = api;
    this.#shape = shape;
    this.#track = track;
    this.#run();
  }

  /** @returns {MediaStreamTrack[]} */
  get tracks() {
    return this.#session?.tracks ?? [];
  }

  get sends() {
    return this.#shape.sends;
  }

  /** Resolves true when connected, false when failed or closed. */
  settled() {
    return new Promise((resolve) => {
      const check = () => {
        if (!["connected", "failed", "closed"].includes(this.state)) return;
        this.removeEventListener("state", check);
        resolve(this.state === "connected");
      };
      this.addEventListener("state", check);
      check();
    });
  }

  /** @param {MediaStreamTrack | null} track kept for the sessions that may follow this one */
  async setTrack(track) {
    this.#track = track;
    await this.#session?.setTrack(track);
  }

  /**
   * A new session in place of one that stands, which is given up only then; where none can be had, the old one stays.
   * For a server that says it is going: behind a load balancer another one answers.
   */
  async renew() {
    if (this.state !== "connected") return;
    const before = this.#session;
    const next = new Session(this.#api, this.#shape);
    try {
      await next.open();
      if (!(await next.connected()) || before !== this.#session || this.#end.signal.aborted) return next.close();
    } catch {
      return next.close();
    }
    this.#session = next;
    before.close(); // before our voice goes out by the other: nobody hears it twice
    await next.setTrack(this.#track);
    this.dispatchEvent(new Event("slots"));
  }

  /** @returns {Promise<RTCStatsReport | null>} */
  async report() {
    return (await this.#session?.report()) ?? null;
  }

  close() {
    if (this.state === "closed") return;
    this.#end.abort();
    this.#session?.close();
    this.#become("closed");
  }

  async #run() {
    let hasConnected = false;
    for (let attempt = 0; !this.#end.signal.aborted; attempt++) {
      const error = await this.#openOne();
      if (this.#end.signal.aborted) return;
      if (error === null) {
        hasConnected = true;
        attempt = 0;
        this.#become("connected");
        await this.#whileRepairable();
        continue;
      }
      const isHopeless = error.code === "no_path" && !hasConnected && attempt + 1 >= FIRST_TRIES;
      if (error.isFinal || isHopeless) return this.#become("failed", error);
      this.#become("waiting", error);
      await pause(backoff_ms(attempt, Math.random(), error.retryAfter_s), this.#end.signal);
    }
  }

  /** @returns {Promise<PalcoError | null>} null: connected */
  async #openOne() {
    this.#become("connecting");
    const session = new Session(this.#api, this.#shape, { track: this.#track });
    this.#session = session;
    try {
      await session.open();
      this.dispatchEvent(new Event("slots"));
      if (await session.connected()) return null;
      session.close();
      return new PalcoError("no_path", "No media path to the server could be opened.");
    } catch (error) {
      session.close();
      return error instanceof PalcoError ? error : new PalcoError("negotiation_failed", String(error));
    }
  }

  /** Returns when the present session is beyond repair. */
  async #whileRepairable() {
    while (!this.#end.signal.aborted) {
      const session = this.#session;
      await session.interrupted();
      if (this.#end.signal.aborted) return;
      if (session !== this.#session) continue;
      this.#become("interrupted");
      if (!(await this.#repair(session))) {
        session.close();
        return;
      }
      this.#become("connected");
    }
  }

  async #repair(session) {
    for (let attempt = 0; attempt < RESTART_TRIES && !this.#end.signal.aborted; attempt++) {
      try {
        await session.restartIce();
        if (await session.connected(RESTART_LIMIT_MS)) return true;
      } catch (error) {
        if (error instanceof PalcoError && error.isFinal) return false;
        await pause(backoff_ms(attempt, Math.random(), error.retryAfter_s), this.#end.signal);
      }
    }
    return false;
  }

  #become(state, error = null) {
    if (this.state === "closed") return;
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("state"));
  }
}
