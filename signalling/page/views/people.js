/** Everyone here: the queue of hands, the stage, the audience, and for moderators what concerns them all. */

import { onStage, raisedHands } from "../palco.js";
import { h, icon, list, setIcon, setText } from "../app/dom.js";
import { t, tn } from "../app/messages.js";
import { avatar } from "./avatar.js";
import { openDialog } from "./dialog.js";
import { act, openPerson } from "./person.js";

const REFRESH_MS = 10_000;
/** A desktop keeps the stage in sight beside the drawer. */
const WIDE = "(min-width: 62rem)";

/**
 * @param {import("../app/visit.js").Visit} visit
 * @param {{muteAll: () => void, manage: () => void}} actions
 * @returns {HTMLDialogElement}
 */
export function openPeople(visit, { muteAll, manage }) {
  /** Everyone we know of, by identity: a row's buttons act on what is true when they are pressed. */
  let present = new Map();
  const current = (person) => present.get(person.identity) ?? person;
  const groups = {
    hands: group("people.hands", (person) => handRow(person, (action) => act(visit, action, current(person)))),
    stage: group("people.stage", (person) => row(person, () => openPerson(visit, current(person)))),
    audience: group("people.audience", (person) => row(person, () => openPerson(visit, current(person)))),
  };
  const more = h("p", { class: "people-more" });
  const tools = h(
    "div",
    { class: "people-tools" },
    h("button", { class: "button quiet small", type: "button", dataset: { action: "mute-all" }, on: { click: muteAll } }, icon("mic-off"), h("span", { text: t("people.mute_all") })),
    h("button", { class: "button quiet small", type: "button", "aria-haspopup": "dialog", on: { click: manage } }, icon("settings"), h("span", { text: t("people.manage") })),
  );
  const isWide = matchMedia(WIDE).matches;
  const dialog = openDialog(
    { title: t("people.title"), kind: "drawer", isModal: !isWide },
    tools,
    ...Object.values(groups).map(({ element }) => element),
    more,
  );

  const update = () => {
    const { roster } = visit;
    const hands = raisedHands(roster);
    present = new Map(visit.audience.people.map((person) => [person.identity, person]));
    for (const person of roster.participants.values()) present.set(person.identity, person);
    const isQueued = ({ identity }) => visit.isModerator && roster.hands.includes(identity);
    const audience = [...present.values()].filter((person) => person.role === "listener" && !isQueued(person));
    tools.hidden = !visit.isModerator;
    groups.hands.update(visit.isModerator ? hands : []);
    groups.stage.update(onStage(roster));
    groups.audience.update(audience);
    const unseen = roster.counts.listeners - audience.length - (visit.isModerator ? hands.length : 0);
    setText(more, unseen > 0 ? tn("people.more", unseen) : "");
  };
  const timer = setInterval(() => visit.audience.look(), REFRESH_MS);
  visit.addEventListener("change", update);
  dialog.addEventListener("close", () => {
    clearInterval(timer);
    visit.removeEventListener("change", update);
  });
  update();
  visit.audience.look();
  return dialog;
}

function group(key, create) {
  const title = h("h3", { class: "people-title", text: t(key) });
  const rows = h("ul", { class: "rows" });
  const element = h("section", { class: "people-group", dataset: { group: key } }, title, rows);
  const update = (people) => {
    element.hidden = people.length === 0;
    list(rows, people, { key: ({ identity }) => identity, create, update: updateRow });
  };
  return { element, update };
}

function updateRow(element, person) {
  setText(element.querySelector(".row-name"), person.name || person.identity);
  setText(element.querySelector(".row-role"), t(`role.${person.role}`));
  const state = element.querySelector(".row-state");
  const isMuted = person.role !== "listener" && (person.is_muted || person.is_self_muted);
  state.hidden = !isMuted && !person.has_raised_hand;
  setIcon(state, isMuted ? "mic-off" : "hand");
  setText(state.querySelector(".visually-hidden"), t(isMuted ? "stage.muted" : "stage.hand"));
}

function row(person, open) {
  return h("li", { class: "row" }, h("button", { class: "row-button", type: "button", "aria-haspopup": "dialog", on: { click: open } }, ...face(person)));
}

function handRow(person, answer) {
  const name = person.name || person.identity;
  return h(
    "li",
    { class: "row" },
    h("div", { class: "row-button" }, ...face(person)),
    h(
      "button",
      { class: "icon-button", type: "button", "aria-label": t("people.decline", { name }), on: { click: () => answer("decline-hand") } },
      icon("close"),
    ),
    h(
      "button",
      { class: "button small primary", type: "button", on: { click: () => answer("accept-hand") } },
      h("span", { text: t("people.bring") }),
      h("span", { class: "visually-hidden", text: name }),
    ),
  );
}

function face(person) {
  return [
    avatar(person),
    h("span", { class: "row-text" }, h("span", { class: "row-name" }), h("span", { class: "row-role" })),
    h("span", { class: "row-state", hidden: true }, icon("hand"), h("span", { class: "visually-hidden" })),
  ];
}
