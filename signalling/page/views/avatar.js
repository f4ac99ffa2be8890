/** The disc that stands for a person. */

import { h } from "../app/dom.js";

const HUES = 8;

/** One or two letters of a name. Pure. @param {string} name */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join("") || "?";
}

/** One of the style sheet's eight hues, the same for an identity everywhere. Pure. @param {string} identity */
export function hue(identity) {
  let sum = 0;
  for (const character of identity) sum = (sum * 31 + character.codePointAt(0)) >>> 0;
  return sum % HUES;
}

/** @param {{identity: string, name?: string}} person */
export function avatar({ identity, name }) {
  return h("span", { class: "avatar", "aria-hidden": "true", dataset: { hue: String(hue(identity)) }, text: initials(name || identity) });
}
