/** One visit to a space as the page sees it: the client, the microphone and what the two mean for the person. */

import { mayModerate, mayStepUp, PalcoError, SpaceClient } from "../palco.js";
import { Microphone } from "../audio/microphone.js";
import { Audience } from "./audience.js";
import { sentenceFor, tellNews } from "./news.js";
import { prefer, preferences } from "./preferences.js";
import { SelfMute } from "./selfmute.js";
import { UnheardVoice } from "./unheard.js";

/** Events come a moment after the answer to what caused them: what still holds after this is no echo of ours. */
const SETTLED_MS = 400;
/** Refusals of a session to speak in that leave one to listen in. */
const STAGE_LOST = new Set(["stage_full", "not_on_stage"]);

/**
 * Events:
 * - `change`    something that is drawn changed
 * - `level`     our own loudness changed
 * - `onstage`   we were brought on stage and have no microphone yet: ask first; `offstage` takes it back
 * - `notice`    CustomEvent, detail `{key, values?, tone?}`: a sentence for the person
 * - `invited` (detail: the role), `over` (detail: why), `reactions` (detail: counts)
 */
export class Visit extends EventTarget {
  #before = { role: "", isMuted: false, isSelfMuted: false };
  #blocked = new Set();
  #unheard = new UnheardVoice();
  #isGoingOnAir = false;
  #mayPublish;
  /** By a host: the way back on stage leads over a raised hand. */
  #wasSentBack = false;
  #isSteppingDown = false;
  #selfMute;

  /** @type {Microphone | null} */
  microphone = null;
  isOver = false;

