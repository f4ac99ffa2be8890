"""Spans of a join over both processes, by OpenTelemetry; off unless `tracing.endpoint` is set. Edge (exporter thread).

One trace: `join` in signalling (from the offer to the answer), and below it what the sfu sees: `ice`, `dtls`,
`first_packet`. Its context crosses in the control protocol as a traceparent (W3C Trace Context §3.2). What strangers
send as traceparent is not taken up: it would let them decide what is kept.
"""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from sfu.contract.config_error import ConfigError
from sfu.contract.config_sections import Tracing as Settings


class Tracing(Protocol):
    """Where spans go."""

    def span(self, name: str, **facts: str) -> AbstractContextManager[None]:
        """A span around a block; `current` is its context within."""

    def current(self) -> str:
        """The traceparent of the span that we are in; empty where none is kept."""

    def record(self, name: str, *, parent: str, took_s: float, **facts: str) -> None:
        """A span that has just ended, below `parent`; nothing where that is empty."""

    def close(self) -> None:
        """Sends what is still unsent, for a few seconds at most."""


class Untraced:
    """What is in force without an endpoint: costs a call."""

    def span(self, name: str, **facts: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def current(self) -> str:
        return ""

    def record(self, name: str, *, parent: str, took_s: float, **facts: str) -> None:
        pass

    def close(self) -> None:
        pass


def make_tracing(settings: Settings, process: str) -> Tracing:
    """Raises ConfigError where the extra is not installed."""
    if not settings.endpoint:
        return Untraced()
    if importlib.util.find_spec("opentelemetry.exporter") is None:
        raise ConfigError("tracing.endpoint", settings.endpoint, "it needs the extra: pip install 'palco[tracing]'")
    return _Traced(settings, process)


class _Traced:
    """By OpenTelemetry's SDK: a thread of its own sends in batches, and a collector that is away costs nothing."""

    def __init__(self, settings: Settings, process: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415
        from opentelemetry.trace import get_current_span  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        resource = Resource.create({"service.name": f"palco-{process}"})
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=f"{settings.endpoint.rstrip('/')}/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("palco")
        self._get_current_span = get_current_span
        self._context = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, **facts: str) -> Iterator[None]:
        with self._tracer.start_as_current_span(name, attributes=_attributes(facts)):
            yield

    def current(self) -> str:
        context = self._get_current_span().get_span_context()
        if not context.trace_flags.sampled:
            return ""
        carrier: dict[str, str] = {}
        self._context.inject(carrier)
        return carrier["traceparent"]

    def record(self, name: str, *, parent: str, took_s: float, **facts: str) -> None:
        if not parent:
            return
        ended_ns = time.time_ns()
        span = self._tracer.start_span(
            name,
            context=self._context.extract({"traceparent": parent}),
            start_time=ended_ns - round(took_s * 1e9),
            attributes=_attributes(facts),
        )
        span.end(ended_ns)

    def close(self) -> None:
        self._provider.shutdown()


def _attributes(facts: dict[str, str]) -> dict[str, str]:
    return {f"palco.{name}": value for name, value in facts.items()}
