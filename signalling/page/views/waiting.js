/** Before a scheduled space begins: what it will be, and how long it takes until then. */

import { mayModerate } from "../palco.js";
import { h, icon, setText } from "../app/dom.js";
import { dayAndTime, t, timeLeft } from "../app/messages.js";
import { avatar } from "./avatar.js";
import { confirm } from "./dialog.js";

/**
 * @param {object} options
 * @param {import("../palco.js").SpaceClient} options.client follows the space's events
 * @param {object} options.space as `GET /v1/spaces/{space}` shows it
 * @param {(error: unknown) => void} options.refused what to do when a button did not do
 * @param {() => void} options.lobby
 * @param {AbortSignal} options.signal the end of the wait
 * @returns {HTMLElement}
 */
export function waiting({ client, space, refused, lobby, signal }) {
  const title = h("h1", { class: "screen-title", tabindex: "-1" });
  const when = h("p", { class: "waiting-when" });
  const left = h("p", { class: "countdown", role: "timer", "aria-live": "off" });
  const host = h("span", {});
  const description = h("p", { class: "screen-text" });
  const attempt = (action) => () => action().catch(refused);
  const cancel = async () => {
    const sure = await confirm({ title: t("ask.cancel.title"), text: t("ask.cancel.text"), yes: t("ask.cancel.yes") });
    if (sure) await client.cancel();
  };
  const tools = h(
    "div",
    { class: "actions", hidden: true },
    h("button", { class: "button danger", type: "button", text: t("waiting.cancel"), on: { click: attempt(cancel) } }),
    h("button", { class: "button primary", type: "button", text: t("waiting.start"), on: { click: attempt(() => client.start()) } }),
  );
  const element = h(
    "main",
    { class: "screen", dataset: { screen: "not_begun" } },
    h(
      "div",
      { class: "screen-card" },
      h("div", { class: "screen-drawing" }, icon("clock")),
      h("p", { class: "waiting-over", text: t("screen.not_begun.title") }),
      title,
      h("p", { class: "card-host waiting-host" }, avatar({ identity: space.host, name: space.host_name }), host),
      description,
      left,
      when,
      h("p", { class: "screen-next", text: t("screen.not_begun.text") }),
      tools,
      h("div", { class: "actions" }, h("button", { class: "button quiet", type: "button", text: t("way.lobby"), on: { click: lobby } })),
    ),
  );
  const tick = () => setText(left, timeLeft((Date.parse((client.roster.space ?? space).starts_at) - Date.now()) / 1000));
  const update = () => {
    const now = client.roster.space ?? space;
    setText(title, now.title);
    setText(host, t("lobby.with", { name: now.host_name || now.host }));
    setText(description, now.description ?? "");
    setText(when, dayAndTime(now.starts_at));
    tools.hidden = !mayModerate(client.roster.you?.role);
    tick();
  };
  const timer = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
  client.addEventListener("change", update);
  update();
  queueMicrotask(() => title.focus({ preventScroll: true }));
  return element;
}
