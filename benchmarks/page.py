"""`python -m benchmarks page`: from opening a space's link to audible sound, in a real Chromium. Edge.

Every visit has a profile of its own: nothing is cached, no connection is open. The browser runs already, as it does
for whoever clicks a link. Somebody speaks a tone all the while; audible is when its samples leave the decoder. Times
are the browser's own, since it began to navigate.
"""

import asyncio
import contextlib
import datetime as dt
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.palco import Palco, RunningPalco
from benchmarks.results import Machine, markdown

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
MARKS = Path(__file__).parent / "page.js"
SPACE = "page"
TONE_HZ = "440"
VISIT_WITHIN_S = 30.0
SPEAKING_WITHIN_S = 30.0


class Visit(Struct, frozen=True, kw_only=True):
    """Seconds since the link was opened."""

    first_paint_s: float
    session_s: float
    """The peer connection is made: all modules are there and have run."""
    answer_s: float
    connected_s: float
    audible_s: float


class Report(Struct, frozen=True):
    started: str
    machine: Machine
    browser: str
    asked_audible_s: float
    visits: list[Visit]


ASKED_S = 1.5


def table(report: Report) -> str:
    """The figures as Markdown: median and the slowest of each moment."""
    rows = []
    for name in Visit.__struct_fields__:
        times_s = [getattr(visit, name) for visit in report.visits]
        rows.append(
            (name.removesuffix("_s").replace("_", " "), f"{statistics.median(times_s):.2f}", f"{max(times_s):.2f}")
        )
    return markdown(("since the link was opened", "median s", "slowest s"), rows)


def measure(*, visits: int, machine: Machine, save: Path) -> int:
    """Measures, prints and saves; the exit code says whether that was possible."""
    if importlib.util.find_spec("playwright") is None or not CHROMIUM.exists():
        print(f"this takes playwright and {CHROMIUM}: make build; apt install chromium", file=sys.stderr)
        return 1
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as workdir:
        browser, found = asyncio.run(_visit(visits, Path(workdir)))
    report = Report(started, machine, browser, ASKED_S, found)
    save.parent.mkdir(exist_ok=True)
    save.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print(f"{table(report)}\n\nasked: audible after at most {ASKED_S} s\nsaved: {save}")
    return 0


async def _visit(visits: int, workdir: Path) -> tuple[str, list[Visit]]:
    """The browser, and what happened in each of so many visits."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  (of the `dev` extra)

    found: list[Visit] = []
    async with contextlib.AsyncExitStack() as stack:
        palco = await Palco().start(workdir, 0, speakers=1)
        stack.push_async_callback(palco.stop)
        link = await stack.enter_async_context(_talking_space(palco))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        stack.push_async_callback(browser.close)
        for _ in range(visits):
            async with await browser.new_context() as profile:
                page = await profile.new_page()
                await page.add_init_script(path=MARKS)
                await page.goto(link)
                async with asyncio.timeout(VISIT_WITHIN_S):
                    found.append(msgspec.convert(await page.evaluate("palcoMarks"), Visit))
        return f"Chromium {browser.version}", found


@contextlib.asynccontextmanager
async def _talking_space(palco: RunningPalco) -> AsyncIterator[str]:
    """The link of a listener to a space in which a tone is heard."""
    space = await palco.open_space(SPACE)
    command = ["-m", "signalling", "publish", "--tone", TONE_HZ, "--url", palco.url, "--space", SPACE]
    speaker = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--token", space.speaker_token(0), stderr=asyncio.subprocess.PIPE
    )
    assert speaker.stderr is not None
    try:
        async with asyncio.timeout(SPEAKING_WITHIN_S):
            while not (await speaker.stderr.readline()).startswith(b"On stage"):
                if speaker.stderr.at_eof():
                    raise RuntimeError("the speaker did not get on stage")
        yield f"{palco.url}/#space={SPACE}&token={space.listener_token(0)}"
    finally:
        speaker.terminate()
        await speaker.wait()
