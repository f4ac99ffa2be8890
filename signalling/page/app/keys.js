/** The keyboard in a space: M mutes, Space held talks. */

/** A press of Space on the microphone's own button that is shorter than this is a click, not talk. */
const TAP_MS = 350;

const isTyping = (target) => target instanceof Element && target.matches("input, textarea, select, [contenteditable]");
const isControl = (target) => target instanceof Element && target.closest("button, a, summary, [role]") !== null;

/**
 * Listens until `signal` aborts.
 *
 * Space belongs to the control that has the focus, so talking by Space works where none has it, and on the microphone's
 * button, where holding talks and a tap still toggles.
 *
 * @param {object} options
 * @param {() => boolean} options.isEnabled shortcuts can be switched off (WCAG 2.1.4)
 * @param {Element} options.button the microphone's
 * @param {() => boolean} options.isOpen
 * @param {(isOpen: boolean) => void} options.setOpen
 * @param {() => void} options.toggle
 * @param {AbortSignal} options.signal
 */
export function listenToKeys({ isEnabled, button, isOpen, setOpen, toggle, signal }) {
  let talk = null;
  const release = (event) => {
    if (talk === null || (event.type === "keyup" && event.code !== "Space")) return;
    event.preventDefault();
    const isTap = talk.isOnButton && event.timeStamp - talk.at_ms < TAP_MS;
    talk = null;
    if (!isTap) setOpen(false);
  };
  document.addEventListener(
    "keydown",
    (event) => {
      if (!isEnabled() || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (event.code === "KeyM" && !event.repeat) return toggle();
      if (event.code !== "Space") return;
      const isOnButton = event.target === button;
      if (talk !== null || (isOnButton && event.repeat)) return event.preventDefault();
      if ((isControl(event.target) && !isOnButton) || isOpen()) return;
      event.preventDefault();
      talk = { isOnButton, at_ms: event.timeStamp };
      setOpen(true);
    },
    { signal },
  );
  document.addEventListener("keyup", release, { signal });
  window.addEventListener("blur", release, { signal });
}
