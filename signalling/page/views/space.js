/** A space: the stage, the bar, and everything that opens from them. */

import { h, icon, setText } from "../app/dom.js";
import { listenToKeys } from "../app/keys.js";
import { clock, t } from "../app/messages.js";
import { preferences } from "../app/preferences.js";
import { bar } from "./bar.js";
import { connectionLine } from "./connection.js";
import { confirm, openDialog } from "./dialog.js";
import { greenroom } from "./greenroom.js";
import { openManage } from "./manage.js";
import { notices } from "./notices.js";
import { openPeople } from "./people.js";
import { act, openPerson } from "./person.js";
import { reactions, tray } from "./reactions.js";
import { openSettings } from "./settings.js";
import { openShare } from "./share.js";
import { stage } from "./stage.js";

/**
 * @param {object} options
 * @param {import("../app/visit.js").Visit} options.visit
 * @param {() => void} options.leave back to where the person came from
 * @param {(error: unknown) => void} options.fail the visit cannot go on
 * @param {AbortSignal} options.signal the end of the visit
 * @returns {HTMLElement}
 */
export function space({ visit, leave, fail, signal }) {
  const said = notices();
  const floating = reactions();
  const theatre = stage({ visit, openPerson: (identity) => openPerson(visit, visit.roster.participants.get(identity)) });
  const react = (emoji) => {
    floating.showOwn(emoji);
    visit.attempt(() => visit.client.react(emoji));
  };
  const choices = tray(react);
  const line = connectionLine(visit.client, signal);
  const airing = () => goOnAir(visit, { title: t("greenroom.title"), text: t("greenroom.text"), otherwise: t("greenroom.not_now") });
  const controls = bar(visit, {
    react: () => choices.toggle(controls.element.querySelector('[data-control="react"]')),
    people: () => openPeople(visit, { muteAll: () => muteAll(visit, said), manage: () => openManage(visit, { end: () => endForAll(visit) }) }),
    share: () => visit.roster.space && openShare(visit.roster.space),
    settings: () => openSettings(visit),
    microphone: airing,
  });
  const head = header(visit, () => askToLeave(visit, leave));
  const element = h(
    "div",
    { class: "space" },
    head.element,
    h("main", { class: "space-main" }, theatre.element, floating.element),
    line.element,
    h("div", { class: "foot" }, said.element, choices.element, controls.element),
  );

  const draw = () => {
    head.update();
    theatre.update();
    controls.update();
    line.update();
    if (visit.client.media?.state === "failed") fail(visit.client.media.error);
    else if (visit.client.feed?.state === "failed") fail(visit.client.feed.error);
    else if (visit.client.playback.isBlocked && !document.querySelector("dialog.greenroom")) askToHear(visit.client.playback);
  };
  const when = (type, run) => visit.addEventListener(type, run, { signal });
  when("change", draw);
  when("change", announceHands(visit, said));
  when("level", () => {
    theatre.updateOwnLevel();
    controls.updateLevel();
  });
  when("reactions", ({ detail }) => floating.show(detail));
  when("notice", ({ detail }) => said.show(t(detail.key, detail.values), { tone: detail.tone }));
  when("onstage", () => goOnAir(visit, { title: t("greenroom.promoted"), text: t("greenroom.promoted_text"), otherwise: t("greenroom.not_now") }));
  when("offstage", () => document.querySelector("dialog.greenroom")?.close());
  when("invited", ({ detail }) => answerInvitation(visit, detail));
  window.addEventListener("online", () => visit.client.refresh(), { signal });
  listenToKeys({
    isEnabled: () => preferences.hasShortcuts && visit.microphone !== null,
    button: controls.main,
    isOpen: () => visit.microphoneState === "open",
    setOpen: (isOpen) => visit.setOpen(isOpen),
    toggle: () => visit.toggleMicrophone(),
    signal,
  });
  draw();
  return element;
}

