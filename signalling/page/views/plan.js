/** Announces a space for later: what, when, and who may speak. */

import { h, icon, setText } from "../app/dom.js";
import { t } from "../app/messages.js";
import { TITLE_LIMIT } from "../app/route.js";
import { openDialog } from "./dialog.js";
import { speakChoice } from "./manage.js";

const DESCRIPTION_LIMIT = 280;
/** The first proposal: the next full hour that is at least this far away. */
const NOTICE_MS = 30 * 60_000;

/** A moment as `<input type="datetime-local">` has it: the reader's own time, to the minute. Pure. @param {Date} moment */
export function localInput(moment) {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {number} now_ms @returns {Date} */
export function proposal(now_ms) {
  return new Date(Math.ceil((now_ms + NOTICE_MS) / 3_600_000) * 3_600_000);
}

/**
 * @param {{title: string, plan: (wish: {title: string, description?: string, starts_at: string, speak: string}) => Promise<void>}} options
 */
export function openPlan({ title: begun, plan }) {
  const title = h("input", { class: "field", id: "plan-title", maxlength: TITLE_LIMIT, required: true, value: begun, autocomplete: "off" });
  const description = h("textarea", { class: "field", id: "plan-description", maxlength: DESCRIPTION_LIMIT, rows: 2 });
  const when = h("input", { class: "field", id: "plan-when", type: "datetime-local", required: true, min: localInput(new Date()), value: localInput(proposal(Date.now())) });
  const speak = speakChoice({ id: "plan-speak", value: "invited" });
  const problem = h("p", { class: "field-problem", role: "alert" });
  const go = h("button", { class: "button primary", type: "submit" }, icon("clock"), h("span", { text: t("plan.go") }));
  const submit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    setText(problem, "");
    const wish = { title: title.value.trim(), starts_at: new Date(when.value).toISOString(), speak: speak.select.value };
    const words = description.value.trim();
    try {
      await plan(words ? { ...wish, description: words } : wish);
      dialog.close();
    } catch (error) {
      setText(problem, t("lobby.not_created", { detail: error.message }));
      go.disabled = false;
    }
  };
  const labelled = (field, key) => h("div", { class: "setting" }, h("label", { class: "field-label", for: field.id, text: t(key) }), field);
  const dialog = openDialog(
    { title: t("plan.title") },
    h(
      "form",
      { on: { submit } },
      labelled(title, "lobby.title_label"),
      labelled(when, "plan.when"),
      labelled(description, "plan.description"),
      speak.element,
      problem,
      h("div", { class: "actions" }, go),
    ),
  );
}
