"""The page against the real server: people in browsers who really hear each other. One Chromium for each voice."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import MISSING
from tests.harness import sound
from tests.harness.kernel import why_no_browser
from tests.harness.processes import Palco, take_port
from tests.harness.room import CREATOR, LISTENER, SPEAKER, mint
from tests.page.conftest import FAKE_MICROPHONE, FIRST_VISIT, WITHIN_MS, Launch, watch
from tests.page.test_files import NODE

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

EAR = Path(__file__).parent / "ear.js"
FIREFOX = Path(__file__).parent / "firefox.mjs"
MEDIA = [*FAKE_MICROPHONE, "--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required"]

HOST_HZ, SPEAKER_HZ, GUEST_HZ = 700, 1900, 3100
FIREFOX_HZ = 1000
BEEP_S, PAUSE_S = 0.3, 0.2


def voice(path: Path, tone_hz: int) -> Path:
    """Beeps: the page's noise suppression takes a tone that never stops for the hum of a machine."""
    beep = sound.make_tone(tone_hz, BEEP_S)
    pause = np.zeros(round(PAUSE_S * sound.RATE_HZ))
    sound.write_wav(path, np.concatenate([beep, pause] * 8))
    return path


@pytest.fixture(scope="module")
def voices(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Browser]:
    directory = tmp_path_factory.mktemp("voices")
    return {
        hz: launch(*MEDIA, f"--use-file-for-fake-audio-capture={voice(directory / f'{hz}.wav', hz)}")
        for hz in (HOST_HZ, SPEAKER_HZ, GUEST_HZ)
    }


@pytest.fixture(scope="module")
def ears(launch: Launch) -> Browser:
    return launch(*MEDIA)


