/** The page: reads the address, finds a token, shows the lobby, a space, or why there is none. */

import { Api, claims, isSupported } from "../palco.js";
import { lobby } from "../views/lobby.js";
import { screen } from "../views/screens.js";
import { goOnAir, space as spaceView } from "../views/space.js";
import { Credentials, listenForTokens } from "./credentials.js";
import { choose, speak, t } from "./messages.js";
import { applyTheme, preferences } from "./preferences.js";
import { screenOf } from "./problems.js";
import { parseFragment } from "./route.js";
import { Visit } from "./visit.js";

const credentials = new Credentials();
const root = document.querySelector("#app");

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
  document.title = t("title");
  return present.signal;
}

async function toLobby() {
  const signal = begin();
  const token = await credentials.lobby();
  if (signal.aborted) return;
  if (!token) return show(screen("invitation"));
  const api = new Api({ token });
  const isDevelopment = await credentials.isDevelopment();
  const mayCreate = isDevelopment || claims(await token({ isRefused: false })).video?.roomCreate;
  const create = async ({ id, title }) => {
    const own = isDevelopment ? new Api({ token: await credentials.source(id, "host") }) : api;
    await own.call("POST", "/v1/spaces", { id, title, audience: "forward" });
    location.hash = `space=${id}`;
  };
  const spaces = async () => (await api.call("GET", "/v1/spaces")).spaces;
  if (signal.aborted) return;
  show(lobby({ spaces, create: mayCreate ? create : null, canRename: isDevelopment, signal }));
}

async function toSpace(id) {
  const signal = begin();
  const token = await credentials.source(id);
  if (signal.aborted) return;
  if (!token) return show(screen("invitation"));
  let visit;
  const ways = { lobby: () => void (location.hash = ""), retry: () => toSpace(id), return: () => toSpace(id) };
  const stop = (name, options) => {
    visit?.leave();
    begin();
    show(screen(name, { ways, ...options }));
  };
  const fail = (error) => {
    if (error?.status === 401) credentials.forget(id);
    stop(screenOf(error), { begins_at: error?.fields?.starts_at });
  };
  const leave = async () => {
    const hasLobby = (await credentials.lobby()) !== null;
    stop("left");
    if (hasLobby) location.hash = "";
  };
  let held;
  try {
    held = claims(await token({ isRefused: false }));
  } catch (error) {
    return fail(error);
  }
  if (signal.aborted) return;
  visit = new Visit({ space: id, token });
  visit.addEventListener("over", ({ detail }) => stop(detail));
  signal.addEventListener("abort", () => visit.leave());
  window.addEventListener("pagehide", () => visit.leave(), { signal });
  show(spaceView({ visit, leave, fail, signal }));
  await enter(visit, held, signal);
}

/** Who may publish is asked for the microphone; everyone else hears at once and is asked for nothing. */
async function enter(visit, { video }, signal) {
  if (video?.canPublish) {
    visit.client.follow();
    const isOnAir = await goOnAir(visit, { title: t("greenroom.title"), text: t("greenroom.text"), otherwise: t("greenroom.just_listen") });
    if (isOnAir || signal.aborted) return;
  }
  visit.listen();
}

function route() {
  const { space, token } = parseFragment(location.hash);
  const named = token ? credentials.keep(token, space) : space;
  if (token) history.replaceState(null, "", named ? `#space=${named}` : location.pathname);
  if (!isSupported()) return show(screen("unsupported"));
  return named ? toSpace(named) : toLobby();
}

applyTheme();
const { space: asked } = parseFragment(location.hash);
// Words and token are fetched side by side: sound is what people wait for.
await Promise.all([speak(choose([preferences.language, ...navigator.languages].filter(Boolean))), asked && credentials.source(asked)]);
window.addEventListener("hashchange", route);
listenForTokens(({ token, space }) => {
  if (parseFragment(location.hash).space) return; // nobody is moved out of the space that they are in
  const named = credentials.keep(token, space);
  if (named) location.hash = `space=${named}`;
});
route();
