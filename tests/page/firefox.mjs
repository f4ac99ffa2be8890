// Firefox on the page, over WebDriver BiDi, with the driver of tests/interop:
//
//     node firefox.mjs hear EXECUTABLE ADDRESS VOICES     ends once so many slots carry a voice
//     node firefox.mjs speak EXECUTABLE ADDRESS TONE_HZ   goes on stage with a fake microphone; ends with its stdin
//
// Each prints one JSON line: the names on the stage, how often the microphone was asked for, and what the page threw.
// Hearing goes by statistics: without a sound card Firefox starts no AudioContext to look at frequencies with, while the
// energy of what it decodes is counted all the same.

import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(new URL("../interop/package.json", import.meta.url));
const { default: puppeteer } = await import(require.resolve("puppeteer-core"));

/** After this a voice will not come any more; the browser must not outlive the test. */
const WITHIN_MS = 60_000;
const LOOK_MS = 500;
/** A tone at a tenth of full scale has a mean square of 0.005: half of that in one look is no noise. */
const VOICE_ENERGY = 0.005 * (LOOK_MS / 1000) * 0.5;

const [, , mode, executablePath, address, number] = process.argv;
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    // Who may not use the microphone is given the default route's address alone, which does not lead to loopback.
    "permissions.default.microphone": 1,
    "media.peerconnection.ice.loopback": true,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "intl.accept_languages": "en-GB",
    ...(mode === "speak" && {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.navigator.audio.fake_frequency": Number(number),
      // Web Audio, which the meter runs on, needs the clock of a sound card; a test machine has none.
      "media.cubeb.force_mock_context": true,
    }),
  },
});

/** Runs in the page before its own modules: notes its peer connections and its wishes for a microphone. */
function observe() {
  window.observed = { asked: 0, peers: [], energies: new Map() };
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(...options) {
      super(...options);
      window.observed.peers.push(this);
    }
  };
  const { mediaDevices } = navigator;
  const native = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = (...wishes) => {
    window.observed.asked++;
    return native(...wishes);
  };
}

/** Runs in the page: how many slots gained that much energy since the last look. */
async function countVoices(least) {
  const { peers, energies } = window.observed;
  let count = 0;
  for (const peer of peers) {
    for (const [id, { type, totalAudioEnergy }] of await peer.getStats()) {
      if (type !== "inbound-rtp") continue;
      if (totalAudioEnergy - (energies.get(id) ?? Infinity) > least) count++;
      energies.set(id, totalAudioEnergy);
    }
  }
  return count;
}

async function hear(page) {
  await page.waitForSelector(".tile", { timeout: WITHIN_MS });
  const deadline = performance.now() + WITHIN_MS;
  while ((await page.evaluate(countVoices, VOICE_ENERGY)) < Number(number)) {
    if (performance.now() > deadline) throw new Error(`fewer than ${number} voices were heard`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Through the green room as a person goes whose browser remembers his consent: look at the meter, step up. */
async function speak(page) {
  await page.waitForSelector("dialog.greenroom .meter", { timeout: WITHIN_MS });
  await page.waitForFunction(() => Number(getComputedStyle(document.querySelector(".meter")).getPropertyValue("--level")) > 0, { timeout: WITHIN_MS });
  const go = await page.waitForSelector("dialog.greenroom ::-p-text(Go on stage)", { timeout: WITHIN_MS });
  await go.click();
  await page.waitForSelector('[data-control="main"][data-state="open"]', { timeout: WITHIN_MS });
  await page.waitForSelector(".tile-name", { timeout: WITHIN_MS });
}

try {
  const page = await browser.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  await page.evaluateOnNewDocument(observe);
  await page.goto(address);
  await { hear, speak }[mode](page);
  const names = await page.$$eval(".tile-name", (tiles) => tiles.map(({ textContent }) => textContent));
  console.log(JSON.stringify({ names, asked: await page.evaluate(() => window.observed.asked), faults }));
  if (mode === "speak") await once(process.stdin.resume(), "end");
} finally {
  await browser.close();
}
