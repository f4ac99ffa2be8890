/** How long to wait before trying again. Pure. */

const FIRST_MS = 400;
const LONGEST_MS = 10_000;

/**
 * The wait before try number `attempt` (0 is the first repetition), doubling up to ten seconds.
 *
 * `random` in [0, 1) spreads the clients of a restarted server over the upper half of the wait, so that they do not
 * come back as one wave. A server's own `Retry-After` is a floor, never shortened.
 *
 * @param {number} attempt
 * @param {number} random
 * @param {number} [retryAfter_s]
 * @returns {number} milliseconds
 */
export function backoff_ms(attempt, random, retryAfter_s = 0) {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.max(retryAfter_s * 1000, Math.round(ceiling * (0.5 + random / 2)));
}

/**
 * Resolves after `wait_ms`, or at once when `signal` aborts or the network comes back.
 *
 * @param {number} wait_ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function pause(wait_ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, wait_ms);
    if (signal.aborted) done();
    signal.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}
