"""Logging of the signalling process: one line for what matters, as JSON or for a terminal. Edge (stderr).

Facts are fields; nothing from outside is ever interpolated into a message, and tokens are never given to it.
"""

import logging
import sys

import structlog

from sfu.contract.config import Logging


def configure(config: Logging) -> None:
    """From now on, structlog's lines of `config.level` and above go to stderr; so do warnings of the libraries."""
    level = getattr(logging, config.level.upper())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if config.format == "console":
        # Its default formatter prints local variables, and so keys and tokens.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info
            if config.format == "json"
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    # A line for every request that is no HTTP would let strangers fill the disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
