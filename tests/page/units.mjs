// The page's pure parts, by Node's own test runner: `node --test tests/page/units.mjs`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isWeb, nameOf } from "../../signalling/page/views/links.js";
import { proposal } from "../../signalling/page/views/plan.js";
import { SelfMute } from "../../signalling/page/app/selfmute.js";
import { UnheardVoice } from "../../signalling/page/app/unheard.js";
import { screenOf, screenOfEnd } from "../../signalling/page/app/problems.js";
import { parseFragment, shareLink, spaceId } from "../../signalling/page/app/route.js";
import { PalcoError } from "../../signalling/page/sdk/api.js";
import { backoff_ms } from "../../signalling/page/sdk/backoff.js";
import { apply, emptyRoster, mayStepUp, onStage, raisedHands } from "../../signalling/page/sdk/roster.js";
import { iceServers, restartedAnswer, restartFragment, withDtx } from "../../signalling/page/sdk/sdp.js";
import { ServerSentEvents } from "../../signalling/page/sdk/sse.js";
import { summarise } from "../../signalling/page/sdk/statistics.js";
import { claims } from "../../signalling/page/sdk/token.js";

const person = (identity, role, more = {}) => ({
  identity,
  name: identity,
  role,
  is_muted: false,
  has_raised_hand: false,
  joined_at: "2026-11-01T18:00:00Z",
  ...more,
});
const event = (type, data) => ({ type, seq: 1, ts: "", space: "s", data });
const snapshot = (participants, you = { identity: "me", role: "listener", is_muted: false }) =>
  event("snapshot", { space: { id: "s", state: "live", counts: { speakers: 1, listeners: 2 } }, participants, you });
const after = (...events) => events.reduce(apply, emptyRoster());

test("the wait doubles, is spread over its upper half, and never passes ten seconds", () => {
  assert.equal(backoff_ms(0, 0), 200);
  assert.equal(backoff_ms(0, 0.999), 400);
  assert.equal(backoff_ms(3, 0), 1600);
  assert.equal(backoff_ms(50, 0.999999), 10_000);
});

test("a server's Retry-After is a floor", () => assert.equal(backoff_ms(0, 0, 30), 30_000));

test("the stage lists the host first, then cohosts, then speakers by the time they came", () => {
  const roster = after(
    snapshot([
      person("late", "speaker", { joined_at: "2026-11-01T18:09:00Z" }),
      person("early", "speaker"),
      person("co", "cohost"),
      person("host", "host"),
    ]),
  );
  assert.deepEqual(onStage(roster).map(({ identity }) => identity), ["host", "co", "early", "late"]);
});

test("hands queue in the order in which they rose, whatever else changes about their owners", () => {
  const ada = person("ada", "listener", { has_raised_hand: true });
  const bo = person("bo", "listener", { has_raised_hand: true });
  const roster = after(snapshot([]), event("participant.changed", ada), event("participant.changed", bo), event("participant.changed", ada));
  assert.deepEqual(raisedHands(roster).map(({ identity }) => identity), ["ada", "bo"]);
  const lowered = apply(roster, event("participant.changed", person("ada", "listener")));
  assert.deepEqual(raisedHands(lowered).map(({ identity }) => identity), ["bo"]);
});

test("someone who goes back to the audience leaves the roster, which lists no listeners", () => {
  const roster = after(snapshot([person("ada", "speaker")]), event("participant.changed", person("ada", "listener")));
  assert.equal(roster.participants.size, 0);
});

test("our own entry tells our role, also when no you.changed was sent", () => {
  const roster = after(snapshot([]), event("participant.joined", person("me", "speaker", { is_muted: true })));
  assert.equal(roster.you.role, "speaker");
  assert.equal(roster.you.is_muted, true);
});

test("a new snapshot replaces what was known before a lost connection", () => {
  const roster = after(snapshot([person("gone", "speaker")]), event("speakers.changed", { speakers: [{ identity: "gone", level_dbov: -20 }] }), snapshot([]));
  assert.equal(roster.participants.size, 0);
  assert.equal(roster.levels.size, 0);
});

test("an event of a newer server changes nothing", () => {
  const roster = after(snapshot([]));
  assert.equal(apply(roster, event("lights.dimmed", { by: 3 })), roster);
  assert.equal(apply(roster, event("constructor", {})), roster);
});

test("several people who changed at once are told at once: those who left first", () => {
  const roster = after(snapshot([person("ada", "speaker"), person("bo", "speaker")]), event("participants.changed", { participants: [person("bo", "cohost"), person("cy", "speaker")], left: ["ada", "bo"] }));
  assert.deepEqual(onStage(roster).map(({ identity }) => identity), ["bo", "cy"]);
});

