/** Where tokens come from: the link, the application that embeds this page, or, in development, the server itself. */

import { Api, claims } from "../palco.js";
import { preferences } from "./preferences.js";
import { spaceId } from "./route.js";

const KEY = "palco.tokens";
/** Stands for no space: development's tokens are for one, and the lobby only lists. */
const LOBBY = "lobby";
/** How long an application may take to answer `palco.expired` with a new token. */
const RENEWAL_LIMIT_MS = 10_000;

/** The window that embeds this page or opened it; null where a person did. */
const owner = window.parent === window ? window.opener : window.parent;

/**
 * Tokens by space, kept for the life of the tab: they leave the address bar, so that a copied address carries none,
 * and yet a reload stays in the space.
 */
export class Credentials {
  #tokens = read();
  #isDevelopment = null;
  #renewed = () => {};

  /** @param {string} token @param {string | null} space by default the one that the token names */
  keep(token, space = null) {
    const room = space ?? claims(token).video?.room;
    if (!room) return null;
    this.#tokens[room] = { token, role: null };
    this.#write();
    this.#renewed();
    return room;
  }

  /** @param {string} space forgets its token: it was refused for good */
  forget(space) {
    delete this.#tokens[space];
    this.#write();
  }

  /**
   * A source of tokens for one space, as `Api` wants it; null when nobody gave us one.
   *
   * @param {string} space
   * @param {"host" | "listener"} [role] what to ask for in development
   */
  async source(space, role) {
    const kept = this.#tokens[space];
    if (kept && kept.role === null) return ({ isRefused }) => this.#given(space, isRefused);
    // The first question is asked for this very space: its answer is both the proof of development and the token.
    if (!kept && !(await this.#probe(space, role ?? "listener"))) return null;
    return async ({ isRefused }) => {
      const held = this.#tokens[space];
      if (held && !isRefused && (!role || held.role === role)) return held.token;
      return await this.#ask(space, role ?? held?.role ?? "listener");
    };
  }

  /** Whether this server hands out tokens by itself: development mode, never production. */
  isDevelopment() {
    return this.#probe(LOBBY, "listener");
  }

  /** A token that may list spaces: development's, or one whose grant says so. */
  async lobby() {
    const listing = Object.entries(this.#tokens).find(([, { token }]) => claims(token).video?.roomList);
    if (listing) return await this.source(listing[0]);
    return (await this.isDevelopment()) ? await this.source(LOBBY) : null;
  }

  /** A token of the application's; a refused one is asked for again where the application can still be asked. */
  async #given(space, isRefused) {
    const { token } = this.#tokens[space];
    if (!isRefused || !owner) return token;
    owner.postMessage({ type: "palco.expired", space }, "*"); // says nothing that the owner did not tell us
    await Promise.race([new Promise((resolve) => (this.#renewed = resolve)), new Promise((resolve) => setTimeout(resolve, RENEWAL_LIMIT_MS))]);
    return this.#tokens[space].token;
  }

  async #probe(space, role) {
    this.#isDevelopment ??= this.#ask(space, role).then(
      () => true,
      (error) => {
        if (error.status === 0) this.#isDevelopment = null;
        return false;
      },
    );
    return await this.#isDevelopment;
  }

  async #ask(space, role) {
    const api = new Api({ token: "" });
    const wish = { space, role, identity: ownIdentity(), name: preferences.name || undefined };
    const { token } = await api.call("POST", "/dev/tokens", wish);
    this.#tokens[space] = { token, role };
    this.#write();
    return token;
  }

  #write() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(this.#tokens));
    } catch {
      // Storage forbidden: a reload will ask for the link again.
    }
  }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}

/**
 * In development a tab is a person, so that one browser can play several; by another name it is another person.
 * Made of the name, because lists show it as it is.
 */
function ownIdentity() {
  const { name } = preferences;
  const made = { name, identity: spaceId(name || "guest", crypto.getRandomValues(new Uint16Array(1))[0].toString(36)) };
  try {
    const kept = JSON.parse(sessionStorage.getItem("palco.identity") ?? "{}");
    if (kept.name === name) return kept.identity;
    sessionStorage.setItem("palco.identity", JSON.stringify(made));
  } catch {
    // Storage forbidden: another person with every token, which development can bear.
  }
  return made.identity;
}

/**
 * Takes tokens from the application around us: `postMessage({type: "palco.token", space?, token})`.
 *
 * Only the window that embeds or opened this page is heard, and only from an origin that the server's operator named
 * (`page.embedders`) or the page's own: nobody else can put a visitor into a space under a name of theirs.
 *
 * @param {(message: {token: string, space: string | null}) => void} take
 */
export function listenForTokens(take) {
  if (!owner) return;
  const named = document.querySelector('meta[name="palco-embedders"]')?.content.split(" ") ?? [];
  const origins = new Set([location.origin, ...named]);
  window.addEventListener("message", ({ source, origin, data }) => {
    if (source !== owner || !origins.has(origin)) return;
    if (data?.type !== "palco.token" || typeof data.token !== "string") return;
    take({ token: data.token, space: typeof data.space === "string" ? data.space : null });
  });
  // Says only that we are ready, so any origin may read it.
  owner.postMessage({ type: "palco.ready" }, "*");
}
