/** Makes the slots of a session audible. */

/**
 * One `<audio>` element for each slot: the only way in which every browser plays several remote tracks at once, and in
 * which Chromium feeds them to Web Audio at all.
 *
 * Events: `blocked` when `isBlocked` changes. Browsers let a page sound only after a gesture; `resume()` must then be
 * called from within a click.
 */
export class Playback extends EventTarget {
  /** @type {HTMLAudioElement[]} */
  #elements = [];
  #volume = 1;
  #sink = "";

  isBlocked = false;

  /** @param {MediaStreamTrack[]} tracks replaces what was played before */
  play(tracks) {
    while (this.#elements.length > tracks.length) this.#elements.pop().srcObject = null;
    tracks.forEach((track, index) => {
      const element = (this.#elements[index] ??= this.#element());
      element.srcObject = new MediaStream([track]);
    });
    return this.resume();
  }

  /** @returns {Promise<boolean>} whether sound comes out */
  async resume() {
    const starts = await Promise.allSettled(this.#elements.map((element) => element.play()));
    const isBlocked = starts.some(({ reason }) => reason?.name === "NotAllowedError");
    if (isBlocked !== this.isBlocked) {
      this.isBlocked = isBlocked;
      this.dispatchEvent(new Event("blocked"));
    }
    return !isBlocked;
  }

  stop() {
    this.play([]);
  }

  get volume() {
    return this.#volume;
  }

  /** @param {number} volume 0 to 1; iOS leaves it to the buttons of the device */
  set volume(volume) {
    this.#volume = volume;
    for (const element of this.#elements) element.volume = volume;
  }

  /** Whether the loudspeaker can be chosen by the page (not in Safari). */
  get canChooseOutput() {
    return "setSinkId" in HTMLMediaElement.prototype;
  }

  /** @param {string} deviceId of an `audiooutput`; "" is the system's choice */
  async setOutput(deviceId) {
    this.#sink = deviceId;
    await Promise.all(this.#elements.map((element) => element.setSinkId(deviceId)));
  }

  #element() {
    const element = new Audio();
    element.autoplay = true;
    element.volume = this.#volume;
    if (this.#sink) element.setSinkId(this.#sink).catch(() => {});
    return element;
  }
}