function header(visit, leave) {
  const title = h("h1", { class: "space-title", tabindex: "-1" });
  const elapsed = h("span", { class: "space-time", role: "timer", "aria-live": "off" });
  const host = h("span", { class: "space-host" });
  const recorded = h("span", { class: "recorded", hidden: true, text: t("space.recorded") });
  const element = h(
    "header",
    { class: "space-head" },
    h("div", { class: "space-names" }, title, h("p", { class: "space-meta" }, h("span", { class: "dot", "aria-hidden": "true" }), elapsed, recorded, host)),
    h("button", { class: "button quiet leave", type: "button", on: { click: leave } }, icon("leave"), h("span", { text: t("space.leave") })),
  );
  const tick = () => {
    const { space } = visit.roster;
    if (space) setText(elapsed, clock((Date.now() - Date.parse(space.started_at ?? space.created_at)) / 1000));
  };
  const timer = setInterval(() => (element.isConnected ? tick() : clearInterval(timer)), 1000);
  const update = () => {
    const { space, participants } = visit.roster;
    setText(title, space?.title ?? "");
    const name = participants.get(space?.host)?.name || space?.host_name || space?.host;
    setText(host, name ? t("space.with", { name }) : "");
    recorded.hidden = !space?.is_recorded;
    if (space) document.title = t("space.document_title", { title: space.title });
    tick();
  };
  return { element, update };
}

/**
 * The green room, then the stage.
 *
 * @param {import("../app/visit.js").Visit} visit @param {{title: string, text: string, otherwise: string}} words
 * @returns {Promise<boolean>} whether the person is on air
 */
export async function goOnAir(visit, words) {
  if (document.querySelector("dialog.greenroom")) return false;
  const ready = await greenroom({ ...words, touched: () => visit.client.playback.resume() });
  return ready !== null && (await visit.attempt(() => visit.goOnAir(ready.microphone, { isOpen: ready.isOpen })));
}

async function muteAll(visit, said) {
  let muted = [];
  const done = await visit.attempt(async () => {
    muted = await visit.client.muteAll();
  });
  if (!done) return;
  const undo = () => visit.attempt(() => Promise.all(muted.map((identity) => visit.client.moderate(identity, "unmute"))));
  said.show(t("notice.all_muted"), { action: muted.length > 0 ? t("undo") : undefined, run: undo });
}

/** Tells a moderator of each new hand, with the stage one click away. */
function announceHands(visit, said) {
  let known = new Set();
  return () => {
    const { hands, participants } = visit.roster;
    if (visit.isModerator) {
      for (const identity of hands.filter((hand) => !known.has(hand))) {
        const person = participants.get(identity);
        const run = () => act(visit, "accept-hand", participants.get(identity) ?? person);
        said.show(t("notice.hand", { name: person.name || identity }), { action: t("people.bring"), run });
      }
    }
    known = new Set(hands);
  };
}

async function endForAll(visit) {
  const sure = await confirm({ title: t("ask.end.title"), text: t("ask.end.text"), yes: t("ask.end.yes") });
  if (sure) visit.attempt(() => visit.client.end());
}

function askToLeave(visit, leave) {
  if (visit.role !== "host") return leave();
  const end = () => {
    dialog.close();
    endForAll(visit);
  };
  const dialog = openDialog(
    { title: t("ask.leave.title") },
    h("p", { class: "dialog-text", text: t("ask.leave.text") }),
    h(
      "div",
      { class: "actions" },
      h("button", { class: "button danger", type: "button", text: t("ask.leave.end"), on: { click: end } }),
      h("button", { class: "button primary", type: "button", text: t("ask.leave.yes"), on: { click: () => (dialog.close(), leave()) } }),
    ),
  );
}

/** The green room is the question: stepping on stage accepts, everything else declines. */
async function answerInvitation(visit, role) {
  if (document.querySelector("dialog.greenroom")) return;
  const text = t(role === "cohost" ? "greenroom.invited_cohost" : "greenroom.invited_text");
  const ready = await greenroom({ title: t("greenroom.invited"), text, otherwise: t("greenroom.decline"), touched: () => visit.client.playback.resume() });
  if (visit.isOver) return;
  await visit.attempt(() =>
    ready ? visit.goOnAir(ready.microphone, { isOpen: ready.isOpen, isInvited: true }) : visit.client.answerInvitation(false),
  );
}

/** Browsers keep a page silent until it is touched: one button, nothing else to understand. */
function askToHear(playback) {
  if (document.querySelector("dialog.hear")) return;
  const hear = () => {
    playback.resume();
    dialog.close();
  };
  const dialog = openDialog(
    { title: t("hear.title"), canClose: false },
    h("p", { class: "dialog-text", text: t("hear.text") }),
    h("div", { class: "actions" }, h("button", { class: "button primary wide", type: "button", on: { click: hear } }, icon("headphones"), h("span", { text: t("hear.button") }))),
  );
  dialog.classList.add("hear");
}
