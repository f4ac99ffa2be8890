// WHIP and WHEP for rooms of one mediasoup worker: node mediasoup_server.mjs PORT FOLDER
// FOLDER is where mediasoup is installed; MEDIASOUP_WORKER_BIN names the worker to run.

import { createServer } from "node:http";
import { createRequire } from "node:module";

const [port, folder] = process.argv.slice(2);
const mediasoup = createRequire(`${folder}/`)("mediasoup");

const HOST = "127.0.0.1";
const OPUS = { kind: "audio", mimeType: "audio/opus", clockRate: 48000, channels: 2, preferredPayloadType: 111 };

const worker = await mediasoup.createWorker({ logLevel: "warn" });
worker.on("died", () => process.exit(1));
const webRtcServer = await worker.createWebRtcServer({ listenInfos: [{ protocol: "udp", ip: HOST, port: 0 }] });
const rooms = new Map();
const transports = new Map();

/** A room is a router and the producers of its speakers, who join first: a listener gets those who are there. */
function roomOf(name) {
  if (!rooms.has(name)) {
    rooms.set(name, worker.createRouter({ mediaCodecs: [OPUS] }).then((router) => ({ router, producers: [] })));
  }
  return rooms.get(name);
}

const attribute = (sdp, name) => sdp.match(new RegExp(`^a=${name}:(.*?)\\r?$`, "m"))?.[1];

/** A transport for whoever offers, and the promise that it is ready for their handshake. */
async function open(router, offer) {
  const transport = await router.createWebRtcTransport({ webRtcServer, enableUdp: true, enableTcp: false });
  transports.set(transport.id, transport);
  const [algorithm, value] = attribute(offer, "fingerprint").split(" ");
  const dtlsParameters = { role: "client", fingerprints: [{ algorithm, value }] };
  return { transport, connected: transport.connect({ dtlsParameters }) };
}

async function publish({ router, producers }, offer) {
  const { transport, connected } = await open(router, offer);
  const codec = { mimeType: OPUS.mimeType, clockRate: 48000, channels: 2, payloadType: 111 };
  const ssrc = Number(attribute(offer, "ssrc").split(" ")[0]);
  const rtpParameters = { mid: attribute(offer, "mid"), codecs: [codec], encodings: [{ ssrc }], headerExtensions: [] };
  const [producer] = await Promise.all([transport.produce({ kind: "audio", rtpParameters }), connected]);
  producers.push(producer);
  return transport;
}

async function listen({ router, producers }, offer) {
  const { transport, connected } = await open(router, offer);
  const rtpCapabilities = { codecs: [OPUS], headerExtensions: [] };
  const consumers = producers.map(({ id }) => transport.consume({ producerId: id, rtpCapabilities }));
  await Promise.all([connected, ...consumers]);
  return transport;
}

/** The answer: each section of the offer, reached at the transport. */
function answer(offer, { iceParameters, iceCandidates, dtlsParameters }, direction) {
  const { algorithm, value } = dtlsParameters.fingerprints.find((each) => each.algorithm === "sha-256");
  const { foundation, priority, ip, port: at } = iceCandidates[0];
  const mids = [...offer.matchAll(/^a=mid:(.*?)\r?$/gm)].map((match) => match[1]);
  const section = (mid) => [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", `c=IN IP4 ${HOST}`, `a=mid:${mid}`, `a=${direction}`,
    "a=rtpmap:111 opus/48000/2", "a=rtcp-mux", "a=setup:passive", `a=fingerprint:${algorithm} ${value}`,
    `a=ice-ufrag:${iceParameters.usernameFragment}`, `a=ice-pwd:${iceParameters.password}`,
    `a=candidate:${foundation} 1 udp ${priority} ${ip} ${at} typ host`,
  ];
  const session = ["v=0", `o=- 1 1 IN IP4 ${HOST}`, "s=-", "t=0 0", "a=ice-lite", `a=group:BUNDLE ${mids.join(" ")}`];
  return [...session, ...mids.flatMap(section), ""].join("\r\n");
}

async function join(role, name, offer) {
  const room = await roomOf(name);
  const transport = await (role === "whip" ? publish : listen)(room, offer);
  const body = answer(offer, transport, role === "whip" ? "recvonly" : "sendonly");
  return [201, { Location: `/${role}/${name}/${transport.id}`, "Content-Type": "application/sdp" }, body];
}

async function serve(request) {
  const [, role, name, session] = request.url.split("/");
  if (request.method === "DELETE") {
    transports.get(session)?.close();
    transports.delete(session);
    return [200, {}, ""];
  }
  const parts = [];
  for await (const part of request) parts.push(part);
  return join(role, name, Buffer.concat(parts).toString());
}

createServer((request, response) => {
  serve(request)
    .catch((error) => [502, {}, String(error)])
    .then(([status, headers, body]) =>
      response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) }).end(body),
    );
}).listen(Number(port), HOST, 4096);
