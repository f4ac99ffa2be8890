/** The faces of a small audience. A large one is a number: nobody reads ten thousand names, and no server sends them. */

/** Up to here the audience is fetched whenever its number changes, at most once in `REST_MS`. */
const SMALL = 60;
const REST_MS = 5_000;

export class Audience {
  #client;
  #changed;
  #count = null;
  #timer = null;

  /** @type {readonly import("../sdk/roster.js").Participant[]} as of the last look */
  people = [];

  /** @param {import("../palco.js").SpaceClient} client @param {() => void} changed called when `people` is new */
  constructor(client, changed) {
    this.#client = client;
    this.#changed = changed;
    client.addEventListener("change", () => this.#onRoster());
  }

  /** Looks now, however many there are; for someone who asked to see them. */
  async look() {
    try {
      const everyone = await this.#client.participants();
      this.people = everyone.filter(({ role }) => role === "listener");
    } catch {
      return; // The line about the connection says what there is to say.
    }
    this.#changed();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#count = NaN;
  }

  #onRoster() {
    const { listeners } = this.#client.roster.counts;
    if (listeners === this.#count || Number.isNaN(this.#count)) return;
    this.#count = listeners;
    if (listeners === 0 || listeners > SMALL) {
      this.people = [];
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.look();
    }, REST_MS * Math.random());
  }
}
