/** One person's card: who it is, and what may be done about it. */

import { mayModerate } from "../palco.js";
import { h, icon } from "../app/dom.js";
import { t } from "../app/messages.js";
import { avatar } from "./avatar.js";
import { confirm, openDialog } from "./dialog.js";

/**
 * What `you` may do to `person`, in the order of the card. Pure.
 *
 * The server decides again; this only spares people buttons that would be refused. Nobody acts on the host.
 *
 * @param {{role: string, identity: string}} you @param {import("../sdk/roster.js").Participant} person
 * @returns {string[]}
 */
export function actionsFor(you, person) {
  const isOnStage = person.role !== "listener";
  if (you.identity === person.identity) return isOnStage && you.role !== "host" ? ["step_down"] : [];
  if (!mayModerate(you.role) || person.role === "host") return [];
  if (person.role === "cohost" && you.role !== "host") return [];
  if (person.has_raised_hand) return ["accept-hand", "decline-hand", "remove", "block"];
  if (!isOnStage) return ["promote", "invite", "remove", "block"];
  const actions = [person.is_muted ? "unmute" : "mute"];
  if (you.role === "host") actions.push(person.role === "cohost" ? "uncohost" : "cohost");
  return [...actions, "demote", "remove", "block"];
}

const DRAWINGS = {
  step_down: "down",
  "accept-hand": "up",
  "decline-hand": "close",
  promote: "up",
  invite: "mic",
  mute: "mic-off",
  unmute: "mic",
  cohost: "star",
  uncohost: "star",
  demote: "down",
  remove: "remove",
  block: "block",
};

/** Asked before, because no other button takes them back. */
const ASKED = new Set(["remove", "block"]);

/**
 * Does one action of `actionsFor`; a refusal becomes a notice.
 *
 * @param {import("../app/visit.js").Visit} visit @param {string} action @param {import("../sdk/roster.js").Participant} person
 */
export async function act(visit, action, person) {
  const name = person.name || person.identity;
  const sure = !ASKED.has(action) || (await confirm({ title: t(`ask.${action}.title`, { name }), text: t(`ask.${action}.text`, { name }), yes: t(`person.${action}`) }));
  if (!sure) return;
  if (action === "step_down") return visit.stepDown();
  const calls = {
    cohost: () => visit.client.moderate(person.identity, "promote", { role: "cohost" }),
    uncohost: () => visit.client.moderate(person.identity, "promote", { role: "speaker" }),
    promote: () => visit.client.moderate(person.identity, "promote", { role: "speaker" }),
  };
  const done = await visit.attempt(calls[action] ?? (() => visit.client.moderate(person.identity, action)));
  if (done && action === "invite") visit.notice("notice.invited", { name });
}

/** @param {import("../app/visit.js").Visit} visit @param {import("../sdk/roster.js").Participant} person */
export function openPerson(visit, person) {
  const actions = actionsFor(visit.roster.you, person);
  const note = person.is_muted ? "person.is_muted" : person.is_self_muted ? "person.is_self_muted" : null;
  const run = (action) => () => {
    dialog.close();
    act(visit, action, person);
  };
  const dialog = openDialog(
    { title: person.name || person.identity },
    h(
      "div",
      { class: "person" },
      avatar(person),
      h("p", { class: "person-role", text: t(`role.${person.role}`) }),
      note ? h("p", { class: "person-note", text: t(note) }) : null,
    ),
    h(
      "ul",
      { class: "menu" },
      ...actions.map((action) =>
        h(
          "li",
          {},
          h(
            "button",
            { class: ASKED.has(action) ? "menu-item danger" : "menu-item", type: "button", dataset: { action }, on: { click: run(action) } },
            icon(DRAWINGS[action]),
            h("span", { text: t(`person.${action}`) }),
          ),
        ),
      ),
    ),
  );
}
