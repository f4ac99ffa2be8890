/** What a token says about itself. Pure; nothing here is verified: the server does that. */

/**
 * @typedef {object} Claims
 * @property {string} [sub] identity
 * @property {string} [name]
 * @property {number} [exp] seconds since 1970
 * @property {{room?: string, roomJoin?: boolean, roomCreate?: boolean, roomList?: boolean, roomAdmin?: boolean,
 *   canPublish?: boolean, canSubscribe?: boolean, hidden?: boolean}} [video]
 */

/**
 * The claims of a JSON Web Token; `{}` for anything that is not one.
 *
 * @param {string} token
 * @returns {Claims}
 */
export function claims(token) {
  try {
    const padded = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(padded), (character) => character.charCodeAt(0));
    const found = JSON.parse(new TextDecoder().decode(bytes));
    return found !== null && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}
