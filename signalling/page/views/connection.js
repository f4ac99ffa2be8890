/** The one line that says when something is not right with the connection, and goes when it is. */

import { h, icon, setText } from "../app/dom.js";
import { t } from "../app/messages.js";

/** A moment's trouble repairs itself unseen; this long is worth a word. */
const PATIENCE_MS = 1_200;

/**
 * Which sentence describes the connection; null while all is well. Pure.
 *
 * @param {{isOnline: boolean, media: string | undefined, feed: string | undefined, hasBeenConnected: boolean}} facts
 *   `media`, `feed`: the states of `SteadySession` and `EventFeed`
 */
export function wordFor({ isOnline, media, feed, hasBeenConnected }) {
  if (!isOnline) return "offline";
  if (media === "connecting" || media === "waiting" || media === "interrupted") {
    if (!hasBeenConnected) return "connecting";
    return feed === "open" ? "media" : "all";
  }
  return feed === "waiting" || feed === "connecting" ? "events" : null;
}

/**
 * @param {import("../palco.js").SpaceClient} client @param {AbortSignal} signal
 * @returns {{element: HTMLElement, update: () => void}}
 */
export function connectionLine(client, signal) {
  const text = h("span", {});
  const element = h("div", { class: "connection", role: "status", hidden: true }, icon("offline"), text);
  let hasBeenConnected = false;
  let word = null;
  let timer;
  const show = () => {
    element.hidden = word === null;
    element.classList.toggle("calm", word === "connecting");
    setText(text, word === null ? "" : t(`connection.${word}`));
  };
  const update = () => {
    hasBeenConnected ||= client.media?.state === "connected";
    const now = wordFor({ isOnline: navigator.onLine, media: client.media?.state, feed: client.feed?.state, hasBeenConnected });
    if (now === word) return;
    word = now;
    clearTimeout(timer);
    if (element.hidden && word !== null) timer = setTimeout(show, PATIENCE_MS);
    else show();
  };
  window.addEventListener("offline", update, { signal });
  window.addEventListener("online", update, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return { element, update };
}
