/** The bar at the foot of a space: five controls, of which the middle one is the microphone or the raised hand. */

import { h, icon, setAttribute, setIcon, setText } from "../app/dom.js";
import { t } from "../app/messages.js";

/** What the middle control is, by the state of the microphone; the audience has none and asks to speak. */
const MICROPHONE = {
  none: { drawing: "mic", label: "bar.turn_on" },
  locked: { drawing: "lock", label: "bar.locked" },
  closed: { drawing: "mic-off", label: "bar.unmute" },
  open: { drawing: "mic", label: "bar.mute" },
};

/** What the middle control is now. */
function mainControl({ isOnStage, mayStepUp, microphoneState, hasRaisedHand }) {
  if (isOnStage) return { name: microphoneState, ...MICROPHONE[microphoneState] };
  if (mayStepUp) return { name: "audience", drawing: "mic", label: "bar.step_up" };
  return hasRaisedHand
    ? { name: "asking", drawing: "hand", label: "bar.lower_hand" }
    : { name: "audience", drawing: "hand", label: "bar.ask_to_speak" };
}

/**
 * @param {import("../app/visit.js").Visit} visit
 * @param {{react: () => void, people: () => void, share: () => void, settings: () => void, microphone: () => void}} actions
 * @returns {{element: HTMLElement, main: HTMLButtonElement, update: () => void, updateLevel: () => void}}
 */
export function bar(visit, actions) {
  const button = (name, drawing, run) =>
    h(
      "button",
      { class: "bar-button", type: "button", dataset: { control: name }, on: { click: run } },
      icon(drawing),
      h("span", { class: "bar-label", text: t(`bar.${name}`) }),
    );
  const people = button("people", "people", actions.people);
  const hands = h("span", {});
  const badge = h("span", { class: "bar-badge", hidden: true }, hands, h("span", { class: "visually-hidden", text: t("bar.hands") }));
  people.append(" ", badge);
  setAttribute(people, "aria-haspopup", "dialog");

  const main = h(
    "button",
    { class: "bar-main", type: "button", dataset: { control: "main" } },
    h("span", { class: "bar-meter", "aria-hidden": "true" }),
    icon("hand"),
    h("span", { class: "bar-label" }),
  );
  main.addEventListener("click", () => {
    if (visit.microphoneState === "none" && (visit.isOnStage || visit.mayStepUp)) actions.microphone();
    else if (!visit.isOnStage) visit.raiseHand(!visit.hasRaisedHand);
    else visit.toggleMicrophone();
  });

  const update = () => {
    const { name, drawing, label } = mainControl(visit);
    setIcon(main, drawing);
    setText(main.querySelector(".bar-label"), t(label));
    setAttribute(main, "data-state", name);
    const asking = visit.isModerator ? visit.roster.hands.length : 0;
    badge.hidden = asking === 0;
    setText(hands, String(asking));
  };

  const updateLevel = () => {
    const level = visit.microphoneState === "open" ? visit.microphone.level : 0;
    main.style.setProperty("--level", level.toFixed(2));
  };

  const element = h(
    "nav",
    { class: "bar", "aria-label": t("bar.name") },
    button("react", "react", actions.react),
    people,
    main,
    button("share", "share", actions.share),
    button("settings", "settings", actions.settings),
  );
  return { element, main, update, updateLevel };
}
