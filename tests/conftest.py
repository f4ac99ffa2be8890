"""What live tests share: a running server, a space in it, and an honest word about what could not be tested here."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.harness.processes import Palco
from tests.harness.room import Room

MISSING = "NOT TESTED HERE"

settings.register_profile("palco", deadline=None)  # how long an example takes says more of the machine than of us
settings.load_profile("palco")


@pytest.fixture(scope="session")
def palco(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palco]:
    """One server for all tests that leave it as they found it; each has its own space."""
    with ExitStack() as stack:
        yield _start(tmp_path_factory.mktemp("palco"), stack, {})


@pytest.fixture
def make_palco(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Palco]]:
    """Starts a server of the test's own, which it may kill: `make_palco(workers=2, spaces={...})`."""
    with ExitStack() as stack:
        yield lambda **wishes: _start(tmp_path_factory.mktemp("palco"), stack, wishes)


@pytest.fixture
async def room(palco: Palco) -> AsyncIterator[Room]:
    async with Room(palco) as room:
        yield room


def _start(directory: Path, stack: ExitStack, wishes: dict[str, Any]) -> Palco:
    palco = Palco(directory, workers=wishes.pop("workers", 1), overrides=wishes)
    stack.callback(palco.stop)
    palco.start()
    return palco


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names what was skipped for want of a browser or a tool, so that a green run does not pass for a full one."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MISSING in reason:
            reasons[reason.partition(f"{MISSING}: ")[2]] += 1
    if reasons:
        terminalreporter.section(MISSING, sep="!", red=True, bold=True)
        for reason, tests in sorted(reasons.items()):
            terminalreporter.line(f"{tests} tests: {reason}")
