"""axe finds nothing on any screen, in either theme, on a desktop or a phone. Against the scripted double."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MISSING
from tests.page.conftest import OpenPage
from tests.page.double import Double, person
from tests.page.evening import as_host, as_listener, as_speaker, evening

pytestmark = pytest.mark.live

AXE = Path(__file__).parents[1] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


def lobby(double: Double, open_page: OpenPage, **context: Any) -> Page:
    return open_page(wait=".card", **context)


def audience(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_listener(open_page, **context)
    double.publish("speakers.changed", {"speakers": [{"identity": "ines-carvalho", "level_dbov": -20}]})
    expect(page.locator(".tile.speaking")).to_have_count(1)
    return page


def greenroom(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_speaker(open_page, **context)
    page.get_by_role("button", name="Turn on microphone").click()
    expect(page.get_by_role("button", name="Go on stage")).to_be_enabled()
    return page


def hosting(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    double.publish("participant.changed", person("noor-rahman", "listener", has_raised_hand=True))
    expect(page.locator(".notices")).to_contain_text("Noor Rahman would like to speak")
    return page


def people(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="People").click()
    return page


def one_person(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="Ines Carvalho").click()
    return page


def settings(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_host(open_page, **context)
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Statistics").click()
    return page


def sharing(double: Double, open_page: OpenPage, **context: Any) -> Page:
    page = as_listener(open_page, **context)
    page.get_by_role("button", name="Share").click()
    return page


def trouble(double: Double, open_page: OpenPage, **context: Any) -> Page:
    double.refuse("POST", "^/whep/", status=403, code="removed")
    return as_listener(open_page, wait=".screen", **context)


SCREENS: list[Callable[..., Page]] = [
    lobby,
    audience,
    greenroom,
    hosting,
    people,
    one_person,
    settings,
    sharing,
    trouble,
]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.__name__)
def test_axe_finds_nothing(
    screen: Callable[..., Page], theme: str, viewport: dict[str, int], double: Double, open_page: OpenPage
) -> None:
    if not AXE.exists():
        pytest.skip(f"{MISSING}: axe is not installed: npm ci --prefix tests/interop")
    evening(double)
    page = screen(double, open_page, color_scheme=theme, viewport=viewport, reduced_motion="reduce")
    page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run(document, {{runOnly: {STANDARDS}}})")
    told = [
        f"{one['id']}: {node['html'][:160]} — {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
    assert told == []


def test_everything_is_reached_by_keyboard_in_reading_order(double: Double, open_page: OpenPage) -> None:
    evening(double)
    page = as_listener(open_page)
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.innerText.split('\\n').filter(Boolean)[1] ?? document.activeElement.innerText"
            )
        )
    assert reached == [
        "Leave",
        "Ada Moretti",
        "Tomas Lind",
        "Ines Carvalho",
        "Jonas Weber",
        "React",
        "People",
        "Ask to speak",
        "Share",
        "Settings",
    ]


def test_focus_returns_to_where_a_dialog_was_opened(double: Double, open_page: OpenPage) -> None:
    evening(double)
    page = as_listener(open_page)
    page.get_by_role("button", name="Share").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Share")).to_be_focused()


def test_the_stage_is_quiet_to_a_screen_reader(double: Double, open_page: OpenPage) -> None:
    """Speaking, counts and clocks change all the time: none of them is in a live region."""
    evening(double)
    page = as_listener(open_page)
    live = page.locator("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]")
    for region in live.all():
        assert region.locator(".tile, .house-count, .space-time").count() == 0
