/** The stage: those who speak, lit by how loud they are; below it the house. */

import { onStage, raisedHands } from "../palco.js";
import { loudness } from "../audio/microphone.js";
import { h, icon, list, setAttribute, setIcon, setText } from "../app/dom.js";
import { t, tn } from "../app/messages.js";
import { avatar } from "./avatar.js";
import { captions } from "./captions.js";
import { links } from "./links.js";

/** Faces of the audience that are drawn; the rest is a number. */
const SEATS = 14;
/** Below this our own meter is breath and keys, not speech. */
const OWN_VOICE_LEVEL = 0.3;

/**
 * @param {{visit: import("../app/visit.js").Visit, openPerson: (identity: string) => void}} options
 * @returns {{element: HTMLElement, update: () => void, updateOwnLevel: () => void}}
 */
export function stage({ visit, openPerson }) {
  const tiles = h("ul", { class: "tiles", "aria-label": t("stage.speakers") });
  const waiting = h("p", { class: "stage-waiting" });
  const seats = h("ul", { class: "seats", "aria-hidden": "true" });
  const count = h("p", { class: "house-count" });
  const surtitles = captions(visit);
  const pinned = links(visit);
  const platform = h(
    "section",
    { class: "stage", "aria-label": t("stage.name") },
    h("div", { class: "valance", "aria-hidden": "true" }),
    h("div", { class: "light", "aria-hidden": "true" }),
    tiles,
    waiting,
    surtitles.element,
    h("div", { class: "footlights", "aria-hidden": "true" }),
  );
  const house = h(
    "section",
    { class: "house", "aria-label": t("stage.house") },
    h("div", { class: "house-left" }, surtitles.toggle),
    h("div", { class: "house-people" }, seats, count),
    pinned.element,
  );
  const element = h("div", { class: "theatre" }, platform, house);

  const updateTile = (tile, person) => {
    const isMe = person.identity === visit.roster.you?.identity;
    const isMuted = person.is_muted || person.is_self_muted || (isMe && visit.microphoneState !== "open");
    setLevel(tile, isMe ? ownLevel(visit) : levelOf(visit.roster, person), isMuted);
    tile.classList.toggle("muted", isMuted);
    tile.classList.toggle("away", !person.is_connected && !isMe);
    setText(tile.querySelector(".tile-name"), isMe ? t("stage.you", { name: person.name || person.identity }) : person.name || person.identity);
    setText(tile.querySelector(".tile-role"), t(`role.${person.role}`));
    const badge = tile.querySelector(".tile-badge");
    badge.hidden = !isMuted && !person.has_raised_hand;
    setIcon(badge, isMuted ? "mic-off" : "hand");
    setText(tile.querySelector(".tile-state"), isMuted ? t("stage.muted") : person.has_raised_hand ? t("stage.hand") : "");
  };

  const update = () => {
    const { roster } = visit;
    const speakers = onStage(roster);
    list(tiles, speakers, { key: ({ identity }) => identity, create: (person) => tile(person, openPerson), update: updateTile });
    setAttribute(platform, "data-speakers", speakers.length === 0 ? "0" : speakers.length <= 2 ? "few" : speakers.length <= 6 ? "some" : "many");
    setText(waiting, roster.space && speakers.length === 0 ? t("stage.empty") : "");
    setAttribute(platform, "aria-busy", roster.space === null);
    updateHouse(visit, { seats, count });
    surtitles.update();
    pinned.update();
  };

  const updateOwnLevel = () => {
    const own = tiles.querySelector(`[data-key="${CSS.escape(visit.roster.you?.identity ?? "")}"]`);
    if (own) setLevel(own, ownLevel(visit), visit.microphoneState !== "open");
  };
  return { element, update, updateOwnLevel };
}

function tile(person, openPerson) {
  const open = () => openPerson(person.identity);
  return h(
    "li",
    { class: "tile" },
    h(
      "button",
      { class: "tile-button", type: "button", "aria-haspopup": "dialog", on: { click: open } },
      h("span", { class: "tile-disc" }, h("span", { class: "ring", "aria-hidden": "true" }), avatar(person), h("span", { class: "tile-badge", hidden: true }, icon("mic-off"))),
      h("span", { class: "tile-name" }),
      h("span", { class: "tile-role" }),
      h("span", { class: "tile-state visually-hidden" }),
    ),
  );
}

function levelOf(roster, { identity }) {
  const level_dbov = roster.levels.get(identity);
  // Who is on the list is heard, however softly: the ring never sinks to nothing.
  return level_dbov === undefined ? 0 : Math.max(0.12, loudness(level_dbov));
}

function ownLevel({ microphone, microphoneState }) {
  const level = microphoneState === "open" ? microphone.level : 0;
  return level < OWN_VOICE_LEVEL ? 0 : level;
}

/** Through the object model, which a strict Content-Security-Policy allows, unlike a `style` attribute. */
function setLevel(tile, level, isMuted) {
  const shown = isMuted ? 0 : level;
  tile.classList.toggle("speaking", shown > 0);
  tile.style.setProperty("--level", shown.toFixed(2));
}

function updateHouse({ roster, audience }, { seats, count }) {
  const { counts, space } = roster;
  const hands = raisedHands(roster);
  const others = audience.people.filter(({ identity }) => !roster.participants.has(identity));
  list(seats, [...hands, ...others].slice(0, SEATS), {
    key: ({ identity }) => identity,
    create: (person) => h("li", { class: "seat" }, avatar(person), h("span", { class: "seat-hand", hidden: true }, icon("hand"))),
    update: (seat, person) => {
      seat.querySelector(".seat-hand").hidden = !roster.hands.includes(person.identity);
    },
  });
  setText(count, space === null ? "" : tn("stage.listening", counts.listeners));
}
