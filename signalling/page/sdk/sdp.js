/** The few lines of SDP that a client must read or write itself. Pure. */

const CREDENTIALS = /^a=ice-(ufrag|pwd):.*\r?\n/gm;
const CANDIDATES = /^a=(candidate:.*|end-of-candidates)\r?\n/gm;

/** @param {string} sdp @param {string} name @returns {string | undefined} the first value of `a=<name>:` */
function attribute(sdp, name) {
  return new RegExp(`^a=${name}:(.*?)\\r?$`, "m").exec(sdp)?.[1];
}

/**
 * The offer with Opus's discontinuous transmission asked for (RFC 7587 §6.1): who is silent or muted sends next to
 * nothing. Only the copy for the server is changed; the encoder follows the answer.
 *
 * @param {string} offer
 */
export function withDtx(offer) {
  const payloadTypes = new Set([...offer.matchAll(/^a=rtpmap:(\d+) opus\/48000/gim)].map(([, number]) => number));
  return offer.replace(/^a=fmtp:(\d+) (.*?)(\r?)$/gm, (line, number, parameters, end) =>
    payloadTypes.has(number) && !parameters.includes("usedtx") ? `a=fmtp:${number} ${parameters};usedtx=1${end}` : line,
  );
}

/**
 * The body of the PATCH that restarts ICE (RFC 8840, as used in RFC 9725 §4.3.2).
 *
 * With BUNDLE there is one transport: the credentials stand at the session level, followed by the first section.
 *
 * @param {string} offer a local description with fresh credentials
 * @returns {string}
 */
export function restartFragment(offer) {
  const media = /^m=.*$/m.exec(offer)?.[0].trimEnd();
  const lines = [
    `a=ice-ufrag:${attribute(offer, "ice-ufrag")}`,
    `a=ice-pwd:${attribute(offer, "ice-pwd")}`,
    media,
    `a=mid:${attribute(offer, "mid")}`,
  ];
  return `${lines.join("\r\n")}\r\n`;
}

/**
 * The old answer with the credentials and candidates of the server's restart fragment in every section.
 *
 * @param {string} answer
 * @param {string} fragment
 * @returns {string}
 */
export function restartedAnswer(answer, fragment) {
  const lines = [`a=ice-ufrag:${attribute(fragment, "ice-ufrag")}`, `a=ice-pwd:${attribute(fragment, "ice-pwd")}`];
  for (const [, candidate] of fragment.matchAll(/^(a=candidate:.*?)\r?$/gm)) lines.push(candidate);
  const fresh = `${lines.join("\r\n")}\r\n`;
  return answer
    .replace(CREDENTIALS, "")
    .replace(CANDIDATES, "")
    .replace(/^m=.*\r?\n(?:c=.*\r?\n)?/gm, (opening) => opening + fresh);
}

/**
 * ICE servers from the `Link` headers of a 201 (RFC 9725 §4.5).
 *
 * @param {string | null} header all Link values, joined by commas as browsers do
 * @returns {RTCIceServer[]}
 */
export function iceServers(header) {
  const servers = [];
  for (const link of (header ?? "").split(/,\s*(?=<)/)) {
    const url = /^\s*<([^>]+)>/.exec(link)?.[1];
    if (!url || !/rel="?ice-server"?/.test(link)) continue;
    const field = (name) => new RegExp(`;\\s*${name}="([^"]*)"`).exec(link)?.[1];
    // The header writes `turn:host?transport=udp` as a URI reference; browsers take it as it stands.
    const server = { urls: url };
    if (field("username") !== undefined) {
      server.username = field("username");
      server.credential = field("credential");
    }
    servers.push(server);
  }
  return servers;
}