test("a line that is being spoken is replaced until it is final, and those of others stay", () => {
  const line = (identity, text, is_final) => event("caption", { identity, text, is_final, language: null });
  const roster = after(snapshot([]), line("ada", "good", false), line("bo", "yes", true), line("ada", "good evening", false), line("ada", "Good evening.", true));
  assert.deepEqual(roster.captions.map(({ text }) => text), ["yes", "Good evening."]);
  const many = Array.from({ length: 9 }, (_, index) => line("ada", String(index), true));
  assert.deepEqual(after(snapshot([]), ...many).captions.map(({ text }) => text), ["4", "5", "6", "7", "8"]);
});

test("who may speak follows from the space's rule, and is asked of listeners alone", () => {
  const under = (speak, you) => mayStepUp({ space: { speak }, you: { role: "listener", is_followed: false, ...you } });
  assert.equal(under("everyone"), true);
  assert.equal(under("invited", { is_followed: true }), false);
  assert.equal(under("followed"), false);
  assert.equal(under("followed", { is_followed: true }), true);
  assert.equal(under("everyone", { role: "speaker" }), false);
  assert.equal(mayStepUp(emptyRoster()), false);
});

test("links come with the snapshot and are replaced as a whole", () => {
  const start = snapshot([]);
  start.data.links = [{ id: "1", url: "https://a.example" }];
  assert.equal(after(start).links.length, 1);
  assert.deepEqual(after(start, event("links.changed", { links: [] })).links, []);
});

test("only links into the web can be followed", () => {
  assert.equal(isWeb("https://a.example/x?y#z"), true);
  for (const url of ["javascript:alert(1)", "data:text/html,x", "//a.example", "", "ftp://a.example"]) assert.equal(isWeb(url), false, url);
});

test("a link is called by its title, else by where it leads", () => {
  assert.equal(nameOf({ url: "https://a.example/", title: "The map" }), "The map");
  assert.equal(nameOf({ url: "https://a.example/", title: null }), "a.example");
  assert.equal(nameOf({ url: "https://a.example/night?x=1", title: "" }), "a.example/night");
});

test("a plan proposes the next full hour that leaves time to invite", () => {
  assert.equal(proposal(Date.parse("2026-11-01T18:10:00Z")).toISOString(), "2026-11-01T19:00:00.000Z");
  assert.equal(proposal(Date.parse("2026-11-01T18:40:00Z")).toISOString(), "2026-11-01T20:00:00.000Z");
});

test("the last of several wishes about the own microphone is what the server is left with", async () => {
  const told = [];
  let release;
  const client = { muteSelf: (isMuted) => (told.push(isMuted), new Promise((resolve) => (release = resolve))) };
  const mute = new SelfMute(client);
  const first = mute.tell(true);
  await mute.tell(false);
  await mute.tell(true);
  await mute.tell(false);
  release();
  await new Promise(setImmediate);
  release();
  assert.equal(await first, null);
  assert.deepEqual(told, [true, false]);
});

test("server-sent events survive any cut of the stream", () => {
  const stream = 'retry: 2000\n\ndata: {"a":1}\n\n: still here\n\nevent: x\r\ndata: one\r\ndata: two\r\n\r\n';
  for (let cut = 0; cut <= stream.length; cut++) {
    const parser = new ServerSentEvents();
    const events = [...parser.push(stream.slice(0, cut)), ...parser.push(stream.slice(cut))];
    assert.deepEqual(events, [{ event: "message", data: '{"a":1}' }, { event: "x", data: "one\ntwo" }], `cut at ${cut}`);
  }
});

const OFFER =
  "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:new\r\na=ice-pwd:secret\r\na=mid:0\r\n" +
  "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n";

test("the fragment of an ICE restart names the new credentials and the first section", () =>
  assert.equal(restartFragment(OFFER), "a=ice-ufrag:new\r\na=ice-pwd:secret\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=mid:0\r\n"));

test("the answer after a restart differs in credentials and candidates only", () => {
  const before =
    "v=0\r\na=ice-lite\r\nm=audio 7882 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1\r\na=mid:0\r\na=ice-ufrag:old\r\na=ice-pwd:older\r\n" +
    "a=candidate:1 1 udp 1 127.0.0.1 7882 typ host\r\na=end-of-candidates\r\nm=audio 7882 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 127.0.0.1\r\na=mid:1\r\na=ice-ufrag:old\r\na=ice-pwd:older\r\n";
  const fragment = "a=ice-lite\r\na=ice-ufrag:srv\r\na=ice-pwd:srvpwd\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 7882 typ host\r\na=end-of-candidates\r\n";
  const now = restartedAnswer(before, fragment);
  assert.equal(now.match(/a=ice-ufrag:srv\r\n/g).length, 2);
  assert.equal(now.includes("old"), false);
  assert.equal(now.includes("127.0.0.1 7882"), false);
  assert.match(now, /^m=audio 7882 UDP\/TLS\/RTP\/SAVPF 111\r\nc=IN IP4 127\.0\.0\.1\r\na=ice-ufrag:srv\r\na=ice-pwd:srvpwd\r\na=candidate:1 1 udp 1 192\.0\.2\.1/m);
});

