"""axe finds nothing on any screen, in either theme, on a desktop or a phone. Against the scripted double."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MISSING
from tests.page.conftest import Launch, OpenPage
from tests.page.double import Double, person
from tests.page.evening import as_host, as_listener, evening
from tests.page.test_files import screens
from tests.page.views import VIEWS, View, tap_to_hear

pytestmark = pytest.mark.live

AXE = Path(__file__).parents[1] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_axe_finds_nothing(
    view: View, theme: str, viewport: dict[str, int], double: Double, open_page: OpenPage
) -> None:
    evening(double)
    assert violations(view(double, open_page, color_scheme=theme, viewport=viewport, reduced_motion="reduce")) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_where_a_touch_is_awaited(
    theme: str, double: Double, open_page: OpenPage, launch: Launch
) -> None:
    evening(double)
    page = tap_to_hear(double, open_page, launch, color_scheme=theme, reduced_motion="reduce")
    assert violations(page) == []


@pytest.mark.parametrize("name", sorted(screens()))
def test_axe_finds_nothing_on_screens_of_trouble(name: str, double: Double, open_page: OpenPage) -> None:
    """They differ in words and drawing; the look of one is examined above in all themes and sizes."""
    page = open_page(wait=".lobby")
    page.evaluate(
        """async (name) => {
          const modules = new URL(".", document.querySelector("script[type=module]").src);
          const { screen } = await import(new URL("../views/screens.js", modules));
          const ways = { lobby() {}, retry() {}, return() {} };
          document.querySelector("#app").replaceChildren(screen(name, { ways }));
        }""",
        name,
    )
    expect(page.locator(f'[data-screen="{name}"] h1')).to_be_focused()
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    if not AXE.exists():
        pytest.skip(f"{MISSING}: axe is not installed: npm ci --prefix tests/interop")
    page.evaluate(AXE.read_text())
    found = page.evaluate(f"axe.run(document, {{runOnly: {STANDARDS}}})")
    return [
        f"{one['id']}: {node['html'][:160]} — {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


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


def test_the_focus_stays_beside_what_went(double: Double, open_page: OpenPage) -> None:
    """Answering one hand leads to the next, not back to the top of the document."""
    scene = evening(double)
    scene.add(person("noor-rahman", "listener", has_raised_hand=True))
    page = as_host(open_page)
    page.get_by_role("button", name="People").click()
    page.get_by_role("button", name="Bring on stage Giulia Ferri").click()
    double.publish("participant.changed", person("giulia-ferri"))
    expect(page.get_by_role("button", name="Not now: Noor Rahman")).to_be_focused()


def test_the_focus_survives_a_change_of_role(double: Double, open_page: OpenPage) -> None:
    evening(double)
    page = as_listener(open_page)
    page.get_by_role("button", name="Ask to speak").focus()
    double.publish("you.changed", {"identity": "leo-blanc", "role": "speaker", "is_muted": False})
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("button", name="Turn on")).to_be_focused()
    double.publish("you.changed", {"identity": "leo-blanc", "role": "listener", "is_muted": False})
    expect(page.get_by_role("button", name="Ask to speak")).to_be_focused()
