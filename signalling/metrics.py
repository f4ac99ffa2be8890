"""What Prometheus is told about signalling, and the port where it asks. Edge (its own thread and socket).

No label has a value from outside: routes are templates, codes come from `signalling.errors.CODES`.
"""

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from sfu.contract.process import process_metrics

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
        self._of_events_and_webhooks(registry)
        self._of_what_is(registry)
        self.loop_lag = process_metrics(registry, "palco_signalling")

    def _of_events_and_webhooks(self, registry: CollectorRegistry) -> None:
        self.watchers = Gauge(
            "palco_signalling_event_subscribers", "Open event streams.", ["transport"], registry=registry
        )
        self.events_dropped = Counter(
            "palco_signalling_events_dropped", "Events that slow readers lost to a snapshot.", registry=registry
        )
        self.webhook_attempts = Counter(
            "palco_signalling_webhook_attempts",
            "Webhooks sent: delivered, failed (to be sent again) or dead (given up).",
            ["outcome"],
            registry=registry,
        )
        self.webhooks_pending = Gauge(
            "palco_signalling_webhooks_pending", "Webhooks that wait or are on their way.", registry=registry
        )

    def _of_what_is(self, registry: CollectorRegistry) -> None:
        self.sfu_up = Gauge(
            "palco_signalling_sfu_up", "Whether the sfu is connected and reconciled.", registry=registry
        )
        self.spaces = Gauge("palco_signalling_spaces", "Live spaces.", registry=registry)
        self.sessions = Gauge("palco_signalling_sessions", "Sessions that stand at the sfu.", registry=registry)
        self.participants = Gauge(
            "palco_signalling_participants",
            "People by role; who is not on stage is a listener.",
            ["role"],
            registry=registry,
        )
        self.draining = Gauge("palco_signalling_draining", "Whether the server goes out of service.", registry=registry)
        self.reloads = Counter(
            "palco_signalling_config_reloads", "SIGHUPs heard: taken up, or refused.", ["result"], registry=registry
        )
        for result in ("taken", "refused"):
            self.reloads.labels(result)  # from the start: what begins at 1 has not increased
        build = {"version": _version(), "python": platform.python_version()}
        Info("palco_signalling_build", "What is running.", registry=registry).info(build)

    def serve(self, port: int, bind_address: str) -> Callable[[], None]:
        """Answers scrapes from now on; returns what ends that. Raises OSError where the port is taken."""
        server, thread = prometheus_client.start_http_server(port, bind_address, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop


def _version() -> str:
    try:
        return version("palco")
    except PackageNotFoundError:
        return "checkout"
