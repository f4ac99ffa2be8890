/** What a browser's statistics say about the sound of a session. Pure. */

/**
 * @typedef {object} Summary
 * @property {string} codec such as "opus 48 kHz"; "" when nothing flows
 * @property {number} roundTrip_ms
 * @property {number} jitter_ms the worst slot's
 * @property {number} lost share of packets lost on the way to us since the previous summary, 0 to 1
 * @property {number} lostUp the same for our microphone, as the server reports it
 * @property {number} concealed share of what was played that had to be invented, 0 to 1
 * @property {number} down_kbps
 * @property {number} up_kbps
 * @property {number} slotsHeard slots with packets since the previous summary
 * @property {string} cipher
 * @property {object} totals what the next call takes as `previous`
 */

const share = (part, whole) => (whole > 0 ? Math.max(0, part / whole) : 0);

/**
 * @param {Iterable<[string, any]>} report an `RTCStatsReport`
 * @param {object | null} previous `totals` of the summary before
 * @returns {Summary}
 */
export function summarise(report, previous = null) {
  const all = [...report].map(([, entry]) => entry);
  const find = (id) => all.find((entry) => entry.id === id);
  const inbound = all.filter((entry) => entry.type === "inbound-rtp");
  const outbound = all.filter((entry) => entry.type === "outbound-rtp");
  const sum = (entries, field) => entries.reduce((total, entry) => total + (entry[field] ?? 0), 0);
  const totals = {
    at_ms: all.find((entry) => entry.type === "transport" || entry.type === "peer-connection")?.timestamp ?? 0,
    received: sum(inbound, "packetsReceived"),
    lost: sum(inbound, "packetsLost"),
    bytesDown: sum(inbound, "bytesReceived"),
    bytesUp: sum(outbound, "bytesSent"),
    concealed: sum(inbound, "concealedSamples") - sum(inbound, "silentConcealedSamples"),
    samples: sum(inbound, "totalSamplesReceived"),
    perSlot: Object.fromEntries(inbound.map((entry) => [entry.id, entry.packetsReceived ?? 0])),
  };
  const since = (field) => totals[field] - (previous?.[field] ?? 0);
  const elapsed_s = Math.max(0.001, (totals.at_ms - (previous?.at_ms ?? totals.at_ms - 1000)) / 1000);
  const transport = all.find((entry) => entry.type === "transport");
  const pair = find(transport?.selectedCandidatePairId) ?? all.find((entry) => entry.type === "candidate-pair" && entry.nominated);
  const remote = all.find((entry) => entry.type === "remote-inbound-rtp");
  const codec = find([...inbound, ...outbound].find((entry) => entry.codecId)?.codecId);
  return {
    codec: codec ? `${codec.mimeType.replace("audio/", "")} ${codec.clockRate / 1000} kHz` : "",
    roundTrip_ms: 1000 * (pair?.currentRoundTripTime ?? remote?.roundTripTime ?? 0),
    jitter_ms: 1000 * Math.max(0, ...inbound.map((entry) => entry.jitter ?? 0)),
    lost: share(since("lost"), since("lost") + since("received")),
    lostUp: remote?.fractionLost ?? 0,
    concealed: share(since("concealed"), since("samples")),
    down_kbps: (8 * since("bytesDown")) / elapsed_s / 1000,
    up_kbps: (8 * since("bytesUp")) / elapsed_s / 1000,
    slotsHeard: Object.entries(totals.perSlot).filter(([id, count]) => count > (previous?.perSlot[id] ?? 0)).length,
    cipher: transport?.srtpCipher ?? "",
    totals,
  };
}