  /** @param {{space: string, token: import("../palco.js").TokenSource, mayPublish?: boolean}} options `mayPublish`: by token */
  constructor({ space, token, mayPublish = false }) {
    super();
    this.#mayPublish = mayPublish;
    this.client = new SpaceClient({ space, token });
    this.#selfMute = new SelfMute(this.client);
    this.audience = new Audience(this.client, () => this.#changed());
    this.client.playback.volume = preferences.volume;
    if (preferences.output) this.client.playback.setOutput(preferences.output).catch(() => prefer({ output: "" }));
    this.client.addEventListener("change", () => this.#onRoster());
    this.client.addEventListener("connection", () => this.#onConnection());
    this.client.playback.addEventListener("blocked", () => this.#changed());
    const pass = (from, to, pick) =>
      this.client.addEventListener(from, ({ detail }) => this.dispatchEvent(new CustomEvent(to, { detail: pick(detail) })));
    pass("reactions", "reactions", ({ counts }) => counts);
    pass("you.invited", "invited", ({ role }) => role ?? "speaker");
    pass("over", "over", (why) => why);
    tellNews(this.client, (...sentence) => this.notice(...sentence));
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

  /** Whether the stage is one click away, with nobody to ask. */
  get mayStepUp() {
    return !this.isOnStage && !this.#wasSentBack && (this.#mayPublish || mayStepUp(this.roster));
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
    return this.client.join();
  }

  /**
   * Goes on air; the microphone is ours from here on. Throws `PalcoError`.
   *
   * @param {Microphone} microphone
   * @param {{isOpen: boolean, isInvited?: boolean}} options `isInvited`: this is the answer to an invitation
   */
  async goOnAir(microphone, { isOpen, isInvited = false }) {
    this.#isGoingOnAir = true; // the server may call us a speaker before our microphone is ours
    try {
      if (isInvited) await this.client.answerInvitation(true);
      else if (!this.isOnStage && !this.#mayPublish) await this.client.stepUp();
      await this.client.speak(microphone.track);
    } catch (error) {
      microphone.close();
      if (error.code === "not_on_stage") this.#wasSentBack = true;
      throw error;
    } finally {
      this.#isGoingOnAir = false;
    }
    this.#adopt(microphone);
    this.setOpen(isOpen);
    if (this.microphoneState === "locked") this.notice(this.roster.space?.entry === "muted" ? "notice.entry_muted" : "notice.locked");
  }

  /** @param {boolean} isOpen has no effect against a moderator's mute, which only the server can lift */
  setOpen(isOpen) {
    if (!this.microphone || (isOpen && this.microphoneState === "locked")) return;
    this.microphone.isOpen = isOpen; // ours at once; the others see it when the server has it
    this.#selfMute.tell(!isOpen).then((error) => this.#onTold(error, isOpen));
    this.#changed();
  }

  /** The microphone button: opens, closes, or, muted by a moderator, says so (a moderator just unmutes). */
  async toggleMicrophone() {
    if (this.microphoneState !== "locked") return void this.setOpen(this.microphoneState === "closed");
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

  /** Back to the audience by oneself. */
  async stepDown() {
    this.#isSteppingDown = true;
    if (!(await this.attempt(() => this.client.stepDown()))) this.#isSteppingDown = false;
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
      this.#refused(error);
      return false;
    }
  }

  /** @param {string} key @param {Record<string, string>} [values] @param {"plain" | "warning"} [tone] */
  notice(key, values = {}, tone = "plain") {
    this.dispatchEvent(new CustomEvent("notice", { detail: { key, values, tone } }));
  }

  leave() {
    this.isOver = true;
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
      const { role, isMuted, isSelfMuted } = this.#before;
      this.#before = { role: you.role, isMuted: you.is_muted, isSelfMuted: you.is_self_muted };
      if (role && role !== you.role) this.#onRole(role, you.role);
      else if (!role && you.role !== "listener" && !this.#mayPublish) this.#askForMicrophone();
      if (this.microphone && isMuted !== you.is_muted) this.#onMute(you.is_muted);
      if (you.is_self_muted && !isSelfMuted) this.#onMutedElsewhere();
      this.#warnOfBlocked(you.blocked_on_stage ?? []);
    }
    this.#changed();
  }

  #onRole(before, now) {
    if (now === "listener") {
      this.#wasSentBack = !this.#isSteppingDown;
      this.#isSteppingDown = false;
      this.#dropMicrophone();
      this.client.fallSilent();
      this.dispatchEvent(new Event("offstage"));
      this.notice("notice.moved_to_audience");
    } else if (before === "listener") {
      this.#wasSentBack = false;
      this.#askForMicrophone();
    } else {
      this.notice(`notice.now_${now}`);
    }
  }

  /** The stage may be lost while the connection was: then there is still the audience. */
  #onConnection() {
    const { media } = this.client;
    if (media?.sends && media.state === "failed" && STAGE_LOST.has(media.error?.code)) {
      this.#dropMicrophone();
      this.notice(`notice.${media.error.code}`, {}, "warning");
      return void this.listen();
    }
    this.#changed();
  }

  #askForMicrophone() {
    if (!this.microphone && !this.#isGoingOnAir) this.dispatchEvent(new Event("onstage"));
  }

  /** Lifting a mute opens nothing: nobody's microphone goes live by another's hand. */
  #onMute(isMuted) {
    this.setOpen(false);
    this.notice(isMuted ? "notice.host_muted_you" : "notice.may_speak_again", {}, isMuted ? "warning" : "plain");
  }

  /** By another tab of ours, unless it is our own coming on stage muted: then a talking microphone would reach nobody. */
  #onMutedElsewhere() {
    setTimeout(() => {
      if (!this.roster.you.is_self_muted || !this.microphone?.isOpen || this.#selfMute.isTelling) return;
      this.microphone.isOpen = false;
      this.#changed();
    }, SETTLED_MS);
  }

  /** A gate that did not open is a microphone that is off, whatever we wished. */
  #onTold(error, isOpen) {
    if (error === null || !isOpen || !this.microphone?.isOpen) return;
    this.microphone.isOpen = false;
    this.#refused(error);
    this.#changed();
  }

  #refused(error) {
    const { key, values } = sentenceFor(error);
    this.notice(key, values, "warning");
  }

  #warnOfBlocked(identities) {
    for (const identity of identities.filter((one) => !this.#blocked.has(one))) {
      this.#blocked.add(identity);
      const name = this.roster.participants.get(identity)?.name || identity;
      this.notice("notice.blocked_on_stage", { name }, "warning");
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
