/** Dialogs: one look, one way to open, close and give back the focus. */

import { h, icon } from "../app/dom.js";
import { t } from "../app/messages.js";

/**
 * A modal `<dialog>`: a sheet from below on a phone, a card on a desktop; `drawer` stands at the right edge instead.
 *
 * @param {{title: string, kind?: "sheet" | "drawer", isModal?: boolean, canClose?: boolean}} options
 * @param {...Node} children
 * @returns {HTMLDialogElement} removed from the document when it closes; focus returns to where it was
 */
export function openDialog({ title, kind = "sheet", isModal = true, canClose = true }, ...children) {
  const before = document.activeElement;
  const heading = h("h2", { class: "dialog-title", id: `dialog-${Math.random().toString(36).slice(2)}`, tabindex: "-1", text: title });
  const dialog = h("dialog", { class: `dialog ${kind}`, "aria-labelledby": heading.id });
  const close = h("button", { class: "icon-button", type: "button", "aria-label": t("close"), on: { click: () => dialog.close() } }, icon("close"));
  dialog.append(h("div", { class: "dialog-head" }, heading, canClose && close), h("div", { class: "dialog-body" }, ...children));
  dialog.addEventListener("cancel", (event) => canClose || event.preventDefault());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !isModal && canClose) dialog.close();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && canClose && isModal) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  document.body.append(dialog);
  if (isModal) dialog.showModal();
  else dialog.show();
  heading.focus();
  return dialog;
}

/**
 * Asks before something that cannot be taken back.
 *
 * @param {{title: string, text: string, yes: string, no?: string}} words
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes, no = t("cancel") }) {
  return new Promise((resolve) => {
    let answer = false;
    const settle = (value) => () => {
      answer = value;
      dialog.close();
    };
    const dialog = openDialog(
      { title },
      h("p", { class: "dialog-text", text }),
      h(
        "div",
        { class: "actions" },
        h("button", { class: "button quiet", type: "button", text: no, on: { click: settle(false) } }),
        h("button", { class: "button danger", type: "button", text: yes, on: { click: settle(true) } }),
      ),
    );
    dialog.addEventListener("close", () => resolve(answer));
  });
}
