/** Short sentences above the bar, and the one place from which a screen reader is spoken to. */

import { h, icon } from "../app/dom.js";
import { t } from "../app/messages.js";

const SHOWN_MS = 7_000;
const MOST = 3;

/**
 * A polite live region that does not chatter: at most three notices, the same one never twice at a time.
 *
 * @returns {{element: HTMLElement, show: (text: string, options?: {tone?: string, action?: string, run?: () => void}) => void, clear: () => void}}
 */
export function notices() {
  const element = h("div", { class: "notices", role: "status", "aria-live": "polite" });
  const dismiss = (notice) => notice.remove();
  const show = (text, { tone = "plain", action, run } = {}) => {
    if ([...element.children].some((child) => child.dataset.text === text)) return;
    while (element.children.length >= MOST) dismiss(element.firstElementChild);
    const notice = h("div", { class: `notice ${tone}`, dataset: { text } }, h("span", { text }));
    if (action) {
      const act = () => {
        dismiss(notice);
        run?.();
      };
      notice.append(h("button", { class: "button small", type: "button", text: action, on: { click: act } }));
    }
    notice.append(
      h("button", { class: "icon-button small", type: "button", "aria-label": t("dismiss"), on: { click: () => dismiss(notice) } }, icon("close")),
    );
    element.append(notice);
    expire(notice, dismiss);
  };
  return { element, show, clear: () => element.replaceChildren() };
}

/** Goes by itself, but not while it is read or reached for. */
function expire(notice, dismiss) {
  let timer;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => dismiss(notice), SHOWN_MS);
  };
  const stop = () => clearTimeout(timer);
  notice.addEventListener("pointerenter", stop);
  notice.addEventListener("focusin", stop);
  notice.addEventListener("pointerleave", start);
  notice.addEventListener("focusout", start);
  start();
}
