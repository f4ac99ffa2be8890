/** Before going on air: which microphone, how loud, on or off. Nothing is captured before a click says so. */

import { devices, Microphone, MicrophoneError } from "../audio/microphone.js";
import { h, icon, setText } from "../app/dom.js";
import { t } from "../app/messages.js";
import { prefer, preferences } from "../app/preferences.js";
import { openDialog } from "./dialog.js";

/**
 * @typedef {{microphone: Microphone, isOpen: boolean}} Ready
 *
 * @param {object} options
 * @param {string} options.title
 * @param {string} options.text
 * @param {string} options.otherwise the way without a microphone
 * @param {() => void} options.touched called on every click: browsers let a page sound from then on
 * @returns {Promise<Ready | null>} null: not now
 */
export function greenroom({ title, text, otherwise, touched }) {
  return new Promise((resolve) => {
    let microphone = null;
    let ready = null;
    const lead = h("p", { class: "dialog-text", text });
    const trouble = h("div", { role: "alert" });
    const check = micCheck({ onChoice: (deviceId) => turnOn(deviceId) });
    const isOpen = h("input", { type: "checkbox", id: "start-open", checked: true });
    const openRow = h("label", { class: "choice", for: "start-open", hidden: true }, isOpen, h("span", { text: t("greenroom.start_open") }));
    const go = h("button", { class: "button primary", type: "button" }, icon("mic"), h("span", { text: t("greenroom.turn_on") }));
    const not = h("button", { class: "button quiet", type: "button", text: otherwise, on: { click: () => dialog.close() } });

    const turnOn = async (deviceId) => {
      go.disabled = true;
      try {
        const next = await Microphone.open(deviceId);
        microphone?.close();
        if (!dialog.open) return next.close();
        microphone = next;
        prefer({ microphone: deviceId });
        await check.show(microphone);
        openRow.hidden = false;
        explain(null);
        setText(go.querySelector("span"), t("greenroom.go"));
      } catch (error) {
        if (!(error instanceof MicrophoneError)) throw error;
        microphone?.close();
        microphone = null;
        explain(error.reason);
        setText(go.querySelector("span"), t("way.retry"));
      }
      go.disabled = false;
    };
    const explain = (reason) => {
      lead.hidden = check.element.hidden = reason !== null;
      trouble.replaceChildren(...(reason === null ? [] : [troubleWith(reason)]));
    };
    go.addEventListener("click", () => {
      if (!microphone) return void turnOn(preferences.microphone);
      ready = { microphone, isOpen: isOpen.checked };
      dialog.close();
    });

    const dialog = openDialog({ title }, lead, check.element, openRow, trouble, h("div", { class: "actions" }, not, go));
    dialog.classList.add("greenroom");
    dialog.addEventListener("click", touched);
    dialog.addEventListener("close", () => {
      check.stop();
      if (!ready) microphone?.close();
      resolve(ready);
    });
    isAlreadyAllowed().then((isAllowed) => isAllowed && dialog.open && turnOn(preferences.microphone));
  });
}

/** In place of the meter: what is wrong with the microphone, and what to do about it. */
function troubleWith(reason) {
  return h(
    "div",
    { class: "mic-trouble" },
    h("div", { class: "mic-trouble-drawing" }, icon("mic-off")),
    h("p", { class: "mic-trouble-title", text: t(`microphone.${reason}.title`) }),
    h("p", { class: "dialog-text", text: t(`microphone.${reason}.text`) }),
  );
}

/** Allowed before: no question would appear, so the meter can run at once. */
async function isAlreadyAllowed() {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state === "granted";
  } catch {
    return false;
  }
}

/**
 * A choice of microphones above a meter; takes its room from the start, so that nothing moves when it fills.
 *
 * @param {{onChoice: (deviceId: string) => void}} options
 */
export function micCheck({ onChoice }) {
  const choice = h("select", { class: "field", id: "microphone-choice", disabled: true, on: { change: () => onChoice(choice.value) } });
  const meter = h("div", { class: "meter", role: "img", "aria-label": t("greenroom.meter") }, h("span", { class: "meter-fill" }));
  let shown = null;
  const onLevel = () => meter.style.setProperty("--level", shown.level.toFixed(2));
  const stop = () => shown?.removeEventListener("level", onLevel);
  choice.append(h("option", { value: "", text: t("greenroom.default_device") }));

  const show = async (microphone) => {
    stop();
    shown = microphone;
    microphone.addEventListener("level", onLevel);
    const { inputs } = await devices();
    choice.replaceChildren(...inputs.map((device) => h("option", { value: device.deviceId, text: device.label || t("greenroom.default_device") })));
    choice.value = microphone.deviceId;
    choice.disabled = inputs.length < 2;
  };
  const element = h(
    "div",
    { class: "mic-check" },
    h("label", { class: "field-label", for: "microphone-choice", text: t("settings.microphone") }),
    choice,
    meter,
  );
  return { element, show, stop };
}
