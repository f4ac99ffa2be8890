/** The page: reads the address, finds a token, shows the lobby, a space, or why there is none. */

import { Api, claims, isSupported, mayModerate, SpaceClient } from "../palco.js";
import { lobby } from "../views/lobby.js";
import { screen } from "../views/screens.js";
import { goOnAir, space as spaceView } from "../views/space.js";
import { waiting } from "../views/waiting.js";
import { Credentials, listenForTokens } from "./credentials.js";
import { choose, speak, t } from "./messages.js";
import { applyTheme, preferences } from "./preferences.js";
import { screenOf, screenOfEnd } from "./problems.js";
import { parseFragment } from "./route.js";
import { Visit } from "./visit.js";

const BEGIN_WITHIN_MS = 1_500;

const credentials = new Credentials();
const root = document.querySelector("#app");

/** Sound is what people wait for: a session begins while the words are still on their way. */
const words = speak(choose([preferences.language, ...navigator.languages].filter(Boolean)));

/** What is on the screen now; ending it ends everything that belongs to it. */
let present = new AbortController();

function show(element) {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  root.replaceChildren(element);
  document.body.dataset.view = element.classList[0];
}

function begin() {
  present.abort();
  present = new AbortController();
  return present.signal;
}

async function showScreen(name, options) {
  const signal = begin();
  await words;
  if (signal.aborted) return;
  document.title = t("title");
  show(screen(name, options));
}

async function toLobby() {
  const signal = begin();
  const [token] = await Promise.all([credentials.lobby(), words]);
  if (signal.aborted) return;
  if (!token) return showScreen("invitation");
  const api = new Api({ token });
  const isDevelopment = await credentials.isDevelopment();
  const mayCreate = isDevelopment || claims(await token({ isRefused: false })).video?.roomCreate;
  const create = async (wish) => {
    const own = isDevelopment ? new Api({ token: await credentials.source(wish.id, "host") }) : api;
    await own.call("POST", "/v1/spaces", wish);
    location.hash = `space=${wish.id}`;
  };
  const spaces = async (state) => (await api.call("GET", `/v1/spaces?state=${state}&limit=100`)).spaces;
  if (signal.aborted) return;
  document.title = t("title");
  show(lobby({ spaces, create: mayCreate ? create : null, canRename: isDevelopment, signal }));
}

async function toSpace(id) {
  const signal = begin();
  let visit;
  const ways = { lobby: () => void (location.hash = ""), retry: () => toSpace(id), return: () => toSpace(id) };
  const stop = (name, reason) => {
    visit?.leave();
    return showScreen(name, { ways, reason });
  };
  const fail = (error) => {
    if (error?.status === 401) credentials.forget(id);
    if (error?.code === "not_started") return toWait(id);
    return stop(screenOf(error));
  };
  const leave = async () => {
    const hasLobby = (await credentials.lobby()) !== null;
    await stop("left");
    if (hasLobby) location.hash = "";
  };
  const token = await credentials.source(id);
  if (signal.aborted) return;
  if (!token) return showScreen("invitation");
  let held;
  try {
    held = claims(await token({ isRefused: false }));
  } catch (error) {
    return fail(error);
  }
  if (signal.aborted) return;
  visit = new Visit({ space: id, token, mayPublish: held.video?.canPublish });
  visit.addEventListener("over", ({ detail }) => stop(screenOfEnd(detail), visit.roster.space?.end_reason));
  signal.addEventListener("abort", () => visit.leave());
  window.addEventListener("pagehide", () => visit.leave(), { signal });
  visit.listen(); // who may speak too hears the space from the green room on
  await words;
  if (signal.aborted) return;
  document.title = t("title");
  show(spaceView({ visit, leave, fail, signal }));
  if (!held.video?.canPublish) return;
  await goOnAir(visit, { title: t("greenroom.title"), text: t("greenroom.text"), otherwise: t("greenroom.just_listen") });
}

/** A scheduled space: its events are followed, and when it begins we are in it. */
async function toWait(id) {
  const signal = begin();
  const client = new SpaceClient({ space: id, token: await credentials.source(id) });
  const ways = { lobby: () => void (location.hash = ""), retry: () => toWait(id) };
  let hasBegun = false;
  const fail = (error) => showScreen(screenOf(error), { ways });
  signal.addEventListener("abort", () => client.leave());
  client.addEventListener("over", ({ detail }) => showScreen(screenOfEnd(detail), { ways }));
  client.addEventListener("change", () => {
    if (client.roster.space?.state !== "live" || hasBegun) return;
    hasBegun = true;
    // All who wait are told in the same moment: they go in one after the other, those who lead it first.
    setTimeout(() => signal.aborted || toSpace(id), mayModerate(client.roster.you?.role) ? 0 : BEGIN_WITHIN_MS * Math.random());
  });
  client.addEventListener("connection", () => client.feed.state === "failed" && fail(client.feed.error));
  try {
    const [space] = await Promise.all([client.read(), words]);
    if (signal.aborted) return;
    client.follow();
    document.title = t("space.document_title", { title: space.title });
    show(waiting({ client, space, refused: fail, lobby: ways.lobby, signal }));
  } catch (error) {
    fail(error);
  }
}

function route() {
  const { space, token } = parseFragment(location.hash);
  const named = token ? credentials.keep(token, space) : space;
  if (token) history.replaceState(null, "", named ? `#space=${named}` : location.pathname);
  if (!isSupported()) return showScreen("unsupported");
  return named ? toSpace(named) : toLobby();
}

applyTheme();
window.addEventListener("hashchange", route);
listenForTokens(({ token, space }) => {
  const here = parseFragment(location.hash).space;
  const meant = space ?? claims(token).video?.room ?? null;
  if (here !== null && meant !== here) return; // nobody is moved out of the space that they are in
  const named = credentials.keep(token, meant);
  if (named && here === null) location.hash = `space=${named}`;
});
route();
