/** Which screen a refusal leads to. Pure. */

const BY_CODE = {
  removed: "removed",
  blocked: "blocked",
  token_expired: "expired",
  unknown_space: "unknown",
  space_ended: "ended",
  space_cancelled: "cancelled",
  space_full: "full",
  stage_full: "full",
  ticket_needed: "ticket",
  banned: "banned",
  duplicate_identity: "duplicate",
  no_path: "no_path",
  unreachable: "unreachable",
};
const BY_STATUS = { 401: "expired", 403: "forbidden", 404: "unknown", 410: "ended", 429: "busy", 503: "busy" };

/**
 * The name of a screen (`screen.<name>.title` and so on in the messages).
 *
 * @param {{code?: string, status?: number} | null | undefined} error
 */
export function screenOf(error) {
  return BY_CODE[error?.code] ?? BY_STATUS[error?.status] ?? "failed";
}

/** The screen for a visit that is over, by the word that the server had for it. @param {string} why */
export function screenOfEnd(why) {
  return why === "ticket_revoked" ? "ticket" : why in SCREENS ? why : "ended";
}

/** The drawing and the ways on of each screen: `lobby`, `retry`, `listen`, or none. */
export const SCREENS = {
  unsupported: { icon: "browser", ways: [] },
  invitation: { icon: "key", ways: [] },
  expired: { icon: "key", ways: ["lobby"] },
  forbidden: { icon: "lock", ways: ["lobby"] },
  unknown: { icon: "search", ways: ["lobby"] },
  full: { icon: "people", ways: ["retry", "lobby"] },
  ended: { icon: "end", ways: ["lobby"] },
  cancelled: { icon: "clock", ways: ["lobby"] },
  ticket: { icon: "ticket", ways: ["retry", "lobby"] },
  removed: { icon: "remove", ways: ["lobby"] },
  blocked: { icon: "block", ways: ["lobby"] },
  banned: { icon: "block", ways: [] },
  duplicate: { icon: "people", ways: ["retry", "lobby"] },
  no_path: { icon: "offline", ways: ["retry", "lobby"] },
  unreachable: { icon: "offline", ways: ["retry"] },
  busy: { icon: "clock", ways: ["retry", "lobby"] },
  failed: { icon: "offline", ways: ["retry", "lobby"] },
  left: { icon: "leave", ways: ["return", "lobby"] },
};
