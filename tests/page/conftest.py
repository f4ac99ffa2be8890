"""A browser, and the scripted server it talks to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect, sync_playwright

from tests.conftest import MISSING
from tests.harness.kernel import why_no_browser
from tests.page.double import Double

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WITHIN_MS = 20_000
"""A generous limit for what takes milliseconds: the machine may be busy with other tests."""

PEER_DOUBLE = Path(__file__).parent / "peer_double.js"
FIRST_VISIT = "navigator.permissions.query = async () => ({ state: 'prompt' })"
"""Chromium's fake microphone counts as allowed before; on a first visit the page has to ask."""

expect.set_options(timeout=WITHIN_MS)

OpenPage = Callable[..., Page]
Launch = Callable[..., Browser]


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """Starts a Chromium of one's own: `launch(*flags)`.

    For a module at a time, because Playwright's synchronous face keeps an event loop running in the thread while it
    lives, and the asynchronous tests of other modules want theirs.
    """
    if not CHROMIUM.exists():
        pytest.skip(f"{MISSING}: Chromium is not installed: apt install chromium")
    if why := why_no_browser():
        pytest.skip(f"{MISSING}: {why}")
    with sync_playwright() as playwright, ExitStack() as stack:

        def start(*flags: str) -> Browser:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])
            stack.callback(browser.close)
            return browser

        yield start


@pytest.fixture(scope="module")
def browser(launch: Launch) -> Browser:
    return launch(*FAKE_MICROPHONE, "--autoplay-policy=no-user-gesture-required")


@pytest.fixture(scope="module")
def theatre() -> Iterator[Double]:
    double = Double()
    double.start()
    yield double
    double.stop()


@pytest.fixture
def double(theatre: Double) -> Iterator[Double]:
    yield theatre
    theatre.forget()


def watch(page: Page, faults: list[str]) -> None:
    """Notes what the page throws, and every breach of its Content-Security-Policy."""

    def on_console(message: ConsoleMessage) -> None:
        if "Security Policy" in message.text:
            faults.append(message.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", on_console)


@pytest.fixture
def open_page(browser: Browser, double: Double) -> Iterator[OpenPage]:
    """A page in a profile of its own at `#fragment`, with the double for peer connections.

    The page may not throw, nor break its Content-Security-Policy: either fails the test.
    """
    faults: list[str] = []
    with ExitStack() as stack:

        def start(
            fragment: str = "",
            *,
            wait: str | None = None,
            on: Browser | None = None,
            route: tuple[str, Callable[[Route], None]] | None = None,
            **context: Any,
        ) -> Page:
            profile = (on or browser).new_context(
                **{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | context
            )
            stack.callback(profile.close)
            page = profile.new_page()
            watch(page, faults)
            if route:
                page.route(*route)
            page.add_init_script(path=PEER_DOUBLE)
            page.add_init_script(FIRST_VISIT)
            page.goto(f"{double.url}/#{fragment}" if fragment else double.url)
            if wait:
                page.wait_for_selector(wait, timeout=WITHIN_MS)
            return page

        yield start
    assert faults == []
