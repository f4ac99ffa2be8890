"""How both processes log: structlog to standard error, as JSON lines or for a terminal. Edge.

One line says one thing that happened, its facts are fields: `joined space=... session=... identity=...`. Secrets are
never fields. Nothing is logged per packet.

structlog writes by itself, not through the standard library's loggers: 6 µs a line instead of 22. What libraries say
through `logging` comes out in the same shape.
"""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from sfu.contract.log_limit import LineLimit

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]


CAUSED_BY_STRANGERS: Final = frozenset({"join_refused", "handshake failed", "request_failed", "ice_restarted"})
"""Lines that whoever has a token, or only an address, can have written as often as they like."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def set_up_logging(*, level: Level, format: Format, process: str, stream: TextIO = sys.stderr) -> None:  # noqa: A002
    """Sends structlog's and the standard library's records the same way, each with `process` (sfu, signalling)."""
    set_log_level(level)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_process(process),
    ]
    renderers = _renderers(format, stream)
    structlog.configure(
        processors=[_drop_below_level, _limiter(), *shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),  # what is in force is looked up at each line
        logger_factory=lambda *names: _Lines(stream, name=names[0] if names else "root"),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, *renderers]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # A line for every request that is no HTTP would let strangers fill the disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def set_log_level(level: Level) -> None:
    """From now on, for all loggers of this process."""
    _threshold.level = _LEVELS[level]
    # What libraries say below a warning is for who looks for a fault.
    logging.getLogger().setLevel(logging.DEBUG if level == "debug" else max(logging.WARNING, _LEVELS[level]))


class _Threshold:
    level = _LEVELS["info"]


_threshold = _Threshold()


def _drop_below_level(_logger: WrappedLogger, method: str, event: MutableMapping[str, Any]) -> EventDict:
    if _LEVELS.get(method, _LEVELS["error"]) < _threshold.level:
        raise structlog.DropEvent
    return event


def _limiter() -> Processor:
    """Leaves lines out where strangers cause too many, and says with the next how many."""
    limit = LineLimit()

    def limit_lines(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if event["event"] in CAUSED_BY_STRANGERS:
            left_out = limit.admit(event["event"], time.monotonic())
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                event["left_out"] = left_out
        return event

    return limit_lines


class _Lines:
    """What structlog calls a logger: takes rendered lines."""

    def __init__(self, stream: TextIO, *, name: str) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: str) -> None:
        self._stream.write(line + "\n")

    debug = info = warning = error = critical = exception = msg


def _name_process(process: str) -> Processor:
    def add_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return add_process


def _renderers(format: Format, stream: TextIO) -> list[Processor]:  # noqa: A002
    """Without the local variables of a traceback's frames, which structlog shows by default: they hold secrets."""
    if format == "json":
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer(_to_json)]
    return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]


def _to_json(event: EventDict, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
