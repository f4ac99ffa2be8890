"""The lobby: what is on, and a stage of one's own. Against the scripted double."""

import json

import pytest
from playwright.sync_api import expect

from tests.page.conftest import OpenPage
from tests.page.double import Double, token
from tests.page.evening import evening

pytestmark = pytest.mark.live


def test_live_spaces_are_listed_with_host_and_counts(double: Double, open_page: OpenPage) -> None:
    evening(double)
    card = open_page(wait=".card").locator(".card")
    expect(card).to_contain_text("Why night trains are coming back")
    expect(card).to_contain_text("4 on stage · 3 listening")


def test_three_clicks_lead_to_a_talking_space(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby")
    page.get_by_role("button", name="Start a space").click()
    page.get_by_role("button", name="Turn on microphone").click()
    page.get_by_role("button", name="Go on stage").click()
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


def test_the_application_that_opened_the_page_may_hand_over_a_token(double: Double, open_page: OpenPage) -> None:
    double.is_development = False
    evening(double)
    opener = open_page(wait=".screen")
    with opener.expect_popup() as popup:
        opener.evaluate(
            """([url, token]) => {
              window.addEventListener("message", ({ data, source }) => {
                if (data.type === "palco.ready") source.postMessage({ type: "palco.token", token }, "*");
              });
              window.open(url);
            }""",
            [double.url, token("leo", "night-trains")],
        )
    expect(popup.value).to_have_url(f"{double.url}/#space=night-trains")


def test_the_page_speaks_the_languages_of_its_reader(double: Double, open_page: OpenPage) -> None:
    page = open_page(wait=".lobby", locale="it-IT")
    expect(page.get_by_role("button", name="Apri uno spazio")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "it")
