/** The numbers of the connection, every two seconds while someone looks. */

import { summarise } from "../palco.js";
import { h, setText } from "../app/dom.js";
import { number, t } from "../app/messages.js";

const EVERY_MS = 2_000;
const percent = (share) => t("statistics.percent", { value: number(100 * share, 1) });
const ms = (value) => t("statistics.ms", { value: number(value, 0) });

/** Rows: message key → text of a summary. */
const ROWS = {
  mode: ({ sends, slotsHeard, slots }) => t(`statistics.mode.${sends ? "stage" : slots === 1 ? "mix" : "audience"}`, { slotsHeard, slots }),
  codec: ({ codec, cipher }) => [codec, cipher].filter(Boolean).join(", ") || "–",
  round_trip: ({ roundTrip_ms }) => ms(roundTrip_ms),
  jitter: ({ jitter_ms }) => ms(jitter_ms),
  lost: ({ lost }) => percent(lost),
  concealed: ({ concealed }) => percent(concealed),
  lost_up: ({ sends, lostUp }) => (sends ? percent(lostUp) : "–"),
  rate: ({ down_kbps, up_kbps }) => t("statistics.kbps", { down: number(down_kbps), up: number(up_kbps) }),
};

/**
 * @param {import("../palco.js").SpaceClient} client
 * @returns {{element: HTMLElement, stop: () => void}}
 */
export function statistics(client) {
  const values = Object.fromEntries(Object.keys(ROWS).map((key) => [key, h("dd", { text: "–" })]));
  const rows = Object.entries(values).flatMap(([key, value]) => [h("dt", { text: t(`statistics.${key}`) }), value]);
  const element = h("details", { class: "statistics" }, h("summary", { text: t("statistics.title") }), h("dl", {}, ...rows));
  let previous = null;
  const look = async () => {
    const report = element.open ? await client.media?.report() : null;
    if (!report || !client.media) return;
    const summary = summarise(report, previous);
    previous = summary.totals;
    const { sends, tracks } = client.media;
    for (const [key, describe] of Object.entries(ROWS)) setText(values[key], describe({ ...summary, sends, slots: tracks.length }));
  };
  const timer = setInterval(look, EVERY_MS);
  element.addEventListener("toggle", look);
  return { element, stop: () => clearInterval(timer) };
}
