/** One person's presence in one space: what happens there, what is heard, what may be done. */

import { Api, PalcoError } from "./api.js";
import { EventFeed } from "./feed.js";
import { Playback } from "./playback.js";
import { apply, emptyRoster } from "./roster.js";
import { SteadySession } from "./steady.js";

/** Voices that a listener can hear at once; a server in `forward` mode gives each section the next loudest speaker. */
const AUDIENCE_SLOTS = 4;
/** A full stage of ten, less ourselves. */
const STAGE_SLOTS = 9;

/**
 * Events:
 * - `change`      `roster` is another one
 * - `connection`  `media.state`, `feed.state` or an error of theirs changed
 * - `reactions`   CustomEvent, detail: `{emoji: count}`
 * - `invited`     a moderator asks us on stage: answer with `accept()`
 * - `over`        CustomEvent, detail: `"removed"`, `"blocked"` or `"ended"`; everything is closed by then
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

  /** Follows the events without sound yet, so that a screen can be drawn before its reader decides to enter. */
  follow() {
    if (this.feed) return;
    this.feed = new EventFeed(this.api, this.space);
    this.feed.addEventListener("envelope", ({ detail }) => this.#on(detail));
    this.feed.addEventListener("state", () => {
      this.#onState(this.feed);
    });
  }

  /** Follows and hears the space as one of the audience; never touches a microphone. */
  async join() {
    this.follow();
    const endpoint = `/whep/${encodeURIComponent(this.space)}`;
    this.#use(new SteadySession(this.api, { endpoint, sends: false, slots: AUDIENCE_SLOTS }));
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

  /** @param {boolean} isRaised */
  raiseHand(isRaised) {
    return this.api.call(isRaised ? "POST" : "DELETE", `${this.#path}/hand`);
  }

  /** @param {string} emoji */
  react(emoji) {
    return this.api.call("POST", `${this.#path}/reactions`, { emoji });
  }

  /** Says yes to an invitation; our role changes by a `you.changed` event. */
  accept() {
    return this.#act(this.roster.you.identity, "accept");
  }

  /**
   * @param {string} identity
   * @param {"mute" | "unmute" | "invite" | "demote" | "promote" | "remove" | "block"} action
   * @param {object} [options] for `promote`: `{role: "speaker" | "cohost"}`
   */
  moderate(identity, action, options) {
    return this.#act(identity, action, options);
  }

  /** @returns {Promise<string[]>} the identities that were muted by this */
  async muteAll() {
    return (await this.api.call("POST", `${this.#path}/mute-all`)).muted;
  }

  /** Everyone present, the silent audience included, which the roster leaves out. Costly in a large space. */
  async participants() {
    return (await this.api.call("GET", `${this.#path}/participants`)).participants;
  }

  /** Ends the space for all. */
  end() {
    return this.api.call("POST", `${this.#path}/end`);
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
    else if (this.roster.space && (code === "unknown_space" || code === "space_ended")) this.#finish("ended");
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
    if (type === "reactions") this.dispatchEvent(new CustomEvent("reactions", { detail: data.counts }));
    else if (type === "you.invited") this.#notify("invited");
    else if (type === "you.removed") this.#finish(data?.is_blocked ? "blocked" : "removed");
    else if (roster.space?.state === "ended") this.#finish("ended");
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
