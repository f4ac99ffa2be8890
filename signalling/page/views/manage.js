/** For hosts and cohosts: what the space is called, who may speak, how speakers come in, and who is kept out. */

import { h, icon, list, setText } from "../app/dom.js";
import { t } from "../app/messages.js";
import { TITLE_LIMIT } from "../app/route.js";
import { openDialog } from "./dialog.js";

export const SPEAK = ["everyone", "followed", "invited"];

/**
 * A choice of who may speak.
 *
 * @param {{id: string, value: string, take?: (speak: string) => void}} options
 * @returns {{element: HTMLElement, select: HTMLSelectElement}}
 */
export function speakChoice({ id, value, take = () => {} }) {
  const select = h(
    "select",
    { class: "field", id, on: { change: () => take(select.value) } },
    ...SPEAK.map((speak) => h("option", { value: speak, text: t(`speak.${speak}`) })),
  );
  select.value = value;
  return { element: h("div", { class: "setting" }, h("label", { class: "field-label", for: id, text: t("manage.speak") }), select), select };
}

/**
 * @param {import("../app/visit.js").Visit} visit
 * @param {{end: () => void}} actions
 */
export function openManage(visit, { end }) {
  const edit = (changes) => visit.attempt(() => visit.client.edit(changes));
  const { space } = visit.roster;
  const title = titleForm(space.title, edit);
  const speak = speakChoice({ id: "manage-speak", value: space.speak, take: (chosen) => edit({ speak: chosen }) });
  const box = h("input", { type: "checkbox", id: "manage-entry", on: { change: () => edit({ entry: box.checked ? "muted" : "open" }) } });
  const entry = h(
    "div",
    { class: "setting" },
    h("label", { class: "choice", for: "manage-entry" }, box, h("span", { text: t("manage.entry") })),
    h("p", { class: "field-note", text: t("manage.entry.text") }),
  );
  const blocked = blockedPeople(visit);
  const close = h(
    "div",
    { class: "setting danger-zone" },
    h("button", { class: "button danger wide", type: "button", on: { click: end } }, icon("end"), h("span", { text: t("ask.leave.end") })),
  );
  close.hidden = visit.role !== "host";
  const dialog = openDialog({ title: t("manage.title") }, title, speak.element, entry, blocked, close);
  const update = () => {
    // Another moderator may change the same things meanwhile.
    speak.select.value = visit.roster.space.speak;
    box.checked = visit.roster.space.entry === "muted";
  };
  visit.addEventListener("change", update);
  dialog.addEventListener("close", () => visit.removeEventListener("change", update));
  update();
}

function titleForm(value, edit) {
  const field = h("input", { class: "field", id: "manage-name", maxlength: TITLE_LIMIT, required: true, value, autocomplete: "off" });
  const saved = h("p", { class: "field-note", role: "status" });
  const submit = async (event) => {
    event.preventDefault();
    setText(saved, (await edit({ title: field.value.trim() })) ? t("manage.saved") : "");
  };
  return h(
    "form",
    { class: "setting", on: { submit } },
    h("label", { class: "field-label", for: "manage-name", text: t("lobby.title_label") }),
    h("div", { class: "field-row" }, field, h("button", { class: "button quiet", type: "submit", text: t("manage.save") })),
    saved,
  );
}

/** Whom the host has blocked; unblocking is one click. Not there while there is nobody. */
function blockedPeople(visit) {
  const rows = h("ul", { class: "rows" });
  const element = h("section", { class: "setting", hidden: true }, h("h3", { class: "people-title", text: t("manage.blocked") }), rows);
  const look = async () => {
    let people = [];
    const asked = await visit.attempt(async () => {
      people = await visit.client.blocks();
    });
    element.hidden = !asked || people.length === 0;
    list(rows, people, {
      key: ({ identity }) => identity,
      create: ({ identity }) => {
        const unblock = async () => {
          await visit.attempt(() => visit.client.moderate(identity, "unblock"));
          await look();
        };
        return h(
          "li",
          { class: "row" },
          h("div", { class: "row-button" }, h("span", { class: "row-name", text: identity })),
          h("button", { class: "button small quiet", type: "button", on: { click: unblock } }, h("span", { text: t("manage.unblock") }), h("span", { class: "visually-hidden", text: identity })),
        );
      },
    });
  };
  look();
  return element;
}
