/** One visit to a space as the page sees it: the client, the microphone and what the two mean for the person. */

import { mayModerate, PalcoError, SpaceClient } from "../palco.js";
import { Microphone } from "../audio/microphone.js";
import { Audience } from "./audience.js";
import { prefer, preferences } from "./preferences.js";
import { UnheardVoice } from "./unheard.js";

/**
 * Events:
 * - `change`    something that is drawn changed
 * - `level`     our own loudness changed
 * - `onstage`   we were brought on stage and have no microphone yet: ask first; `offstage` takes it back
 * - `notice`    CustomEvent, detail `{key, values?, tone?}`: a sentence for the person
 * - `invited`, `over` (detail: why), `reactions` (detail: counts): as in `SpaceClient`
 */
export class Visit extends EventTarget {
  #before = { role: "", isMuted: false };
  #unheard = new UnheardVoice();
  #isGoingOnAir = false;

  /** @type {Microphone | null} */
  microphone = null;
  hasAskedToListen = false;

  /** @param {{space: string, token: import("../palco.js").TokenSource}} options */
  constructor({ space, token }) {
    super();
    this.client = new SpaceClient({ space, token });
    this.audience = new Audience(this.client, () => this.#changed());
    this.client.playback.volume = preferences.volume;
    if (preferences.output) this.client.playback.setOutput(preferences.output).catch(() => prefer({ output: "" }));
    this.client.addEventListener("change", () => this.#onRoster());
    this.client.addEventListener("connection", () => this.#changed());
    this.client.playback.addEventListener("blocked", () => this.#changed());
    for (const type of ["reactions", "over"]) {
      this.client.addEventListener(type, ({ detail }) => this.dispatchEvent(new CustomEvent(type, { detail })));
    }
    this.client.addEventListener("invited", () => this.dispatchEvent(new Event("invited")));
    this.client.addEventListener("over", () => this.#dropMicrophone());
  }

  get roster() {
    return this.client.roster;
  }

  get role() {
    return this.roster.you?.role ?? "listener";
  }

  get isOnStage() {
    return this.role !== "listener";
  }

  get isModerator() {
    return mayModerate(this.role);
  }

  /** `none` (no microphone here), `locked` (muted by a moderator), `closed` (muted by us) or `open`. */
  get microphoneState() {
    if (!this.microphone) return "none";
    if (this.roster.you?.is_muted) return "locked";
    return this.microphone.isOpen ? "open" : "closed";
  }

  get hasRaisedHand() {
    return this.client.me?.has_raised_hand ?? false;
  }

  listen() {
    this.hasAskedToListen = true;
    return this.client.join();
  }

  /**
   * Goes on air; the microphone is ours from here on. Throws `PalcoError`.
   *
   * @param {Microphone} microphone @param {{isOpen: boolean}} options
   */
  async goOnAir(microphone, { isOpen }) {
    this.#isGoingOnAir = true; // the server may call us a speaker before our microphone is ours
    try {
      await this.client.speak(microphone.track);
    } catch (error) {
      microphone.close();
      throw error;
    } finally {
      this.#isGoingOnAir = false;
    }
    this.#adopt(microphone);
    this.setOpen(isOpen);
  }

  /**
   * Says yes to an invitation and goes on air; throws `PalcoError`.
   *
   * @param {Microphone} microphone @param {{isOpen: boolean}} options
   */
  async acceptInvitation(microphone, options) {
    this.#isGoingOnAir = true;
    try {
      await this.client.accept();
      await this.goOnAir(microphone, options);
    } catch (error) {
      microphone.close();
      throw error;
    } finally {
      this.#isGoingOnAir = false;
    }
  }

  /** @param {boolean} isOpen has no effect against a moderator's mute, which only the server can lift */
  setOpen(isOpen) {
    if (!this.microphone || (isOpen && this.microphoneState === "locked")) return;
    this.microphone.isOpen = isOpen;
    this.#changed();
  }

  /** The microphone button: opens, closes, or, muted by a moderator, says so (a moderator just unmutes). */
  async toggleMicrophone() {
    if (this.microphoneState !== "locked") return this.setOpen(this.microphoneState === "closed");
    if (!this.isModerator) return this.notice("notice.locked");
    await this.attempt(() => this.client.moderate(this.roster.you.identity, "unmute"));
  }

  /** @param {string} deviceId changes the microphone on air */
  async useMicrophone(deviceId) {
    const next = await Microphone.open(deviceId);
    next.isOpen = this.microphone?.isOpen ?? false;
    await this.client.speak(next.track);
    this.#adopt(next);
    prefer({ microphone: deviceId });
  }

  /** @param {boolean} isRaised */
  async raiseHand(isRaised) {
    const done = await this.attempt(() => this.client.raiseHand(isRaised));
    if (done && isRaised) this.notice("notice.hand_raised");
  }

  /**
   * Runs a request of the person's; a refusal becomes a sentence on the screen.
   *
   * @param {() => Promise<unknown>} action @returns {Promise<boolean>} whether it was done
   */
  async attempt(action) {
    try {
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof PalcoError)) throw error;
      if (error.code === "left") return false;
      const isKnown = ["stage_full", "unreachable"].includes(error.code);
      this.notice(isKnown ? `notice.${error.code}` : "notice.refused", { detail: error.message }, "warning");
      return false;
    }
  }

  /** @param {string} key @param {Record<string, string>} [values] @param {"plain" | "warning"} [tone] */
  notice(key, values = {}, tone = "plain") {
    this.dispatchEvent(new CustomEvent("notice", { detail: { key, values, tone } }));
  }

  leave() {
    this.client.leave();
    this.audience.stop();
    this.#dropMicrophone();
  }

  #adopt(microphone) {
    this.#dropMicrophone();
    this.microphone = microphone;
    microphone.addEventListener("level", () => {
      const isUnheard = this.microphoneState === "closed" || this.microphoneState === "locked";
      if (this.#unheard.onLevel(microphone.level, { isUnheard, now_ms: performance.now() })) {
        this.notice(this.microphoneState === "locked" ? "notice.locked_but_speaking" : "notice.muted_but_speaking");
      }
      this.dispatchEvent(new Event("level"));
    });
    microphone.addEventListener("lost", () => this.#replaceLost(microphone));
  }

  /** Unplugged: the system's other microphone takes over, closed if there is none. */
  async #replaceLost(microphone) {
    if (this.microphone !== microphone) return;
    try {
      await this.useMicrophone("");
      this.notice("notice.microphone_replaced");
    } catch {
      this.setOpen(false);
      this.notice("notice.microphone_lost", {}, "warning");
    }
  }

  #dropMicrophone() {
    this.microphone?.close();
    this.microphone = null;
  }

  #onRoster() {
    const { you } = this.roster;
    if (you) {
      const { role, isMuted } = this.#before;
      this.#before = { role: you.role, isMuted: you.is_muted };
      if (role && role !== you.role) this.#onRole(role, you.role);
      else if (!role && you.role !== "listener" && this.hasAskedToListen) this.#askForMicrophone();
      if (this.microphone && isMuted !== you.is_muted) this.#onMute(you.is_muted);
    }
    this.#changed();
  }

  #onRole(before, now) {
    if (now === "listener") {
      this.#dropMicrophone();
      this.client.fallSilent();
      this.dispatchEvent(new Event("offstage"));
      this.notice("notice.moved_to_audience");
    } else if (before === "listener") {
      this.#askForMicrophone();
    } else {
      this.notice(`notice.now_${now}`);
    }
  }

  #askForMicrophone() {
    if (!this.microphone && !this.#isGoingOnAir) this.dispatchEvent(new Event("onstage"));
  }

  /** Lifting a mute opens nothing: nobody's microphone goes live by another's hand. */
  #onMute(isMuted) {
    this.microphone.isOpen = false;
    this.notice(isMuted ? "notice.host_muted_you" : "notice.may_speak_again", {}, isMuted ? "warning" : "plain");
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
