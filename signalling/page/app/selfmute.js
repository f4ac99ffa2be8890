/** Keeps the server's word about our microphone in step with ours. The last wish wins; one request at a time. */

import { PalcoError } from "../palco.js";

export class SelfMute {
  #client;
  #wish = null;
  #isTelling = false;

  /** @param {import("../palco.js").SpaceClient} client */
  constructor(client) {
    this.#client = client;
  }

  /** Whether a word of ours is on its way: what the server says meanwhile may be older. */
  get isTelling() {
    return this.#isTelling;
  }

  /** @param {boolean} isMuted @returns {Promise<PalcoError | null>} what the last request met with */
  async tell(isMuted) {
    this.#wish = isMuted;
    if (this.#isTelling) return null;
    this.#isTelling = true;
    try {
      for (let told = null; told !== this.#wish; ) {
        const wish = this.#wish;
        await this.#client.muteSelf(wish);
        told = wish;
      }
      return null;
    } catch (error) {
      if (error instanceof PalcoError) return error;
      throw error;
    } finally {
      this.#isTelling = false;
    }
  }
}
