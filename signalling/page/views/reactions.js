/** Reactions: chosen from a small tray, floating up from the stage's edge. */

import { h, icon } from "../app/dom.js";
import { t } from "../app/messages.js";

/** What is sent and the drawing that stands for it, the same on every device. */
export const REACTIONS = [
  { emoji: "❤️", drawing: "r-heart", name: "heart" },
  { emoji: "👏", drawing: "r-clap", name: "clap" },
  { emoji: "😂", drawing: "r-laugh", name: "laugh" },
  { emoji: "😮", drawing: "r-wow", name: "wow" },
  { emoji: "🔥", drawing: "r-fire", name: "fire" },
  { emoji: "💯", drawing: "r-hundred", name: "hundred" },
];
const BY_EMOJI = new Map(REACTIONS.map((reaction) => [reaction.emoji, reaction]));

/** However many thousand react, this many float at a time. */
const MOST_AFLOAT = 28;
/** A second's worth of reactions is spread over the second. */
const SPREAD_MS = 900;

/** They rise in the wings, left and right of the faces: 6 to 22 % and 68 to 84 % of the width. Pure. */
function lane(random) {
  return Math.round(random < 0.5 ? 6 + random * 32 : 68 + (random - 0.5) * 32);
}

/** @returns {{element: HTMLElement, show: (counts: Record<string, number>) => void, showOwn: (emoji: string) => void}} */
export function reactions() {
  const element = h("div", { class: "afloat", "aria-hidden": "true" });
  /** Ours are shown at once; the server's echo of them is then left out. */
  const own = new Map();

  const float = (emoji, delay_ms) => {
    if (element.children.length >= MOST_AFLOAT) return;
    const drawing = BY_EMOJI.get(emoji);
    const one = h("span", { class: "floating", dataset: { reaction: drawing?.name ?? "other" } }, drawing ? icon(drawing.drawing) : emoji);
    one.style.setProperty("--from", `${lane(Math.random())}%`);
    one.style.setProperty("--sway", `${Math.round(Math.random() * 60 - 30)}px`);
    one.style.setProperty("--delay", `${Math.round(delay_ms)}ms`);
    one.addEventListener("animationend", () => one.remove());
    element.append(one);
  };

  const show = (counts) => {
    for (const [emoji, count] of Object.entries(counts)) {
      const echoes = Math.min(count, own.get(emoji) ?? 0);
      own.set(emoji, (own.get(emoji) ?? 0) - echoes);
      for (let index = echoes; index < Math.min(count, MOST_AFLOAT); index++) float(emoji, Math.random() * SPREAD_MS);
    }
  };
  const showOwn = (emoji) => {
    own.set(emoji, (own.get(emoji) ?? 0) + 1);
    float(emoji, 0);
  };
  return { element, show, showOwn };
}

/**
 * The tray above the bar, closed by choosing, by Escape or by looking elsewhere.
 *
 * @param {(emoji: string) => void} choose
 * @returns {{element: HTMLElement, toggle: (opener: HTMLElement) => void}}
 */
export function tray(choose) {
  let opener = null;
  const close = (returnFocus) => {
    element.hidden = true;
    opener?.setAttribute("aria-expanded", "false");
    if (returnFocus) opener?.focus();
  };
  const element = h(
    "div",
    { class: "tray", role: "region", "aria-label": t("reactions.name"), hidden: true },
    ...REACTIONS.map(({ emoji, drawing, name }) =>
      h(
        "button",
        { class: "tray-button", type: "button", "aria-label": t(`reactions.${name}`), dataset: { reaction: name }, on: { click: () => choose(emoji) } },
        icon(drawing),
      ),
    ),
  );
  element.addEventListener("keydown", ({ key }) => key === "Escape" && close(true));
  element.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !element.contains(relatedTarget) && relatedTarget !== opener) close(false);
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (element.isConnected && !element.contains(target) && !opener?.contains(target)) close(false);
  });
  const toggle = (from) => {
    opener = from;
    if (!element.hidden) return close(true);
    element.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    element.querySelector("button").focus();
  };
  return { element, toggle };
}
