/** Building and changing the document without markup in strings: what strangers typed can never become an element. */

const SVG = "http://www.w3.org/2000/svg";
/** Beside this module, under whatever versioned name the server gave them all. */
const DRAWINGS = new URL("../icons.svg", import.meta.url).pathname;

/**
 * An element. Attributes: `class`, `text`, `on` (event → listener), `dataset`; true gives a bare attribute, false,
 * null and undefined give none.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (name === "text") element.textContent = value;
    else if (name === "dataset") Object.assign(element.dataset, value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Sets, or with false, null, undefined removes, an attribute; touches nothing when it is so already.
 *
 * @param {Element} element @param {string} name @param {string | number | boolean | null | undefined} value
 */
export function setAttribute(element, name, value) {
  if (value === false || value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** @param {Element} element @param {string} text touches nothing when it is so already (live regions stay quiet) */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A drawing from icons.svg, hidden from assistive technology: its button carries the name.
 *
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${DRAWINGS}#${name}`);
  svg.append(use);
  return svg;
}

/** @param {Element} parent holds one `icon()` @param {string} name */
export function setIcon(parent, name) {
  setAttribute(parent.querySelector("use"), "href", `${DRAWINGS}#${name}`);
}

/**
 * Makes the children of `parent` those of `items`, in their order, keeping elements (and focus) where the key stays.
 *
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {{key: (item: T) => string, create: (item: T) => Element, update?: (element: any, item: T) => void}} how
 */
export function list(parent, items, { key, create, update }) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = key(item);
    let element = before.get(name);
    before.delete(name);
    if (!element) {
      element = create(item);
      element.dataset.key = name;
    }
    update?.(element, item);
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
  for (const gone of before.values()) remove(gone);
}

/** Whoever had the focus on what goes is set down beside it: never thrown back to the top of the document. */
function remove(element) {
  const beside = element.contains(document.activeElement) ? (element.nextElementSibling ?? element.previousElementSibling) : null;
  const fallback = element.contains(document.activeElement) ? element.closest("dialog")?.querySelector('h2[tabindex="-1"]') : null;
  element.remove();
  (beside?.querySelector("button, a") ?? fallback)?.focus();
}
