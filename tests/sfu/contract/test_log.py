"""Logging: one line a happening, and never a secret in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from sfu.contract.log import Format, set_up_logging


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_each_line_is_a_json_object_with_its_facts_as_fields() -> None:
    stream = io.StringIO()
    set_up_logging(level="info", format="json", process="sfu", stream=stream)
    structlog.get_logger("sfu.relay").info("joined", space="lounge")
    logging.getLogger("asyncio").warning("slow by %s s", 2)
    ours, foreign = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["space"], ours["level"], ours["process"]) == ("joined", "lounge", "info", "sfu")
    assert (foreign["event"], foreign["process"]) == ("slow by 2 s", "sfu")


def test_what_is_below_the_level_is_left_out() -> None:
    stream = io.StringIO()
    set_up_logging(level="warning", format="json", process="sfu", stream=stream)
    structlog.get_logger().info("joined")
    logging.getLogger("asyncio").info("polling")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_variables(style: Format) -> None:
    stream = io.StringIO()
    set_up_logging(level="info", format=style, process="sfu", stream=stream)

    def fail(secret: str) -> None:
        raise RuntimeError(f"{len(secret)} characters")

    try:
        fail("hunter" + "2" * 9)
    except RuntimeError as error:
        structlog.get_logger().error("bug", exc_info=error)
    assert "15 characters" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
