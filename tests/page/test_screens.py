"""Whatever goes wrong has a screen of its own, in plain words, with what to do next. Against the scripted double."""

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import FAKE_MICROPHONE, Launch, OpenPage
from tests.page.double import Double, token
from tests.page.evening import SPACE, as_listener, as_speaker, connected, evening, go_on_stage

pytestmark = pytest.mark.live


def shows(page: Page, screen: str, title: str) -> None:
    expect(page.locator(f'[data-screen="{screen}"]')).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


@pytest.mark.parametrize(
    ("status", "code", "screen", "title"),
    [
        (401, "bad_token", "expired", "This link has expired"),
        (403, "missing_permission", "forbidden", "This link is for something else"),
        (403, "removed", "removed", "You were removed"),
        (403, "blocked", "blocked", "You cannot enter this space"),
        (404, "unknown_space", "unknown", "There is no such space"),
        (403, "ticket_needed", "ticket", "This space takes a ticket"),
        (403, "banned", "banned", "You cannot use this server"),
        (409, "space_full", "full", "The house is full"),
        (409, "duplicate_identity", "duplicate", "Somebody with your name is here already"),
        (410, "space_ended", "ended", "The space has ended"),
        (410, "space_cancelled", "cancelled", "This space was called off"),
    ],
)
def test_a_refusal_at_the_door_is_explained(
    double: Double, open_page: OpenPage, status: int, code: str, screen: str, title: str
) -> None:
    evening(double)
    double.refuse("POST", "^/whep/", status=status, code=code)
    double.refuse("GET", "/(ws|events)$", status=status, code=code)
    shows(as_listener(open_page, wait=".screen"), screen, title)


def test_a_link_without_a_token_needs_an_invitation(double: Double, open_page: OpenPage) -> None:
    evening(double)
    double.is_development = False
    shows(open_page(f"space={SPACE}", wait=".screen"), "invitation", "You need an invitation")


def test_a_browser_without_webrtc_is_told_which_ones_have_it(
    double: Double, launch: Launch, open_page: OpenPage
) -> None:
    evening(double)
    page = open_page()
    page.add_init_script("delete window.RTCPeerConnection")
    page.reload()
    shows(page, "unsupported", "This browser cannot play live audio")


def test_a_network_that_blocks_udp_is_named_as_such(double: Double, open_page: OpenPage) -> None:
    evening(double)
    page = open_page()
    page.add_init_script("peerDouble.path = 'blocked'")
    page.goto(f"{double.url}/?again#space={SPACE}&token={token('leo', SPACE)}")
    shows(page, "no_path", "The sound does not get through")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_server_that_is_busy_is_tried_again_and_then_heard(double: Double, open_page: OpenPage) -> None:
    evening(double)
    double.refuse("POST", "^/whep/", status=503, code="overloaded")
    page = as_listener(open_page)
    expect(page.locator(".connection")).to_have_text("Connecting…")
    double.relent()
    expect(page.locator(".connection")).to_be_hidden()
    connected(page, peers=1)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("NotAllowedError", "The browser keeps the microphone from us."),
        ("NotFoundError", "No microphone was found."),
        ("NotReadableError", "The microphone does not start."),
    ],
)
def test_without_a_microphone_one_can_still_listen(double: Double, open_page: OpenPage, fault: str, words: str) -> None:
    evening(double)
    page = open_page()
    page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('by script', '{fault}'))"
    )
    made = token("ines-carvalho", SPACE, canPublish=True)
    page.goto(f"{double.url}/?again#space={SPACE}&token={made}")
    turn_on = page.get_by_role("button", name="Turn on microphone")
    turn_on.click()
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()
    page.get_by_role("button", name="Just listen").click()
    double.wait_for("POST", "^/whep/")
    expect(page.get_by_role("button", name="Turn on")).to_be_visible()


def test_a_browser_that_waits_for_a_touch_gets_one_button(double: Double, launch: Launch, open_page: OpenPage) -> None:
    evening(double)
    strict = launch(*FAKE_MICROPHONE, "--autoplay-policy=user-gesture-required")
    page = as_listener(open_page, wait="dialog.hear", on=strict)
    page.get_by_role("button", name="Tap to hear").click()
    expect(page.locator("dialog.hear")).to_have_count(0)


def test_someone_who_is_removed_is_told_and_hears_no_more(double: Double, open_page: OpenPage) -> None:
    evening(double)
    page = as_listener(open_page)
    double.publish("you.removed", {"reason": "removed"})
    shows(page, "removed", "You were removed")
    connected(page, peers=0)


def test_the_end_of_a_space_is_a_screen_and_closes_the_microphone(double: Double, open_page: OpenPage) -> None:
    scene = evening(double)
    page = as_speaker(open_page)
    go_on_stage(page)
    double.publish("space.ended", {**scene.resource(), "state": "ended"})
    shows(page, "ended", "The space has ended")
    assert page.evaluate("peerDouble.sent().readyState") == "ended"
