/** Pinned links: the first in sight, all in a sheet, where those who may also change them. */

import { mayModerate } from "../palco.js";
import { h, icon, list, setAttribute, setText } from "../app/dom.js";
import { t, tn } from "../app/messages.js";
import { openDialog } from "./dialog.js";

const MOST = 5;

/** Whether a link may be followed: the server sees to it, but what is clicked is checked where it is clicked. Pure. */
export function isWeb(url) {
  return URL.canParse(url) && ["http:", "https:"].includes(new URL(url).protocol);
}

/** What to call a link: its title, or where it leads. Pure. @param {{url: string, title?: string | null}} link */
export function nameOf({ url, title }) {
  if (title) return title;
  const { host, pathname } = new URL(url);
  return pathname === "/" ? host : host + pathname;
}

const anchor = (name) => h("a", { class: name, target: "_blank", rel: "noopener noreferrer nofollow" });

function point(element, link) {
  setAttribute(element, "href", isWeb(link.url) ? link.url : null);
  setAttribute(element, "title", link.url);
}

/**
 * @param {import("../app/visit.js").Visit} visit
 * @returns {{element: HTMLElement, update: () => void}}
 */
export function links(visit) {
  const first = anchor("links-first");
  first.append(icon("link"), h("span", {}));
  const count = h("span", { class: "links-count" });
  const all = h(
    "button",
    { class: "links-all", type: "button", "aria-haspopup": "dialog", on: { click: () => openLinks(visit) } },
    icon("link"),
    count,
  );
  const element = h("div", { class: "links" }, first, all);
  const update = () => {
    const pinned = visit.roster.links;
    const mayAdd = visit.isOnStage;
    first.hidden = pinned.length === 0;
    all.hidden = pinned.length === 0 && !mayAdd;
    if (pinned.length > 0) {
      point(first, pinned[0]);
      setText(first.querySelector("span"), nameOf(pinned[0]));
    }
    element.classList.toggle("several", pinned.length > 1 || mayAdd);
    setText(count, pinned.length === 0 ? t("links.pin") : tn("links.all", pinned.length));
  };
  return { element, update };
}

function openLinks(visit) {
  const rows = h("ul", { class: "rows" });
  const empty = h("p", { class: "dialog-text", text: t("links.empty") });
  const form = addForm(visit);
  const dialog = openDialog({ title: t("links.title") }, empty, rows, form);
  const update = () => {
    const { links: pinned, you } = visit.roster;
    empty.hidden = pinned.length > 0;
    form.hidden = !visit.isOnStage || pinned.length >= MOST;
    list(rows, pinned, {
      key: ({ id }) => id,
      create: (link) => row(visit, link),
      update: (element, link) => {
        const index = pinned.indexOf(link);
        point(element.querySelector("a"), link);
        setText(element.querySelector(".row-name"), nameOf(link));
        setText(element.querySelector(".row-role"), new URL(link.url).host);
        const mayOrder = mayModerate(you?.role);
        element.querySelector('[data-move="up"]').hidden = !mayOrder || index === 0;
        element.querySelector('[data-move="remove"]').hidden = !(mayOrder || (visit.isOnStage && link.added_by === you?.identity));
      },
    });
  };
  visit.addEventListener("change", update);
  dialog.addEventListener("close", () => visit.removeEventListener("change", update));
  update();
}

function row(visit, { id, ...link }) {
  const open = anchor("row-button");
  open.append(icon("link"), h("span", { class: "row-text" }, h("span", { class: "row-name" }), h("span", { class: "row-role" })));
  const button = (move, drawing, run) =>
    h("button", { class: "icon-button", type: "button", dataset: { move }, "aria-label": t(`links.${move}`, { name: nameOf(link) }), on: { click: run } }, icon(drawing));
  const up = () => {
    const order = visit.roster.links.map((one) => one.id);
    const index = order.indexOf(id);
    order.splice(index - 1, 2, order[index], order[index - 1]);
    visit.attempt(() => visit.client.orderLinks(order));
  };
  return h(
    "li",
    { class: "row" },
    open,
    button("up", "arrow-up", up),
    button("remove", "close", () => visit.attempt(() => visit.client.removeLink(id))),
  );
}

function addForm(visit) {
  const url = h("input", { class: "field", id: "link-url", type: "url", required: true, maxlength: 2048, placeholder: "https://", autocomplete: "off" });
  const title = h("input", { class: "field", id: "link-title", maxlength: 100, autocomplete: "off" });
  const submit = async (event) => {
    event.preventDefault();
    const done = await visit.attempt(() => visit.client.addLink(url.value, title.value.trim()));
    if (done) form.reset();
  };
  const form = h(
    "form",
    { class: "link-form", on: { submit } },
    h("label", { class: "field-label", for: "link-url", text: t("links.url") }),
    url,
    h("label", { class: "field-label", for: "link-title", text: t("links.name") }),
    title,
    h("div", { class: "actions" }, h("button", { class: "button primary", type: "submit" }, icon("plus"), h("span", { text: t("links.pin") }))),
  );
  return form;
}
