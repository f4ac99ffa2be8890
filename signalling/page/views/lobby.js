/** The lobby: what is on now, what is coming, and a stage of one's own. */

import { h, icon, list, setText } from "../app/dom.js";
import { dayAndTime, t, tn } from "../app/messages.js";
import { prefer, preferences } from "../app/preferences.js";
import { spaceId, TITLE_LIMIT } from "../app/route.js";
import { avatar } from "./avatar.js";
import { openPlan } from "./plan.js";

const REFRESH_MS = 5_000;
/** Faces on a card; the others are a number. */
const FACES = 4;

/**
 * @typedef {(wish: {id: string, title: string, starts_at?: string, speak?: string, description?: string}) => Promise<void>} Create
 *
 * @param {object} options
 * @param {(state: "live" | "upcoming") => Promise<object[]>} options.spaces
 * @param {Create | null} options.create null where this person may not
 * @param {boolean} options.canRename development: people name themselves
 * @param {AbortSignal} options.signal ends the refreshing
 */
export function lobby({ spaces, create, canRename, signal }) {
  const live = programme({ id: "now", update: updateLive, create: liveCard });
  const upcoming = programme({ id: "upcoming", update: updateUpcoming, create: upcomingCard });
  const empty = h("p", { class: "empty", hidden: true, text: t(create ? "lobby.empty" : "lobby.empty_listener") });
  const trouble = h("p", { class: "empty", role: "status", hidden: true });
  live.element.append(empty, trouble);
  upcoming.element.hidden = true;
  const element = h(
    "main",
    { class: "lobby" },
    h(
      "section",
      { class: "hero" },
      h("div", { class: "valance", "aria-hidden": "true" }),
      h("div", { class: "hero-stage", "aria-hidden": "true" }, icon("stand")),
      h("h1", { class: "hero-title", text: t("lobby.title") }),
      h("p", { class: "hero-text", text: t(create ? "lobby.text" : "lobby.text_listener") }),
      create && form(create),
      canRename && nameField(),
    ),
    live.element,
    upcoming.element,
  );

  const refresh = async () => {
    if (document.visibilityState === "hidden") return;
    try {
      const [now, later] = await Promise.all([spaces("live"), spaces("upcoming")]);
      if (signal.aborted) return;
      live.show(now.filter(({ state }) => state === "live"));
      upcoming.show(later.filter(({ state }) => state === "scheduled"));
      upcoming.element.hidden = upcoming.isEmpty();
      empty.hidden = !live.isEmpty();
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

function programme({ id, create, update }) {
  const cards = h("ul", { class: "cards" });
  const heading = h("h2", { id: `programme-${id}`, text: t(`lobby.${id}`) });
  const element = h("section", { class: "programme", "aria-labelledby": heading.id }, heading, cards);
  const show = (spaces) => list(cards, spaces, { key: (space) => space.id, create: (space) => h("li", {}, create(space)), update });
  return { element, show, isEmpty: () => cards.childElementCount === 0 };
}

const link = (space, ...children) => h("a", { class: "card", href: `#space=${encodeURIComponent(space.id)}` }, ...children);

const hostRow = (space) =>
  h("span", { class: "card-host" }, avatar({ identity: space.host, name: space.host_name }), h("span", { class: "card-host-name" }));

function liveCard(space) {
  return link(
    space,
    h("span", { class: "card-live" }, h("span", { class: "dot", "aria-hidden": "true" }), h("span", { text: t("lobby.live") })),
    h("span", { class: "card-title" }),
    hostRow(space),
    h("span", { class: "card-voices" }, h("span", { class: "card-faces", "aria-hidden": "true" }), h("span", { class: "card-speaking" })),
    h("span", { class: "card-counts" }),
  );
}

function updateLive(element, { title, host, host_name, counts, on_stage = [] }) {
  setText(element.querySelector(".card-title"), title);
  setText(element.querySelector(".card-host-name"), t("lobby.with", { name: host_name || host }));
  const speaking = on_stage.filter(({ is_speaking }) => is_speaking).map(({ identity, name }) => name || identity);
  setText(element.querySelector(".card-speaking"), speaking.length > 0 ? t("lobby.speaking", { names: speaking.join(", ") }) : "");
  list(element.querySelector(".card-faces"), on_stage.slice(0, FACES), {
    key: ({ identity }) => identity,
    create: (person) => h("span", { class: "card-face" }, avatar(person)),
    update: (face, { is_speaking }) => face.classList.toggle("speaking", is_speaking),
  });
  const heard = [tn("lobby.speakers", counts.speakers), tn("lobby.listeners", counts.listeners)];
  setText(element.querySelector(".card-counts"), heard.join(" · "));
}

function upcomingCard(space) {
  return link(
    space,
    h("span", { class: "card-live later" }, icon("clock"), h("span", { class: "card-when" })),
    h("span", { class: "card-title" }),
    hostRow(space),
    h("span", { class: "card-counts" }),
  );
}

function updateUpcoming(element, { title, host, host_name, starts_at, speak }) {
  setText(element.querySelector(".card-title"), title);
  setText(element.querySelector(".card-when"), dayAndTime(starts_at));
  setText(element.querySelector(".card-host-name"), t("lobby.with", { name: host_name || host }));
  setText(element.querySelector(".card-counts"), t(speak === "everyone" ? "lobby.open_stage" : "lobby.hosted_stage"));
}

/** @param {string} title */
function newId(title) {
  return spaceId(title, crypto.getRandomValues(new Uint32Array(1))[0].toString(36).padStart(6, "0").slice(-6));
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
    start.disabled = true;
    setText(problem, "");
    try {
      await create({ id: newId(name), title: name });
    } catch (error) {
      setText(problem, t("lobby.not_created", { detail: error.message }));
      start.disabled = false;
    }
  };
  const plan = () => openPlan({ title: title.value.trim(), plan: (wish) => create({ id: newId(wish.title), ...wish }) });
  return h(
    "form",
    { class: "start", on: { submit } },
    h("label", { class: "visually-hidden", for: "new-title", text: t("lobby.title_label") }),
    h("div", { class: "start-row" }, title, start),
    problem,
    h("p", { class: "start-later" }, h("button", { class: "text-button", type: "button", "aria-haspopup": "dialog", on: { click: plan } }, icon("clock"), h("span", { text: t("lobby.plan") }))),
  );
}

function nameField() {
  const keep = ({ target }) => prefer({ name: target.value.trim() });
  const input = h("input", { class: "field inline", id: "own-name", maxlength: 40, autocomplete: "nickname", placeholder: t("lobby.name_hint"), value: preferences.name, on: { change: keep } });
  return h("p", { class: "own-name" }, h("label", { for: "own-name", text: t("lobby.you_are") }), input);
}