class Evening:
    """A space on a real server, and people who come in by the page."""

    def __init__(self, palco: Palco, space: str, stack: ExitStack, *, audience: str = "forward") -> None:
        self.palco = palco
        self.space = space
        self.faults: list[str] = []
        self._stack = stack
        token = mint(palco, "host", space, **CREATOR)
        wish = {"id": space, "title": "A live test", "audience": audience}
        answer = httpx2.post(f"{palco.url}/v1/spaces", json=wish, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text

    def enter(self, browser: Browser, identity: str, grants: dict[str, bool], *, before: str = "") -> Page:
        """`before` is a script that runs before the page's own."""
        profile = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
        self._stack.callback(profile.close)
        page = profile.new_page()
        watch(page, self.faults)
        page.add_init_script(path=EAR)
        page.add_init_script(before)
        token = mint(self.palco, identity, self.space, canSubscribe=True, **grants)
        page.goto(f"{self.palco.url}/#space={self.space}&token={token}")
        return page

    def on_stage(self, browser: Browser, identity: str, grants: dict[str, bool] = SPEAKER) -> Page:
        page = self.enter(browser, identity, grants)
        step_up(page)
        return page

    def in_audience(self, browser: Browser, identity: str = "lena") -> Page:
        return self.enter(browser, identity, LISTENER)


def step_up(page: Page) -> None:
    page.locator("dialog").get_by_role("button", name="Go on stage").click()
    page.locator('[data-control="main"][data-state="open"]').wait_for(timeout=WITHIN_MS)


def hears(page: Page, tone_hz: int) -> bool:
    """Waits until the tone is heard; the test's own limit ends a wait in vain."""
    return bool(page.evaluate("hz => ear.hears(hz)", tone_hz))


def misses(page: Page, tone_hz: int, *, witness_hz: int = 0) -> bool:
    """Waits until the tone is not heard any more, while the witness is: silence proves nothing on a dead line."""
    return bool(page.evaluate("([silent, witness]) => ear.misses(silent, witness)", [tone_hz, witness_hz]))


@pytest.fixture
def evening(palco: Palco, request: pytest.FixtureRequest) -> Iterator[Evening]:
    with ExitStack() as stack:
        evening = Evening(palco, f"page-{abs(hash(request.node.name)) % 10**8}", stack)
        yield evening
    assert evening.faults == []


@pytest.fixture
def own_evening(make_palco: Callable[..., Palco]) -> Iterator[Evening]:
    """On a server that the test may kill."""
    with ExitStack() as stack:
        evening = Evening(make_palco(), "page-own", stack)
        yield evening
    assert evening.faults == []


def test_all_hear_all_other_voices_and_nobody_hears_himself(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    """A host and two speakers, three who listen."""
    stage = {
        HOST_HZ: evening.on_stage(voices[HOST_HZ], "host", CREATOR),
        SPEAKER_HZ: evening.on_stage(voices[SPEAKER_HZ], "sam"),
        GUEST_HZ: evening.on_stage(voices[GUEST_HZ], "tara"),
    }
    listeners = [evening.in_audience(ears, identity) for identity in ("lena", "leo", "lou")]
    for listener in listeners:
        assert all(hears(listener, hz) for hz in stage)
    for own_hz, speaker in stage.items():
        others = [hz for hz in stage if hz != own_hz]
        assert all(hears(speaker, hz) for hz in others)
        assert misses(speaker, own_hz, witness_hz=others[0])
    expect(listeners[0].locator(".tile-name")).to_have_text(["Host", "Sam", "Tara"])
    expect(listeners[0].locator(".tile.speaking").first).to_be_visible()
    expect(listeners[0].locator(".house-count")).to_have_text("3 listening")


def test_the_mix_carries_all_voices_in_one_section(palco: Palco, voices: dict[int, Browser], ears: Browser) -> None:
    with ExitStack() as stack:
        evening = Evening(palco, "page-mix", stack, audience="mix")
        evening.on_stage(voices[HOST_HZ], "host", CREATOR)
        evening.on_stage(voices[SPEAKER_HZ], "sam")
        listener = evening.in_audience(ears)
        assert hears(listener, HOST_HZ)
        assert hears(listener, SPEAKER_HZ)
        listener.get_by_role("button", name="Settings").click()
        listener.get_by_text("Statistics").click()
        expect(listener.locator(".statistics dd").first).to_have_text("Audience, the mix of all voices")
    assert evening.faults == []


SPEECH = Path(__file__).parents[1] / "media" / "speech.flac"
SPOKEN_S = 10
MEAN_SQUARE_OF_A_WHISPER = 10 ** (-50 / 10)
"""-50 dBov over ten seconds with their pauses: comfort noise lies 15 dB below, speech 20 dB and more above."""


def test_speech_comes_through_and_the_statistics_say_how(
    evening: Evening, launch: Launch, ears: Browser, tmp_path: Path
) -> None:
    recording = tmp_path / "speech.wav"
    sound.write_wav(recording, sound.read_sound(SPEECH))
    evening.on_stage(launch(*MEDIA, f"--use-file-for-fake-audio-capture={recording}"), "host", CREATOR)
    listener = evening.in_audience(ears)
    expect(listener.locator(".tile.speaking")).to_have_count(1)
    heard = listener.evaluate("seconds => ear.decodes(seconds)", SPOKEN_S)
    assert heard["mean_square"] > MEAN_SQUARE_OF_A_WHISPER
    listener.get_by_role("button", name="Settings").click()
    listener.get_by_text("Statistics").click()
    expect(listener.locator(".statistics dd").nth(1)).to_have_text(re.compile("opus 48 kHz, .*AEAD_AES_128_GCM"))
    expect(listener.locator(".statistics dd").nth(5)).to_contain_text("%")


def test_the_hosts_mute_is_silence_and_its_owner_cannot_lift_it(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="mute"]').click()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    locked = speaker.locator('[data-control="main"][data-state="locked"]')
    locked.click()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="unmute"]').click()
    speaker.get_by_role("button", name="Unmute").click()
    assert hears(listener, SPEAKER_HZ)


def test_ones_own_mute_is_silence(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    speaker.get_by_role("button", name="Mute", exact=True).click()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    speaker.get_by_role("button", name="Unmute").click()
    assert hears(listener, SPEAKER_HZ)


def test_who_is_removed_sees_why_is_heard_no_more_and_does_not_come_back(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="remove"]').click()
    host.get_by_role("button", name="Remove from the space").click()
    expect(speaker.get_by_role("heading", name="You were removed")).to_be_visible()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    speaker.reload()
    expect(speaker.get_by_role("heading", name="You were removed")).to_be_visible()


def test_who_is_blocked_does_not_come_back_with_a_new_link_either(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = evening.on_stage(voices[SPEAKER_HZ], "sid")
    listener = evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="block"]').click()
    host.get_by_role("button", name="Block for good").click()
    expect(speaker.get_by_role("heading", name="You cannot enter this space")).to_be_visible()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    again = evening.enter(voices[SPEAKER_HZ], "sid", SPEAKER)
    expect(again.locator('[data-screen="blocked"], [data-screen="unknown"]')).to_be_visible()


def test_who_declines_a_hand_tells_its_owner(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    guest = evening.in_audience(ears, "gina")
    guest.get_by_role("button", name="Ask to speak").click()
    host.get_by_role("button", name="People 1 asking to speak").click()
    host.get_by_role("button", name="Not now: Gina").click()
    expect(guest.locator(".notices")).to_contain_text("Not this time")
    expect(guest.get_by_role("button", name="Ask to speak")).to_be_visible()


def test_who_is_invited_accepts_and_is_heard(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    guest = evening.enter(voices[SPEAKER_HZ], "gina", LISTENER)
    assert hears(guest, HOST_HZ)
    host.get_by_role("button", name="People").click()
    host.locator("dialog .row-button", has_text="Gina").click()
    host.locator('[data-action="invite"]').click()
    expect(guest.get_by_role("heading", name="You are invited to speak")).to_be_visible()
    step_up(guest)
    assert hears(listener, SPEAKER_HZ)


def test_on_an_open_stage_whoever_likes_speaks_and_steps_down(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    guest = evening.enter(voices[SPEAKER_HZ], "gina", LISTENER)
    expect(guest.get_by_role("button", name="Ask to speak")).to_be_visible()
    host.get_by_role("button", name="People").click()
    host.get_by_role("button", name="Manage the space").click()
    host.get_by_label("Who may speak").select_option("everyone")
    guest.get_by_role("button", name="Go on stage").click()
    step_up(guest)
    assert hears(listener, SPEAKER_HZ)
    guest.locator(".tile").nth(1).get_by_role("button").click()
    guest.get_by_role("button", name="Step down to the audience").click()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    assert hears(guest, HOST_HZ)


def test_a_link_that_the_host_pins_is_seen_by_all(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    host.get_by_role("button", name="Pin a link").click()
    host.get_by_label("Address").fill("https://timetable.example/night")
    host.get_by_role("dialog").get_by_role("button", name="Pin a link").click()
    expect(listener.get_by_role("link", name="timetable.example")).to_be_visible()


def test_reactions_reach_everyone(evening: Evening, ears: Browser) -> None:
    one, other = evening.in_audience(ears, "lena"), evening.in_audience(ears, "leo")
    expect(other.locator(".house-count")).to_have_text("2 listening")
    one.get_by_role("button", name="React").click()
    one.get_by_role("button", name="Applause").click()
    expect(other.locator('.floating[data-reaction="clap"]')).to_have_count(1)


def test_a_listener_asks_is_brought_on_stage_and_is_heard(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    guest = evening.enter(voices[SPEAKER_HZ], "gina", LISTENER)
    assert hears(guest, HOST_HZ)
    guest.get_by_role("button", name="Ask to speak").click()
    host.locator(".notice").get_by_role("button", name="Bring on stage").click()
    expect(guest.get_by_role("heading", name="The stage is yours")).to_be_visible()
    step_up(guest)
    assert hears(listener, SPEAKER_HZ)
    assert hears(guest, HOST_HZ)


def test_back_in_the_audience_one_hears_and_is_not_heard(
    evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="demote"]').click()
    expect(speaker.get_by_role("button", name="Ask to speak")).to_be_visible()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)
    assert hears(speaker, HOST_HZ)


def test_the_end_of_the_space_is_told_to_all(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    host = evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    assert hears(listener, HOST_HZ)
    host.get_by_role("button", name="Leave").click()
    host.get_by_role("button", name="End for everyone").click()
    host.get_by_role("button", name="End the space").click()
    for page in (host, listener):
        expect(page.get_by_role("heading", name="The space has ended")).to_be_visible()


def test_a_lost_network_is_named_and_overcome(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    assert hears(listener, HOST_HZ)
    listener.context.set_offline(True)
    expect(listener.locator(".connection")).to_have_text("You are offline. We go on the moment the network is back.")
    listener.context.set_offline(False)
    expect(listener.locator(".connection")).to_be_hidden()
    assert hears(listener, HOST_HZ)


def test_a_reload_hears_again(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    listener = evening.in_audience(ears)
    assert hears(listener, HOST_HZ)
    listener.reload()
    assert hears(listener, HOST_HZ)


def test_two_tabs_of_one_person_both_hear(evening: Evening, voices: dict[int, Browser], ears: Browser) -> None:
    evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    tabs = [evening.in_audience(ears, "lena"), evening.in_audience(ears, "lena")]
    assert all(hears(tab, HOST_HZ) for tab in tabs)


def test_a_restart_of_signalling_is_bridged_and_the_controls_work_again(
    own_evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    host = own_evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = own_evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = own_evening.in_audience(ears)
    assert hears(listener, SPEAKER_HZ)
    own_evening.palco.restart_signalling()
    assert hears(listener, SPEAKER_HZ)
    for page in (host, speaker, listener):
        expect(page.locator(".connection")).to_be_hidden()
    host.locator(".tile").nth(1).get_by_role("button").click()
    host.locator('[data-action="mute"]').click()
    expect(speaker.locator('[data-control="main"][data-state="locked"]')).to_be_visible()
    assert misses(listener, SPEAKER_HZ, witness_hz=HOST_HZ)


def test_after_a_restart_of_the_sfu_everyone_is_heard_again_by_himself(
    own_evening: Evening, voices: dict[int, Browser], ears: Browser
) -> None:
    own_evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    speaker = own_evening.on_stage(voices[SPEAKER_HZ], "sam")
    listener = own_evening.in_audience(ears)
    assert hears(listener, HOST_HZ)
    own_evening.palco.sfu.kill()
    assert misses(listener, HOST_HZ)
    expect(listener.locator(".connection")).to_contain_text("Reconnecting")
    own_evening.palco.sfu.start()
    assert hears(listener, HOST_HZ)
    assert hears(listener, SPEAKER_HZ)
    expect(speaker.locator('[data-control="main"][data-state="open"]')).to_be_visible()
    expect(listener.locator(".connection")).to_be_hidden()


def firefox_command(mode: str, evening: Evening, identity: str, number: int, **grants: bool) -> list[str]:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip(f"{MISSING}: Firefox is not installed: apt install firefox-esr")
    if not (FIREFOX.parents[1] / "interop" / "node_modules" / "puppeteer-core").exists():
        pytest.skip(f"{MISSING}: Firefox's driver is not installed: npm ci --prefix tests/interop")
    if why := why_no_browser():
        pytest.skip(f"{MISSING}: {why}")
    token = mint(evening.palco, identity, evening.space, canSubscribe=True, **grants)
    address = f"{evening.palco.url}/#space={evening.space}&token={token}"
    return [str(NODE), str(FIREFOX), mode, firefox, address, str(number)]


def test_firefox_hears_both_voices_and_asks_for_no_microphone(evening: Evening, voices: dict[int, Browser]) -> None:
    evening.on_stage(voices[HOST_HZ], "host", CREATOR)
    evening.on_stage(voices[SPEAKER_HZ], "sam")
    command = firefox_command("hear", evening, "fay", 2)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"names": ["Host", "Sam"], "asked": 0, "faults": []}


def test_firefox_goes_on_stage_and_is_heard(evening: Evening, ears: Browser) -> None:
    listener = evening.in_audience(ears)
    command = firefox_command("speak", evening, "fay", FIREFOX_HZ, canPublish=True)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as firefox:
        assert firefox.stdout
        assert firefox.stdin
        told = json.loads(firefox.stdout.readline() or "{}")
        assert told == {"names": ["Fay (you)"], "asked": 1, "faults": []}
        assert hears(listener, FIREFOX_HZ)
        firefox.stdin.close()


def test_three_clicks_lead_from_a_fresh_server_to_a_talking_space(
    make_palco: Callable[..., Palco], voices: dict[int, Browser], ears: Browser
) -> None:
    """In development mode, as `make run` starts it: nobody brought a link or a token."""
    rtc = {"udp_ports": [take_port()], "bind_address": "127.0.0.1", "node_ip": "127.0.0.1"}
    palco = make_palco(development=True, rtc=rtc)
    with ExitStack() as stack:
        host, listener = (newcomer(browser, palco, stack) for browser in (voices[HOST_HZ], ears))
        host.get_by_role("button", name="Start a space").click()
        host.get_by_role("button", name="Turn on microphone").click()
        host.locator("dialog").get_by_role("button", name="Go on stage").click()
        listener.locator(".card").click()
        assert hears(listener, HOST_HZ)


def newcomer(browser: Browser, palco: Palco, stack: ExitStack) -> Page:
    profile = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    stack.callback(profile.close)
    page = profile.new_page()
    page.add_init_script(FIRST_VISIT)
    page.add_init_script(path=EAR)
    page.goto(palco.url)
    return page
