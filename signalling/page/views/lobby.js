/** The lobby: what is on now, and a stage of one's own. */

import { h, icon, list, setText } from "../app/dom.js";
import { t, tn } from "../app/messages.js";
import { prefer, preferences } from "../app/preferences.js";
import { spaceId } from "../app/route.js";
import { avatar } from "./avatar.js";

const REFRESH_MS = 5_000;
const TITLE_LIMIT = 70;

/**
 * @param {object} options
 * @param {() => Promise<object[]>} options.spaces the live ones
 * @param {((space: {id: string, title: string}) => Promise<void>) | null} options.create null where this person may not
 * @param {boolean} options.canRename development: people name themselves
 * @param {AbortSignal} options.signal ends the refreshing
 */
export function lobby({ spaces, create, canRename, signal }) {
  const cards = h("ul", { class: "cards" });
  const empty = h("p", { class: "empty", hidden: true, text: t("lobby.empty") });
  const trouble = h("p", { class: "empty", role: "status", hidden: true });
  const element = h(
    "main",
    { class: "lobby" },
    h(
      "section",
      { class: "hero" },
      h("div", { class: "valance", "aria-hidden": "true" }),
      h("div", { class: "hero-stage", "aria-hidden": "true" }, icon("stand")),
      h("h1", { class: "hero-title", text: t("lobby.title") }),
      h("p", { class: "hero-text", text: t("lobby.text") }),
      create && form(create),
      canRename && nameField(),
    ),
    h("section", { class: "programme", "aria-labelledby": "programme" }, h("h2", { id: "programme", text: t("lobby.now") }), cards, empty, trouble),
  );

  const refresh = async () => {
    if (document.visibilityState === "hidden") return;
    try {
      const live = (await spaces()).filter(({ state }) => state !== "ended");
      if (signal.aborted) return;
      list(cards, live, { key: ({ id }) => id, create: card, update: updateCard });
      empty.hidden = live.length > 0;
      trouble.hidden = true;
    } catch (error) {
      setText(trouble, t(error.code === "unreachable" ? "lobby.unreachable" : "lobby.refused", { detail: error.message }));
      trouble.hidden = false;
    }
    element.dataset.ready = "";
  };
  const timer = setInterval(refresh, REFRESH_MS);
  document.addEventListener("visibilitychange", refresh, { signal });
  signal.addEventListener("abort", () => clearInterval(timer));
  refresh();
  return element;
}

function card(space) {
  return h(
    "li",
    {},
    h(
      "a",
      { class: "card", href: `#space=${encodeURIComponent(space.id)}` },
      h("span", { class: "card-live" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { text: t("lobby.live") })),
      h("span", { class: "card-title" }),
      h("span", { class: "card-host" }, avatar({ identity: space.host }), h("span", { class: "card-host-name" })),
      h("span", { class: "card-counts" }),
    ),
  );
}

function updateCard(element, { title, host, counts }) {
  setText(element.querySelector(".card-title"), title);
  setText(element.querySelector(".card-host-name"), t("lobby.with", { name: host }));
  const heard = [tn("lobby.speakers", counts.speakers), tn("lobby.listeners", counts.listeners)];
  setText(element.querySelector(".card-counts"), heard.join(" · "));
}

function form(create) {
  const title = h("input", {
    class: "field",
    id: "new-title",
    name: "title",
    maxlength: TITLE_LIMIT,
    autocomplete: "off",
    placeholder: t("lobby.title_hint"),
  });
  const problem = h("p", { class: "field-problem", role: "alert" });
  const start = h("button", { class: "button primary", type: "submit" }, icon("plus"), h("span", { text: t("lobby.start") }));
  const submit = async (event) => {
    event.preventDefault();
    const name = title.value.trim() || t("lobby.title_default", { name: preferences.name });
    const suffix = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).padStart(6, "0").slice(-6);
    start.disabled = true;
    setText(problem, "");
    try {
      await create({ id: spaceId(name, suffix), title: name });
    } catch (error) {
      setText(problem, t("lobby.not_created", { detail: error.message }));
      start.disabled = false;
    }
  };
  return h(
    "form",
    { class: "start", on: { submit } },
    h("label", { class: "visually-hidden", for: "new-title", text: t("lobby.title_label") }),
    h("div", { class: "start-row" }, title, start),
    problem,
  );
}

function nameField() {
  const keep = ({ target }) => prefer({ name: target.value.trim() });
  const input = h("input", { class: "field inline", id: "own-name", maxlength: 40, autocomplete: "nickname", placeholder: t("lobby.name_hint"), value: preferences.name, on: { change: keep } });
  return h("p", { class: "own-name" }, h("label", { for: "own-name", text: t("lobby.you_are") }), input);
}
