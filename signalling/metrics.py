"""What Prometheus is told about signalling, and the port where it asks. Edge (its own thread and socket).

No label has a value from outside: routes are templates, codes come from `signalling.errors.CODES`.
"""

from collections.abc import Callable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ACT_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter(
            "palco_signalling_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "palco_signalling_http_request_seconds",
            "From the request's header to the end of its answer; event streams are left out.",
            ["route"],
            buckets=_ACT_BUCKETS_S,
            registry=registry,
        )
        self.joins = Counter("palco_signalling_joins", "Sessions opened.", ["kind"], registry=registry)
        self.join_failures = Counter(
            "palco_signalling_join_failures", "Sessions refused, by code.", ["kind", "code"], registry=registry
        )
        self.acts = Counter(
            "palco_signalling_moderation_acts", "Moderation acts in force.", ["action"], registry=registry
        )
        self.act_seconds = Histogram(
            "palco_signalling_moderation_seconds",
            "From the decision to the sfu's word that it is in force at the packet.",
            buckets=_ACT_BUCKETS_S,
            registry=registry,
        )
        self.sfu_up = Gauge(
            "palco_signalling_sfu_up", "Whether the sfu is connected and reconciled.", registry=registry
        )
        self.watchers = Gauge(
            "palco_signalling_event_subscribers", "Open event streams.", ["transport"], registry=registry
        )
        self.events_dropped = Counter(
            "palco_signalling_events_dropped", "Events that slow readers lost to a snapshot.", registry=registry
        )
        self.spaces = Gauge("palco_signalling_spaces", "Live spaces.", registry=registry)
        self.sessions = Gauge("palco_signalling_sessions", "Sessions that stand at the sfu.", registry=registry)

    def serve(self, port: int, bind_address: str) -> Callable[[], None]:
        """Answers scrapes from now on; returns what ends that. Raises OSError where the port is taken."""
        server, thread = prometheus_client.start_http_server(port, bind_address, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
