/** One person's presence in one space: what happens there, what is heard, what may be done. */

import { Api, PalcoError } from "./api.js";
import { EventFeed } from "./feed.js";
import { Playback } from "./playback.js";
import { apply, emptyRoster } from "./roster.js";
import { SteadySession } from "./steady.js";

/** Voices that a listener can hear at once where they are forwarded: each section gets the next loudest speaker. */
const AUDIENCE_SLOTS = 4;
/** The first event is there within a round trip or two of the events' connection. */
const FIRST_EVENT_MS = 800;
/** A full stage of ten, less ourselves. */
const STAGE_SLOTS = 9;

/**
 * Events:
 * - `change`      `roster` is another one
 * - `connection`  `media.state`, `feed.state` or an error of theirs changed
 * - `over`        CustomEvent, detail: `"ended"`, `"cancelled"`, or why we were put out (`"removed"`, `"blocked"` …);
 *                 everything is closed by then
 * - and every event of the server under its own type, as a CustomEvent with its data: `reactions` (`{counts}`),
 *   `you.invited` (`{role}`: answer with `answerInvitation`), `you.hand_declined`, `space.host_gone` (`{ends_at}`) …
 */
export class SpaceClient extends EventTarget {
  #path;
  #isOver = false;

  /** @type {import("./roster.js").Roster} */
  roster = emptyRoster();
  playback = new Playback();
  /** @type {SteadySession | null} the session in use, of the audience or of the stage */
  media = null;
  /** @type {EventFeed | null} */
  feed = null;

  /**
   * @param {object} options
   * @param {string} options.space
   * @param {string | import("./api.js").TokenSource} options.token
   * @param {string | URL} [options.baseUrl] the server; by default where this page comes from
   */
  constructor({ space, token, baseUrl }) {
    super();
    this.space = space;
    this.api = new Api({ token, baseUrl });
    this.#path = `/v1/spaces/${encodeURIComponent(space)}`;
  }

  /** Our own entry in the roster, once the server has told us who we are. */
  get me() {
    const { you, participants } = this.roster;
    return you ? participants.get(you.identity) : undefined;
  }

