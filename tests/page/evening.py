"""The space that most tests of the page look at."""

from playwright.sync_api import Page

from tests.page.conftest import OpenPage
from tests.page.double import Double, Scene, person, token

SPACE = "night-trains"


def evening(double: Double) -> Scene:
    """A host, a cohost, a speaker, one who is muted, and a listener with a raised hand."""
    scene = Scene(SPACE, "Why night trains are coming back", listeners=3)
    scene.add(
        person("ada-moretti", "host"),
        person("tomas-lind", "cohost"),
        person("ines-carvalho"),
        person("jonas-weber", is_muted=True),
        person("giulia-ferri", "listener", has_raised_hand=True),
    )
    double.scenes[scene.id] = scene
    return scene


def as_listener(open_page: OpenPage, identity: str = "leo-blanc", *, wait: str = ".tile", **more: object) -> Page:
    made = token(identity, SPACE, canSubscribe=True)
    return open_page(f"space={SPACE}&token={made}", wait=wait, **more)


def as_speaker(open_page: OpenPage, identity: str = "ines-carvalho", **more: object) -> Page:
    """In the green room, before going on stage."""
    made = token(identity, SPACE, canPublish=True)
    return open_page(f"space={SPACE}&token={made}", wait="dialog.greenroom", **more)


def as_host(open_page: OpenPage, **more: object) -> Page:
    """On stage, the microphone open."""
    made = token("ada-moretti", SPACE, canPublish=True, roomAdmin=True)
    page = open_page(f"space={SPACE}&token={made}", wait="dialog.greenroom", **more)
    go_on_stage(page)
    return page


OPEN = '[data-control="main"][data-state="open"]'


def go_on_stage(page: Page, *, wait: str | None = OPEN) -> None:
    """Through the green room, where the meter runs once the microphone is on; `wait` shows that we are there."""
    page.get_by_role("button", name="Turn on microphone").click()
    page.locator("dialog").get_by_role("button", name="Go on stage").click()
    page.locator("dialog.greenroom").wait_for(state="detached")
    if wait:
        page.locator(wait).wait_for()


def connected(page: Page, *, peers: int = 1) -> None:
    """Waits until so many peer connections (of the double) stand."""
    page.locator(f'html[data-peers="{peers}"]').wait_for()
