/** Whole screens for when there is no space to show: what happened, in plain words, and what to do next. */

import { h, icon, setText } from "../app/dom.js";
import { clock, has, t } from "../app/messages.js";
import { SCREENS } from "../app/problems.js";

/**
 * @param {string} name of `SCREENS`
 * @param {{ways?: Record<string, () => void>, begins_at?: string, note?: string}} [options] `ways`: what each way on does;
 *   one without an action is left out
 * @returns {HTMLElement}
 */
export function screen(name, { ways = {}, begins_at, note } = {}) {
  const { icon: drawing, ways: offered } = SCREENS[name];
  const buttons = offered
    .filter((way) => ways[way])
    .map((way, index) =>
      h("button", { class: index === 0 ? "button primary" : "button quiet", type: "button", text: t(`way.${way}`), on: { click: ways[way] } }),
    );
  const title = h("h1", { class: "screen-title", tabindex: "-1", text: t(`screen.${name}.title`) });
  const element = h(
    "main",
    { class: "screen", dataset: { screen: name } },
    h(
      "div",
      { class: "screen-card" },
      h("div", { class: "screen-drawing" }, icon(drawing)),
      title,
      h("p", { class: "screen-text", text: t(`screen.${name}.text`) }),
      begins_at ? countdown(begins_at, ways.retry) : null,
      has(`screen.${name}.next`) ? h("p", { class: "screen-next", text: t(`screen.${name}.next`) }) : null,
      note ? h("p", { class: "screen-note", text: note }) : null,
      buttons.length > 0 ? h("div", { class: "actions" }, ...buttons) : null,
    ),
  );
  queueMicrotask(() => title.focus({ preventScroll: true }));
  return element;
}

/** Time left until a space begins; then `begin` is called, once. Not a live region: it would speak every second. */
function countdown(begins_at, begin) {
  const element = h("p", { class: "countdown", role: "timer", "aria-live": "off" });
  const at_ms = Date.parse(begins_at);
  const tick = () => {
    const left_s = (at_ms - Date.now()) / 1000;
    setText(element, clock(left_s));
    wasShown ||= element.isConnected;
    if (!wasShown || (element.isConnected && left_s > 0)) return;
    clearInterval(timer);
    if (element.isConnected) begin?.();
  };
  let wasShown = false;
  const timer = setInterval(tick, 1000);
  tick();
  return element;
}
