/**
 * Palco's client for browsers: the one module that an application imports.
 *
 *     import { SpaceClient } from "/palco.js";
 *     const space = new SpaceClient({ space: "evening-talk", token });
 *     space.addEventListener("change", () => draw(space.roster));
 *     await space.join();            // follows the space and hears it; asks for no microphone
 *     await space.speak(track);      // on stage, with a MediaStreamTrack of your choosing
 *
 * Below it lie smaller parts, each usable alone:
 *
 * - `Api`            HTTP with a bearer token; errors are `PalcoError`s with the server's stable `code`.
 * - `Session`        one WHIP, WHEP or stage session: offer, answer, ICE restart, end.
 * - `SteadySession`  the same, kept up through lost networks and restarted servers.
 * - `EventFeed`      the space's events by WebSocket, by server-sent events where that fails.
 * - `Roster`         what those events add up to (pure functions).
 * - `Playback`       audio elements for the slots, with the autoplay rule made visible.
 *
 * No dependence on Palco's own page, no build step, no other library.
 * Left out: trickling of candidates. Palco answers as ICE-lite and learns a client's addresses from its checks.
 */

export { Api, PalcoError } from "./sdk/api.js";
export { backoff_ms } from "./sdk/backoff.js";
export { EventFeed } from "./sdk/feed.js";
export { Playback } from "./sdk/playback.js";
export { apply, emptyRoster, mayModerate, mayStepUp, onStage, raisedHands } from "./sdk/roster.js";
export { Session, isSupported } from "./sdk/session.js";
export { SpaceClient } from "./sdk/space.js";
export { summarise } from "./sdk/statistics.js";
export { SteadySession } from "./sdk/steady.js";
export { claims } from "./sdk/token.js";
