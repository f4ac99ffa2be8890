/** What the page says, in the reader's language. */

export const LANGUAGES = ["en", "it"];

let texts = {};
let plural = new Intl.PluralRules("en");

/** The language in use, with the region whose notation of numbers and times the reader is used to. */
let locale = "en";

/**
 * The first of the wished languages that there is a file for.
 *
 * @param {readonly string[]} wishes such as `navigator.languages`
 */
export function choose(wishes) {
  return wishes.map((wish) => wish.slice(0, 2).toLowerCase()).find((wish) => LANGUAGES.includes(wish)) ?? "en";
}

/** @param {string} chosen loads its file; everything that is drawn afterwards speaks it */
export async function speak(chosen) {
  const response = await fetch(new URL(`../messages/${chosen}.json`, import.meta.url));
  texts = await response.json();
  locale = navigator.languages.find((wish) => wish.slice(0, 2).toLowerCase() === chosen) ?? chosen;
  plural = new Intl.PluralRules(chosen);
  document.documentElement.lang = chosen;
}

/**
 * The text of a key, its `{placeholders}` filled; the key itself where a text is missing (a test forbids that).
 *
 * @param {string} key @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key of texts `<key>.one`, `<key>.other` @param {number} count @param {Record<string, string>} [values] */
export function tn(key, count, values = {}) {
  return t(`${key}.${plural.select(count)}`, { count: number(count), ...values });
}

/** @param {string} key @returns {boolean} */
export function has(key) {
  return key in texts;
}

/** @param {number} value with at most `digits` decimals, in the reader's notation */
export function number(value, digits = 0) {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

/** @param {string} moment RFC 3339 @returns {string} such as 18:30, in the reader's time and notation */
export function timeOfDay(moment) {
  return new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(moment));
}

/** @param {string} moment RFC 3339 @returns {string} such as Friday 4 December, 18:30 */
export function dayAndTime(moment) {
  const how = { weekday: "long", day: "numeric", month: "long", hour: "numeric", minute: "2-digit" };
  return new Intl.DateTimeFormat(locale, how).format(new Date(moment));
}

/** @param {number} left_s @returns {string} as `clock`; from two days on in days */
export function timeLeft(left_s) {
  const days = Math.floor(left_s / 86_400);
  return days >= 2 ? tn("waiting.days", days) : clock(left_s);
}

/** @param {number} elapsed_s @returns {string} 4:05 or 1:04:05 */
export function clock(elapsed_s) {
  const whole = Math.max(0, Math.floor(elapsed_s));
  const pad = (value) => String(value).padStart(2, "0");
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds)}` : `${minutes}:${pad(seconds)}`;
}
