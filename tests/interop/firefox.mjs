// Firefox over WebDriver BiDi: `node firefox.mjs speak|hear EXECUTABLE PAGE ENDPOINT TOKEN TONE_HZ`.
// Writes the loudest frequency once every 250 ms while it hears, and `connected` when it speaks; ends with its stdin.

import { once } from "node:events";
import { setTimeout } from "node:timers/promises";

import puppeteer from "puppeteer-core";

const [, , mode, executablePath, page, endpoint, token, tone] = process.argv;
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.navigator.audio.fake_frequency": Number(tone),
    // Who may not use the microphone is given the default route's address alone, which does not lead to loopback.
    "permissions.default.microphone": 1,
    "media.peerconnection.ice.loopback": true,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    // WebAudio runs on the sound card's clock; a test machine has no sound card.
    "media.cubeb.force_mock_context": true,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
  },
});
const left = once(process.stdin.resume(), "end");
const tab = await browser.newPage();
await tab.goto(page);
await tab.evaluate(async (act, url, bearer) => window[act](url, bearer), mode, endpoint, token);
console.log("connected");
let isLeaving = false;
left.then(() => (isLeaving = true));
while (mode === "hear" && !isLeaving) {
  console.log(await tab.evaluate(() => window.peakHz()));
  await setTimeout(250);
}
await left;
await browser.close();
process.exit(0);
