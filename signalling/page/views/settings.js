/** Settings: sound devices, looks, language, keys, and the numbers for the curious. */

import { devices } from "../audio/microphone.js";
import { h, setText } from "../app/dom.js";
import { LANGUAGES, t } from "../app/messages.js";
import { applyTheme, prefer, preferences } from "../app/preferences.js";
import { openDialog } from "./dialog.js";
import { micCheck } from "./greenroom.js";
import { statistics } from "./statistics.js";

/**
 * @param {import("../app/visit.js").Visit} visit
 * @returns {HTMLDialogElement}
 */
export function openSettings(visit) {
  const numbers = statistics(visit.client);
  const check = visit.microphone ? ownMicrophone(visit) : null;
  const dialog = openDialog(
    { title: t("settings.title"), kind: "drawer" },
    check?.element ?? null,
    volume(visit.client.playback),
    output(visit.client.playback),
    choice({
      id: "theme",
      label: t("settings.theme"),
      value: preferences.theme,
      options: ["auto", "light", "dark"].map((theme) => [theme, t(`settings.theme.${theme}`)]),
      take: (theme) => {
        prefer({ theme });
        applyTheme();
      },
    }),
    choice({
      id: "language",
      label: t("settings.language"),
      value: preferences.language,
      options: [["", t("settings.language.auto")], ...LANGUAGES.map((code) => [code, t(`settings.language.${code}`)])],
      take: (language) => {
        prefer({ language });
        setText(later, t("settings.language.later"));
      },
    }),
    toggle({ id: "captions", wish: "hasCaptions" }),
    toggle({ id: "shortcuts", wish: "hasShortcuts" }),
    numbers.element,
  );
  const later = dialog.querySelector(".field-note");
  dialog.addEventListener("close", () => {
    numbers.stop();
    check?.stop();
  });
  return dialog;
}

function ownMicrophone(visit) {
  const check = micCheck({
    onChoice: async (deviceId) => {
      try {
        await visit.useMicrophone(deviceId);
      } catch {
        visit.notice("notice.microphone_lost", {}, "warning");
      }
      check.show(visit.microphone);
    },
  });
  check.show(visit.microphone);
  return check;
}

function volume(playback) {
  const take = ({ target }) => {
    playback.volume = Number(target.value);
    prefer({ volume: playback.volume });
  };
  const slider = h("input", { type: "range", class: "slider", id: "volume", min: 0, max: 1, step: 0.05, value: playback.volume, on: { input: take } });
  return h("div", { class: "setting" }, h("label", { class: "field-label", for: "volume", text: t("settings.volume") }), slider);
}

/** The loudspeaker, where the browser lets a page choose; names appear once a microphone was allowed. */
function output(playback) {
  if (!playback.canChooseOutput) return null;
  const element = choice({
    id: "output",
    label: t("settings.output"),
    value: "",
    options: [["", t("greenroom.default_device")]],
    take: (deviceId) => {
      prefer({ output: deviceId });
      playback.setOutput(deviceId).catch(() => prefer({ output: "" }));
    },
  });
  devices().then(({ outputs }) => {
    const select = element.querySelector("select");
    const named = outputs.filter(({ label, deviceId }) => label && deviceId !== "default");
    select.append(...named.map(({ label, deviceId }) => h("option", { value: deviceId, text: label })));
    select.value = preferences.output;
    select.disabled = named.length === 0;
  });
  return element;
}

function choice({ id, label, value, options, take }) {
  const select = h("select", { class: "field", id, on: { change: () => take(select.value) } }, ...options.map(([key, text]) => h("option", { value: key, text })));
  select.value = value;
  const note = id === "language" ? h("p", { class: "field-note", role: "status" }) : null;
  return h("div", { class: "setting" }, h("label", { class: "field-label", for: id, text: label }), select, note);
}

/** @param {{id: string, wish: "hasShortcuts" | "hasCaptions"}} options `wish`: the preference behind it */
function toggle({ id, wish }) {
  const take = ({ target }) => prefer({ [wish]: target.checked });
  const box = h("input", { type: "checkbox", id, checked: preferences[wish], on: { change: take } });
  return h(
    "div",
    { class: "setting" },
    h("label", { class: "choice", for: id }, box, h("span", { text: t(`settings.${id}`) })),
    h("p", { class: "field-note", text: t(`settings.${id}.text`) }),
  );
}
