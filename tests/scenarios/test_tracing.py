"""One trace follows a join through both processes to a collector that takes OTLP over HTTP; else nothing is sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.harness.processes import Palco
from tests.harness.room import Room
from tests.harness.wire import WITHIN_S, meet

pytestmark = pytest.mark.live

Spans = Queue[tuple[str, Span]]


@contextmanager
def collector() -> Iterator[tuple[str, Spans]]:
    """Its address, and (service, span) as they come in."""
    spans: Spans = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = [each.value.string_value for each in resource.resource.attributes if each.key == "service.name"]
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans.put((names[0], span))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_join_is_one_trace_from_the_offer_to_the_first_packet(make_palco: Callable[..., Palco]) -> None:
    with collector() as (endpoint, spans):
        palco = make_palco(tracing={"endpoint": endpoint})
        async with Room(palco) as room:
            ana, bob = await room.speaker("ana"), await room.listener("bob")
            await meet(ana.peer, bob.peer)
        palco.stop()  # sends what is unsent
        found: dict[bytes, dict[str, tuple[str, Span]]] = {}
        while sum(map(len, found.values())) < 7:
            service, span = spans.get(timeout=WITHIN_S)
            found.setdefault(span.trace_id, {})[span.name] = (service, span)
    speaker, listener = sorted(found.values(), key=len, reverse=True)
    assert set(speaker) == {"join", "ice", "dtls", "first_packet"}
    assert set(listener) == {"join", "ice", "dtls"}
    for trace in (speaker, listener):
        service, join = trace.pop("join")
        assert service == "palco-signalling"
        for service, span in trace.values():
            assert service == "palco-sfu"
            assert span.parent_span_id == join.span_id
            assert span.end_time_unix_nano >= span.start_time_unix_nano
        assert trace["ice"][1].end_time_unix_nano <= trace["dtls"][1].end_time_unix_nano


async def test_joins_that_are_not_sampled_leave_no_trace(make_palco: Callable[..., Palco]) -> None:
    with collector() as (endpoint, spans):
        palco = make_palco(tracing={"endpoint": endpoint, "sample_ratio": 0.0})
        async with Room(palco) as room:
            await room.listener("bob")
        palco.stop()
        assert spans.empty()


async def test_a_collector_that_is_away_costs_nobody_anything(make_palco: Callable[..., Palco]) -> None:
    palco = make_palco(tracing={"endpoint": "http://127.0.0.1:9"})
    async with Room(palco) as room:
        ana, bob = await room.speaker("ana"), await room.listener("bob")
        await meet(ana.peer, bob.peer)
