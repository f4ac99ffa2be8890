/** What a reader chose on this device. Works, forgetfully, where storage is forbidden. */

const DEFAULTS = {
  name: "",
  theme: "auto",
  language: "",
  hasShortcuts: true,
  hasCaptions: true,
  microphone: "",
  output: "",
  volume: 1,
};
const KEY = "palco.preferences";

const read = () => {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
};

/** @type {typeof DEFAULTS} */
export const preferences = read();

/** @param {Partial<typeof DEFAULTS>} changes kept for the next visit */
export function prefer(changes) {
  Object.assign(preferences, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Private windows: the choice lasts as long as the page.
  }
}

/** Puts the chosen theme (`auto`, `light`, `dark`) on the document, where the style sheet looks for it. */
export function applyTheme() {
  document.documentElement.dataset.theme = preferences.theme;
}
