/** What happens in a space that a person should be told in a sentence. */

import { timeOfDay } from "./messages.js";

/** Event of the server → key of the sentence, how it looks, and what it names. */
const SENTENCES = {
  "you.hand_declined": { key: "notice.hand_declined" },
  "space.host_gone": { key: "notice.host_gone", tone: "warning", values: ({ ends_at }) => ({ time: timeOfDay(ends_at) }) },
  "space.host_back": { key: "notice.host_back" },
  "server.draining": { key: "notice.draining", tone: "warning" },
};

/** Refusals that have a sentence of their own; others are told in the server's words. */
const REFUSALS = new Set([
  "stage_full",
  "cohosts_full",
  "not_on_stage",
  "speak_not_allowed",
  "participant_left",
  "hand_answered",
  "no_hand",
  "muted_by_host",
  "too_many_links",
  "bad_url",
  "unreachable",
]);

/**
 * @param {import("../palco.js").SpaceClient} client
 * @param {(key: string, values?: Record<string, string>, tone?: "plain" | "warning") => void} notice
 */
export function tellNews(client, notice) {
  for (const [type, { key, tone = "plain", values = () => ({}) }] of Object.entries(SENTENCES)) {
    client.addEventListener(type, ({ detail }) => notice(key, values(detail), tone));
  }
  let isRecorded = false;
  client.addEventListener("change", () => {
    const { space } = client.roster;
    if (!space || isRecorded === Boolean(space.is_recorded)) return;
    isRecorded = Boolean(space.is_recorded);
    if (isRecorded) notice("notice.recorded", {}, "warning");
    else notice("notice.recorded_no_more", {}, "plain");
  });
}

/** @param {import("../palco.js").PalcoError} error @returns {{key: string, values: Record<string, string>}} */
export function sentenceFor({ code, message }) {
  return REFUSALS.has(code) ? { key: `notice.${code}`, values: {} } : { key: "notice.refused", values: { detail: message } };
}
