/** What the address asks for. Pure. */

/** Characters that a space's title may have. */
export const TITLE_LIMIT = 70;

/** Space ids as the server makes and accepts them. */
const SPACE = /^[a-z0-9][a-z0-9-]{1,62}$/;

/**
 * `#space=<id>&token=<jwt>`: a fragment, because a query would end up in logs and referrers.
 *
 * @param {string} fragment with or without its `#`
 * @returns {{space: string | null, token: string | null}}
 */
export function parseFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  const space = fields.get("space");
  return { space: space !== null && SPACE.test(space) ? space : null, token: fields.get("token") };
}

/**
 * The link that invites others: never with a token in it.
 *
 * @param {string} space @param {string} page the page's own address
 */
export function shareLink(space, page) {
  const url = new URL(page);
  url.search = "";
  url.hash = `space=${space}`;
  return url.href;
}

/**
 * A readable id for a new space.
 *
 * @param {string} title @param {string} suffix random, so that two spaces of one title differ
 */
export function spaceId(title, suffix) {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40).replace(/-+$/, "");
  return words ? `${words}-${suffix}` : `space-${suffix}`;
}
