"""The lobby: what is on, and a stage of one's own. Against the scripted double."""

import json

import pytest
from playwright.sync_api import expect

from tests.page.conftest import OpenPage
from tests.page.double import Double, person, token
from tests.page.evening import evening
from tests.page.views import later

pytestmark = pytest.mark.live


def test_live_spaces_are_listed_with_host_and_counts(double: Double, open_page: OpenPage) -> None:
    evening(double)
    card = open_page(wait=".card").locator(".card")
    expect(card).to_contain_text("Why night trains are coming back")
    expect(card).to_contain_text("4 on stage · 3 listening")


def test_a_card_shows_who_is_on_stage_and_who_speaks(double: Double, open_page: OpenPage) -> None:
    evening(double).people["ines-carvalho"]["is_speaking"] = True
    card = open_page(wait=".card").locator(".card")
    expect(card.locator(".card-face")).to_have_count(4)
    expect(card.locator(".card-face.speaking")).to_have_count(1)
    expect(card).to_contain_text("Ines Carvalho speaking")
    expect(card).to_contain_text("with Ada Moretti")


def test_a_space_can_be_planned_and_is_waited_for(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby", timezone_id="Europe/Rome")
    page.get_by_label("What the space is about").fill("Sleeper cars")
    page.get_by_role("button", name="Plan it for later").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("What the space is about")).to_have_value("Sleeper cars")
    dialog.get_by_label("When it begins").fill("2099-01-01T20:30")
    dialog.get_by_label("Who may speak").select_option("everyone")
    dialog.get_by_role("button", name="Announce it").click()
    wish = json.loads(double.wait_for("POST", "^/v1/spaces$").body)
    del wish["id"]
    assert wish == {"title": "Sleeper cars", "starts_at": "2099-01-01T19:30:00.000Z", "speak": "everyone"}
    expect(page.get_by_role("heading", level=1)).to_have_text("Sleeper cars")
    expect(page.get_by_role("timer")).to_contain_text("days")
    page.get_by_role("button", name="Start now").click()
    double.wait_for("POST", "/start$")
    page.get_by_role("button", name="To the lobby").click()
    coming = page.get_by_role("region", name="Coming up").locator(".card")
    expect(coming).to_contain_text("Thursday 1 January")
    expect(coming).to_contain_text("everyone may speak")


def test_who_waits_goes_in_when_it_begins(double: Double, open_page: OpenPage) -> None:
    scene = double.scenes["sleeper-cars"] = later()
    double.refuse("POST", "^/whep/", status=409, code="not_started", starts_at=scene.more["starts_at"])
    page = open_page(f"space={scene.id}&token={token('leo', scene.id)}", wait=".countdown")
    expect(page.get_by_role("button", name="Start now")).to_be_hidden()
    double.wait_for("WS", "/ws")
    double.relent()
    scene.more = {}
    scene.add(person("ada-moretti", "host"))
    double.publish("space.started", scene.resource())
    expect(page.locator(".tile")).to_have_count(1)


def test_a_space_that_is_called_off_says_so_to_who_waits(double: Double, open_page: OpenPage) -> None:
    scene = double.scenes["sleeper-cars"] = later()
    double.refuse("POST", "^/whep/", status=409, code="not_started", starts_at=scene.more["starts_at"])
    page = open_page(f"space={scene.id}&token={token('leo', scene.id)}", wait=".countdown")
    double.wait_for("WS", "/ws")
    double.publish("space.cancelled", {**scene.resource(), "state": "cancelled"})
    expect(page.get_by_role("heading", level=1)).to_have_text("This space was called off")


def test_three_clicks_lead_to_a_talking_space(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby")
    page.get_by_role("button", name="Start a space").click()
    page.get_by_role("button", name="Turn on microphone").click()
    page.locator("dialog").get_by_role("button", name="Go on stage").click()
    expect(page.get_by_role("button", name="Mute")).to_be_visible()
    offer = double.wait_for("POST", "/sessions$")
    assert offer.body.count("a=sendrecv") == 1
    assert offer.body.count("a=recvonly") == 8


def test_a_new_space_has_the_title_that_was_typed(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby")
    page.get_by_label("What the space is about").fill("Perché no?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Perché no?")
    wish = json.loads(double.wait_for("POST", "^/v1/spaces$").body)
    assert wish["title"] == "Perché no?"
    assert wish["id"].startswith("perche-no-")


def test_a_title_is_text_and_nothing_else(double: Double, open_page: OpenPage) -> None:
    evening(double).title = "<img src=x onerror=alert(1)>"
    card = open_page(wait=".card").locator(".card-title")
    expect(card).to_have_text("<img src=x onerror=alert(1)>")


def test_in_production_a_token_that_may_list_shows_the_lobby_without_a_name_field(
    double: Double, open_page: OpenPage
) -> None:
    double.is_development = False
    evening(double)
    page = open_page(f"token={token('leo', 'night-trains', roomList=True)}", wait=".tile")
    page.get_by_role("button", name="Leave").click()
    expect(page.locator(".card")).to_be_visible()
    expect(page.get_by_label("You appear as")).to_have_count(0)
    expect(page.get_by_role("button", name="Start a space")).to_have_count(0)


def test_a_token_leaves_the_address_and_survives_a_reload(double: Double, open_page: OpenPage) -> None:
    double.is_development = False
    evening(double)
    page = open_page(f"token={token('leo', 'night-trains')}", wait=".tile")
    assert page.url.endswith("/#space=night-trains")
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()


HAND_OVER = """([url, token]) => {
  window.handedOver = new Promise((resolve) => {
    window.addEventListener("message", ({ data, source }) => {
      if (data.type === "palco.ready") resolve(source.postMessage({ type: "palco.token", token }, "*"));
    });
  });
  window.open(url);
}"""


def test_the_application_that_opened_the_page_may_hand_over_a_token(double: Double, open_page: OpenPage) -> None:
    double.is_development = False
    evening(double)
    opener = open_page(wait=".screen")
    with opener.expect_popup() as popup:
        opener.evaluate(HAND_OVER, [double.url, token("leo", "night-trains")])
    expect(popup.value).to_have_url(f"{double.url}/#space=night-trains")


def test_a_page_of_an_origin_that_nobody_named_hands_over_nothing(double: Double, open_page: OpenPage) -> None:
    """The same server under its other name is another origin."""
    double.is_development = False
    evening(double)
    opener = open_page(wait=".screen")
    opener.goto(double.url.replace("127.0.0.1", "localhost"))
    with opener.expect_popup() as popup:
        opener.evaluate(HAND_OVER, [double.url, token("leo", "night-trains")])
    opener.evaluate("handedOver")
    expect(popup.value.locator('[data-screen="invitation"]')).to_be_visible()
    expect(popup.value).to_have_url(f"{double.url}/")


def test_the_page_speaks_the_languages_of_its_reader(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby", locale="it-IT")
    expect(page.get_by_role("button", name="Apri uno spazio")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "it")
