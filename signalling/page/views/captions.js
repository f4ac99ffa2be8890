/** Captions as a theatre has them: two lines over the footlights, there while someone speaks. */

import { h, icon, list, setAttribute, setText } from "../app/dom.js";
import { t } from "../app/messages.js";
import { prefer, preferences } from "../app/preferences.js";

const LINES = 2;
/** After this much silence the last line goes. */
const STAYS_MS = 8_000;

/**
 * Not spoken by screen readers as it changes: they would talk over the very voice that it repeats. It can be read.
 *
 * @param {import("../app/visit.js").Visit} visit
 * @returns {{element: HTMLElement, toggle: HTMLElement, update: () => void}}
 */
export function captions(visit) {
  const lines = h("div", { class: "surtitles", role: "log", "aria-live": "off", "aria-label": t("captions.name"), hidden: true });
  const toggle = h(
    "button",
    { class: "icon-button", type: "button", "aria-label": t("captions.name"), hidden: true, on: { click: () => flip() } },
    icon("captions"),
  );
  let shown = visit.roster.captions;
  let isFresh = false;
  let timer;

  const draw = () => {
    setAttribute(toggle, "aria-pressed", String(preferences.hasCaptions));
    lines.hidden = !preferences.hasCaptions || !isFresh;
    list(lines, shown.slice(-LINES).map((caption, index) => ({ ...caption, index })), {
      key: ({ index }) => String(index),
      create: () => h("p", { class: "surtitle" }, h("span", { class: "surtitle-name" }), h("span", { class: "surtitle-text" })),
      update: (line, { identity, text, is_final, language }) => {
        const person = visit.roster.participants.get(identity);
        setText(line.querySelector(".surtitle-name"), identity === null ? "" : (person?.name || identity));
        setText(line.querySelector(".surtitle-text"), text);
        setAttribute(line, "lang", language);
        line.classList.toggle("open", !is_final);
      },
    });
  };
  const flip = () => {
    prefer({ hasCaptions: !preferences.hasCaptions });
    draw();
  };
  const update = () => {
    const now = visit.roster.captions;
    if (now === shown) return;
    shown = now;
    isFresh = now.length > 0;
    toggle.hidden &&= !isFresh;
    clearTimeout(timer);
    timer = setTimeout(() => {
      isFresh = false;
      draw();
    }, STAYS_MS);
    draw();
  };
  draw();
  return { element: lines, toggle, update };
}