  /** The space as it is now (`GET /v1/spaces/{space}`), also one that has not begun or is over. */
  read() {
    return this.api.call("GET", this.#path);
  }

  /** Follows the events without sound yet, so that a screen can be drawn before its reader decides to enter. */
  follow() {
    if (this.feed) return;
    this.feed = new EventFeed(this.api, this.space);
    this.feed.addEventListener("envelope", ({ detail }) => this.#on(detail));
    this.feed.addEventListener("state", () => {
      this.#onState(this.feed);
    });
  }

  /**
   * Follows and hears the space as one of the audience; never touches a microphone.
   *
   * One section hears everyone in a space whose audience is sent the mix; where voices are forwarded apart it takes as
   * many as are to be heard at once. Which it is, the first event says.
   *
   * @returns {Promise<boolean>} whether sound can flow; false also when something else came first, such as `speak`
   */
  async join() {
    this.follow();
    const before = this.media;
    await this.#firstEvent();
    if (this.#isOver || this.media !== before) return false;
    const endpoint = `/whep/${encodeURIComponent(this.space)}`;
    const slots = this.roster.space?.audience === "mix" ? 1 : AUDIENCE_SLOTS;
    this.#use(new SteadySession(this.api, { endpoint, sends: false, slots }));
    return await this.media.settled();
  }

  /**
   * Speaks with `track`. The audience's session is given up only when the stage's stands: no word is missed.
   *
   * Throws the `PalcoError` that stood in the way, such as `stage_full`; what was heard before goes on.
   *
   * @param {MediaStreamTrack} track muted by its `enabled`
   */
  async speak(track) {
    this.follow();
    if (this.media?.sends) return await this.media.setTrack(track);
    const stage = new SteadySession(
      this.api,
      { endpoint: `${this.#path}/sessions`, sends: true, slots: STAGE_SLOTS },
      { track },
    );
    if (!this.media) this.#use(stage);
    if (!(await stage.settled())) {
      const error = stage.error ?? new PalcoError("left", "Left while connecting.");
      stage.close();
      if (this.media === stage) this.media = null;
      throw error;
    }
    if (this.media !== stage) this.#use(stage);
  }

  /** Sends nothing more, listens on; for those who go back to the audience. */
  async fallSilent() {
    if (this.media?.sends) await this.media.setTrack(null);
  }

  /** The network is known to have changed: look whether the events still come. */
  refresh() {
    this.feed?.refresh();
  }

  /** Leaves without a word. */
  leave() {
    this.#isOver = true;
    this.feed?.close();
    this.media?.close();
    this.playback.stop();
  }

  /** @param {boolean} isRaised asks to speak, or no longer */
  raiseHand(isRaised) {
    return this.api.call(isRaised ? "POST" : "DELETE", `${this.#path}/hand`);
  }

  /** @param {string} emoji */
  react(emoji) {
    return this.api.call("POST", `${this.#path}/reactions`, { emoji });
  }

  /** Tells all that our microphone is off, and closes the gate behind it. @param {boolean} isMuted */
  muteSelf(isMuted) {
    return this.api.call(isMuted ? "POST" : "DELETE", `${this.#path}/self-mute`);
  }

  /** Goes on stage by ourselves, where `mayStepUp(roster)`; `speak` follows. */
  stepUp() {
    return this.api.call("POST", `${this.#path}/stage`);
  }

  /** Back to the audience by ourselves. */
  stepDown() {
    return this.api.call("DELETE", `${this.#path}/stage`);
  }

  /** Answers an invitation; our role changes by a `you.changed` event. @param {boolean} isAccepted */
  answerInvitation(isAccepted) {
    return this.#act(this.roster.you.identity, isAccepted ? "accept" : "decline");
  }

  /**
   * @param {string} identity
   * @param {"mute" | "unmute" | "invite" | "accept-hand" | "decline-hand" | "demote" | "promote" | "remove" | "block" | "unblock"} action
   * @param {object} [options] for `promote` and `invite`: `{role: "speaker" | "cohost"}`
   */
  moderate(identity, action, options) {
    return this.#act(identity, action, options);
  }

  /** @returns {Promise<string[]>} the identities that were muted by this */
  async muteAll() {
    return (await this.api.call("POST", `${this.#path}/mute-all`)).muted;
  }

  /** Pins a link for all to see. @param {string} url http or https @param {string} [title] */
  addLink(url, title) {
    return this.api.call("POST", `${this.#path}/links`, title ? { url, title } : { url });
  }

  /** @param {string} link its id */
  removeLink(link) {
    return this.api.call("DELETE", `${this.#path}/links/${encodeURIComponent(link)}`);
  }

  /** @param {string[]} order the ids of all links, as they are to stand */
  orderLinks(order) {
    return this.api.call("PATCH", `${this.#path}/links`, { order });
  }

  /** Everyone present, the silent audience included, which the roster leaves out. Costly in a large space. */
  async participants() {
    return (await this.api.call("GET", `${this.#path}/participants`)).participants;
  }

  /** @returns {Promise<{identity: string, at: string}[]>} whom the host has blocked; for moderators */
  async blocks() {
    return (await this.api.call("GET", `${this.#path}/blocks`)).blocks;
  }

  /** @param {{title?: string, speak?: "everyone" | "followed" | "invited", entry?: "open" | "muted", starts_at?: string}} changes */
  edit(changes) {
    return this.api.call("PATCH", this.#path, changes);
  }

  /** Begins a scheduled space now. */
  start() {
    return this.api.call("POST", `${this.#path}/start`);
  }

  /** Calls a scheduled space off. */
  cancel() {
    return this.api.call("POST", `${this.#path}/cancel`);
  }

  /** Ends the space for all. */
  end() {
    return this.api.call("POST", `${this.#path}/end`);
  }

  /** Resolves with the first event; or when there is none to wait for: sound does not depend on events. */
  #firstEvent() {
    if (this.roster.space) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, FIRST_EVENT_MS);
      const check = () => {
        if (!this.roster.space && ["connecting", "open"].includes(this.feed.state)) return;
        clearTimeout(timer);
        resolve();
      };
      this.addEventListener("change", check, { once: true });
      this.feed.addEventListener("state", check);
    });
  }

  #act(identity, action, options) {
    return this.api.call("POST", `${this.#path}/participants/${encodeURIComponent(identity)}/${action}`, options);
  }

  #use(session) {
    this.media?.close();
    this.media = session;
    const play = () => this.media === session && this.playback.play(session.tracks);
    session.addEventListener("slots", play);
    session.addEventListener("state", () => {
      if (this.media === session) this.#onState(session);
    });
    if (session.tracks.length > 0) play();
    this.#notify("connection");
  }

  /** A refusal may come before the event that explains it: a space that we were in and that is unknown now has ended. */
  #onState({ state, error }) {
    const code = state === "failed" ? error?.code : null;
    if (code === "removed" || code === "blocked") this.#finish(code);
    else if (this.roster.space?.state === "live" && (code === "unknown_space" || code === "space_ended")) this.#finish("ended");
    else this.#notify("connection");
  }

  #on(envelope) {
    if (this.#isOver) return;
    const roster = apply(this.roster, envelope);
    if (roster !== this.roster) {
      this.roster = roster;
      this.#notify("change");
    }
    const { type, data } = envelope;
    if (type === "you.removed") this.#finish(data.reason);
    else if (type === "server.draining") this.#moveAfter(data.reconnect_after_s);
    else if (roster.space?.state === "ended" || roster.space?.state === "cancelled") this.#finish(roster.space.state);
    if (!this.#isOver) this.dispatchEvent(new CustomEvent(type, { detail: data }));
  }

  /** The server is going out of service: where another takes over, we are there before this one is gone. */
  #moveAfter(wait_s) {
    setTimeout(() => {
      if (this.#isOver) return;
      this.feed?.refresh();
      this.media?.renew();
    }, 1000 * wait_s);
  }

  #finish(why) {
    if (this.#isOver) return;
    this.leave();
    this.dispatchEvent(new CustomEvent("over", { detail: why }));
  }

  #notify(type) {
    this.dispatchEvent(new Event(type));
  }
}
