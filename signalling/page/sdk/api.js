/** HTTP to a Palco server: bearer token, JSON and SDP bodies, problems as errors. */

/** Statuses after which the same request cannot succeed by waiting; 409 is decided by its code. */
const FINAL = new Set([400, 401, 403, 404, 405, 410, 412, 413, 415, 422]);
const FINAL_CONFLICTS = new Set(["stage_full", "space_full", "space_exists", "not_invited", "not_started", "duplicate_identity"]);

/** A refusal by the server, or the lack of an answer (`status` 0, `code` "unreachable"). */
export class PalcoError extends Error {
  /**
   * @param {string} code stable, for machines
   * @param {string} detail for people, from the server
   * @param {{status?: number, retryAfter_s?: number, fields?: Record<string, unknown>}} [facts]
   */
  constructor(code, detail, { status = 0, retryAfter_s = 0, fields = {} } = {}) {
    super(detail || code);
    this.name = "PalcoError";
    this.code = code;
    this.status = status;
    this.retryAfter_s = retryAfter_s;
    /** The problem document as sent (RFC 9457). */
    this.fields = fields;
  }

  /** Whether trying the same again is pointless. */
  get isFinal() {
    return FINAL.has(this.status) || (this.status === 409 && FINAL_CONFLICTS.has(this.code));
  }
}

/**
 * The problem in a refused response (RFC 9457); a bare status becomes `http_<status>`.
 *
 * @param {Response} response
 * @returns {Promise<PalcoError>}
 */
export async function problemOf(response) {
  let fields = {};
  try {
    fields = await response.json();
  } catch {
    // A proxy's HTML page: the status is all there is.
  }
  const code = typeof fields.code === "string" ? fields.code : `http_${response.status}`;
  const retryAfter_s = Number(response.headers.get("Retry-After")) || 0;
  return new PalcoError(code, String(fields.detail ?? fields.title ?? ""), {
    status: response.status,
    retryAfter_s,
    fields,
  });
}

/**
 * @typedef {(why: {isRefused: boolean}) => string | Promise<string>} TokenSource
 *   gives the token; asked again with `isRefused` after a 401, to renew it
 */

export class Api {
  #token;

  /**
   * @param {{token: string | TokenSource, baseUrl?: string | URL}} options `baseUrl`: the server; by default this page's
   */
  constructor({ token, baseUrl = globalThis.location?.origin }) {
    this.baseUrl = new URL(baseUrl);
    this.#token = typeof token === "function" ? token : () => token;
  }

  /** @param {{isRefused?: boolean}} [why] */
  async token({ isRefused = false } = {}) {
    return await this.#token({ isRefused });
  }

  /**
   * The response to one request; throws `PalcoError`. A refused token is renewed and tried once more.
   *
   * @param {string} method
   * @param {string | URL} path
   * @param {{json?: unknown, body?: string, headers?: Record<string, string>, signal?: AbortSignal, keepalive?: boolean}} [options]
   * @returns {Promise<Response>}
   */
  async request(method, path, options = {}) {
    const first = await this.token();
    try {
      return await this.#send(method, path, { token: first, ...options });
    } catch (error) {
      if (!(error instanceof PalcoError) || error.status !== 401) throw error;
      const second = await this.token({ isRefused: true });
      if (second === first) throw error;
      return await this.#send(method, path, { token: second, ...options });
    }
  }

  /**
   * As `request`, with the body of the answer read as JSON (null when there is none).
   *
   * @param {string} method
   * @param {string} path
   * @param {unknown} [json]
   * @returns {Promise<any>}
   */
  async call(method, path, json) {
    const response = await this.request(method, path, { json });
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  }

  async #send(method, path, { token, json, body, headers = {}, signal, keepalive = false }) {
    const sent = { Accept: "application/json, application/problem+json", ...headers };
    if (token) sent.Authorization = `Bearer ${token}`;
    if (json !== undefined) sent["Content-Type"] = "application/json";
    let response;
    try {
      response = await fetch(new URL(path, this.baseUrl), {
        method,
        headers: sent,
        body: json === undefined ? body : JSON.stringify(json),
        cache: "no-store",
        credentials: "omit",
        signal,
        keepalive,
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new PalcoError("unreachable", "The server does not answer.");
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}
