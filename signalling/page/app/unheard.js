/** Notices someone who talks while muted. Pure machine: time is an argument. */

/** Louder than a room, as quiet as a calm voice (the meter's scale: -60 dBov is 0, -15 dBov is 1). */
const VOICE_LEVEL = 0.45;
/** A cough is shorter than this. */
const VOICE_MS = 900;
/** Once said, not said again for this long. */
const QUIET_MS = 30_000;

export class UnheardVoice {
  #since_ms = null;
  #said_ms = -Infinity;

  /**
   * @param {number} level 0 to 1
   * @param {{isUnheard: boolean, now_ms: number}} facts
   * @returns {boolean} whether to tell the person now
   */
  onLevel(level, { isUnheard, now_ms }) {
    if (!isUnheard || level < VOICE_LEVEL) {
      this.#since_ms = null;
      return false;
    }
    this.#since_ms ??= now_ms;
    if (now_ms - this.#since_ms < VOICE_MS || now_ms - this.#said_ms < QUIET_MS) return false;
    this.#said_ms = now_ms;
    return true;
  }
}
