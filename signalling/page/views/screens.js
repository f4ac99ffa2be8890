/** Whole screens for when there is no space to show: what happened, in plain words, and what to do next. */

import { h, icon } from "../app/dom.js";
import { has, t } from "../app/messages.js";
import { SCREENS } from "../app/problems.js";

/**
 * @param {string} name of `SCREENS`
 * @param {{ways?: Record<string, () => void>, reason?: string}} [options] `ways`: what each way on does; one without an
 *   action is left out. `reason`: picks a text of its own where there is one (`screen.<name>.<reason>`)
 * @returns {HTMLElement}
 */
export function screen(name, { ways = {}, reason = "" } = {}) {
  const { icon: drawing, ways: offered } = SCREENS[name];
  const buttons = offered
    .filter((way) => ways[way])
    .map((way, index) =>
      h("button", { class: index === 0 ? "button primary" : "button quiet", type: "button", text: t(`way.${way}`), on: { click: ways[way] } }),
    );
  const title = h("h1", { class: "screen-title", tabindex: "-1", text: t(`screen.${name}.title`) });
  const why = has(`screen.${name}.${reason}`) ? reason : "text";
  const element = h(
    "main",
    { class: "screen", dataset: { screen: name } },
    h(
      "div",
      { class: "screen-card" },
      h("div", { class: "screen-drawing" }, icon(drawing)),
      title,
      h("p", { class: "screen-text", text: t(`screen.${name}.${why}`) }),
      has(`screen.${name}.next`) ? h("p", { class: "screen-next", text: t(`screen.${name}.next`) }) : null,
      buttons.length > 0 ? h("div", { class: "actions" }, ...buttons) : null,
    ),
  );
  queueMicrotask(() => title.focus({ preventScroll: true }));
  return element;
}
