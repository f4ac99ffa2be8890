"""Every view that the page has, each by the way that leads to it. Against the scripted double.

`VIEWS` is what axe examines, what is searched for words of no language, and what is photographed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, expect

from tests.page.conftest import FAKE_MICROPHONE, Launch, OpenPage
from tests.page.double import Double, Json, Scene, person, token
from tests.page.evening import SPACE, as_host, as_listener, as_speaker, evening

View = Callable[..., Page]

VIEWS: list[View] = []

LINKS: list[Json] = [
    {"id": "one", "url": "https://timetable.example/night", "title": "The night timetable", "added_by": "ada-moretti"},
    {"id": "two", "url": "https://beds.example/map", "title": None, "added_by": "ines-carvalho"},
]


def view(show: View) -> View:
    """Each is called as `show(double, open_page, **context)` in an evening that has begun."""
    VIEWS.append(show)
    return show


def later(space: str = "sleeper-cars", **more: object) -> Scene:
    """A space that begins tomorrow."""
    starts_at = (datetime.now(UTC) + timedelta(days=1, hours=3)).isoformat(timespec="seconds")
    described = {"description": "What a bed on rails costs, and who could build more of them."}
    scheduled = {"state": "scheduled", "starts_at": starts_at, "started_at": None}
    return Scene(space, "Sleeper cars, and where to find them", more={**scheduled, **described, **more})


@view
def lobby(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes["sleeper-cars"] = later()
    double.scenes[SPACE].people["ines-carvalho"]["is_speaking"] = True
    return open_page(wait=".card", **context)


@view
def empty_lobby(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes.clear()
    return open_page(wait=".empty:not([hidden])", **context)


@view
def planning(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = open_page(wait=".lobby", **context)
    page.get_by_role("button", name="Plan it for later").click()
    return page


@view
def waiting(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes["sleeper-cars"] = later()
    double.refuse("POST", "^/whep/sleeper-cars", status=409, code="not_started")
    return open_page(f"space=sleeper-cars&token={token('leo-blanc', 'sleeper-cars')}", wait=".countdown", **context)


@view
def audience(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes[SPACE].links = LINKS
    page = as_listener(open_page, **context)
    voices = [{"identity": "ines-carvalho", "level_dbov": -20}]
    double.publish("speakers.changed", {"speakers": voices})
    line = {"identity": "ines-carvalho", "is_final": True, "language": "en"}
    double.publish("caption", {**line, "text": "A bed on rails is a hotel that moves."})
    expect(page.locator(".tile.speaking")).to_have_count(1)
    return page


@view
def recorded(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes[SPACE].more["is_recorded"] = True
    page = as_listener(open_page, **context)
    expect(page.locator(".recorded")).to_be_visible()
    return page


@view
def empty_stage(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes[SPACE].people.clear()
    return as_listener(open_page, wait=".stage-waiting:not(:empty)", **context)


@view
def reacting(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_listener(open_page, **context)
    page.get_by_role("button", name="React").click()
    return page


@view
def reconnecting(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.refuse("POST", "^/whep/", status=503, code="overloaded")
    page = as_listener(open_page, **context)
    expect(page.locator(".connection")).to_be_visible()
    return page


@view
def greenroom(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_speaker(open_page, **context)
    page.get_by_role("button", name="Turn on microphone").click()
    expect(page.locator("dialog").get_by_role("button", name="Go on stage")).to_be_enabled()
    return page


@view
def no_microphone(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_speaker(open_page, **context)
    page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("by script", "NotAllowedError"));
        }"""
    )
    page.get_by_role("button", name="Turn on microphone").click()
    expect(page.get_by_role("alert")).to_contain_text("The browser keeps the microphone from us.")
    return page


@view
def invited(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_listener(open_page, **context)
    double.publish("you.invited", {"role": "speaker"})
    expect(page.locator("dialog.greenroom")).to_be_visible()
    return page


@view
def hosting(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    double.publish("participant.changed", person("noor-rahman", "listener", has_raised_hand=True))
    expect(page.locator(".notices")).to_contain_text("Noor Rahman would like to speak")
    return page


@view
def muted_by_the_host(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    double.publish("you.changed", {"identity": "ada-moretti", "role": "speaker", "is_muted": True})
    expect(page.locator('[data-control="main"][data-state="locked"]')).to_be_visible()
    return page


@view
def people(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="People").click()
    return page


@view
def one_person(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="Ines Carvalho").click()
    return page


@view
def asking_before_a_removal(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = one_person(double, open_page, **context)
    page.get_by_role("button", name="Remove from the space").click()
    return page


@view
def managing(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes[SPACE].blocks = [{"identity": "karl-vogt", "at": "2026-11-01T18:20:00Z"}]
    page = people(double, open_page, **context)
    page.get_by_role("button", name="Manage the space").click()
    expect(page.get_by_text("karl-vogt").first).to_be_visible()
    return page


@view
def links(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.scenes[SPACE].links = LINKS
    page = as_host(open_page, **context)
    page.locator(".links-all").click()
    return page


@view
def settings(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Statistics").click()
    return page


@view
def sharing(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_listener(open_page, **context)
    page.get_by_role("button", name="Share").click()
    return page


@view
def leaving_as_host(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="Leave").click()
    return page


@view
def trouble(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.refuse("POST", "^/whep/", status=403, code="removed")
    return as_listener(open_page, wait=".screen", **context)


def tap_to_hear(double: Double, open_page: OpenPage, launch: Launch, **context: Any) -> Page:
    """Takes a browser of its own, which waits for a touch before it sounds."""
    strict = launch(*FAKE_MICROPHONE, "--autoplay-policy=user-gesture-required")
    return as_listener(open_page, wait="dialog.hear", on=strict, **context)


__all__ = ["VIEWS", "View", "evening", "later", "tap_to_hear"]
