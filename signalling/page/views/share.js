/** The link that brings others here. */

import { h, icon, setText } from "../app/dom.js";
import { t } from "../app/messages.js";
import { shareLink } from "../app/route.js";
import { openDialog } from "./dialog.js";

/** @param {{id: string, title: string}} space */
export function openShare({ id, title }) {
  const link = shareLink(id, location.href);
  const field = h("input", { class: "field", id: "share-link", readonly: true, value: link, on: { focus: () => field.select() } });
  const copied = h("p", { class: "field-note", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      setText(copied, t("share.copied"));
    } catch {
      field.select();
      setText(copied, t("share.copy_yourself"));
    }
  };
  const pass = () => navigator.share({ title, url: link }).catch(() => {});
  return openDialog(
    { title: t("share.title") },
    h("p", { class: "dialog-text", text: t("share.text") }),
    h("label", { class: "visually-hidden", for: "share-link", text: t("share.link") }),
    field,
    copied,
    h(
      "div",
      { class: "actions" },
      navigator.share && h("button", { class: "button quiet", type: "button", on: { click: pass } }, icon("share"), h("span", { text: t("share.system") })),
      h("button", { class: "button primary", type: "button", on: { click: copy } }, icon("copy"), h("span", { text: t("share.copy") })),
    ),
  );
}