test("discontinuous transmission is asked of Opus alone, once", () => {
  const asked = withDtx(OFFER);
  assert.match(asked, /a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n/);
  assert.match(asked, /a=fmtp:63 111\/111\r\n/);
  assert.equal(withDtx(asked), asked);
});

test("ICE servers come from Link headers, other links do not", () => {
  const header = '<turn:t.example?transport=udp>; rel="ice-server"; username="u"; credential="c"; credential-type="password", <stun:s.example>; rel="ice-server", </x>; rel="next"';
  assert.deepEqual(iceServers(header), [{ urls: "turn:t.example?transport=udp", username: "u", credential: "c" }, { urls: "stun:s.example" }]);
  assert.deepEqual(iceServers(null), []);
});

test("claims of what is no token are empty", () => {
  for (const text of ["", "a", "a.b.c", "..", `x.${btoa("3")}.y`]) assert.deepEqual(claims(text), {});
  const made = ["", Buffer.from('{"sub":"Zoë"}').toString("base64url"), ""].join(".");
  assert.equal(claims(made).sub, "Zoë");
});

test("a fragment gives a space and a token, and nothing that is not a space id", () => {
  assert.deepEqual(parseFragment("#space=night-trains&token=a.b.c"), { space: "night-trains", token: "a.b.c" });
  assert.deepEqual(parseFragment("#space=../etc"), { space: null, token: null });
  assert.deepEqual(parseFragment(""), { space: null, token: null });
});

test("a link to share carries no token and no query", () =>
  assert.equal(shareLink("night-trains", "https://palco.example/?x=1#space=night-trains&token=a.b.c"), "https://palco.example/#space=night-trains"));

test("a space's id is made of its title, in letters that the server takes", () => {
  assert.equal(spaceId("Perché no? È l'ora!", "x1"), "perche-no-e-l-ora-x1");
  assert.equal(spaceId("日本語", "x1"), "space-x1");
  for (const title of ["a".repeat(70), "--", "é".repeat(70), "A B ".repeat(17)]) {
    assert.equal(parseFragment(`space=${spaceId(title, "abc123")}`).space, spaceId(title, "abc123"));
  }
});

test("each refusal has its screen; an unknown code falls back to its status, an unknown status to a general one", () => {
  assert.equal(screenOf(new PalcoError("removed", "", { status: 403 })), "removed");
  assert.equal(screenOf(new PalcoError("bad_token", "", { status: 401 })), "expired");
  assert.equal(screenOf(new PalcoError("overloaded", "", { status: 503 })), "busy");
  assert.equal(screenOf(new PalcoError("http_418", "", { status: 418 })), "failed");
  assert.equal(screenOf(undefined), "failed");
});

test("whatever word a visit ends with has a screen", () => {
  for (const why of ["removed", "blocked", "banned", "ended", "cancelled"]) assert.equal(screenOfEnd(why), why);
  assert.equal(screenOfEnd("ticket_revoked"), "ticket");
  assert.equal(screenOfEnd("a word of a newer server"), "ended");
});

test("a full stage is final, a busy server and a lost network are not", () => {
  assert.equal(new PalcoError("stage_full", "", { status: 409 }).isFinal, true);
  assert.equal(new PalcoError("too_many_sessions", "", { status: 409 }).isFinal, false);
  assert.equal(new PalcoError("overloaded", "", { status: 503 }).isFinal, false);
  assert.equal(new PalcoError("unreachable", "").isFinal, false);
});

test("someone who speaks while muted is told once, and not for a cough", () => {
  const voice = new UnheardVoice();
  const at = (now_ms, level = 0.8, isUnheard = true) => voice.onLevel(level, { isUnheard, now_ms });
  assert.equal(at(0), false);
  assert.equal(at(300, 0.1), false);
  assert.equal(at(600), false);
  assert.equal(at(1400), false);
  assert.equal(at(1600), true);
  assert.equal(at(5000), false);
  assert.equal(at(40_000), true);
  assert.equal(at(80_000, 0.8, false), false);
});

test("statistics are of the time since the last look", () => {
  const report = (received, lost, at) => [
    ["T", { id: "T", type: "transport", timestamp: at, selectedCandidatePairId: "P", srtpCipher: "AEAD_AES_128_GCM" }],
    ["P", { id: "P", type: "candidate-pair", currentRoundTripTime: 0.02 }],
    ["C", { id: "C", type: "codec", mimeType: "audio/opus", clockRate: 48000 }],
    ["I", { id: "I", type: "inbound-rtp", codecId: "C", packetsReceived: received, packetsLost: lost, jitter: 0.004, bytesReceived: received * 100, totalSamplesReceived: received * 960, concealedSamples: lost * 960 }],
  ];
  const first = summarise(report(100, 0, 1000));
  const second = summarise(report(190, 10, 3000), first.totals);
  assert.equal(second.lost, 0.1);
  assert.equal(second.down_kbps, (90 * 100 * 8) / 2 / 1000);
  assert.equal(second.codec, "opus 48 kHz");
  assert.equal(second.roundTrip_ms, 20);
  assert.equal(second.slotsHeard, 1);
});
