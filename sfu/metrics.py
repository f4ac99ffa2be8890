"""What Prometheus sees of the sfu: read from the data plane's counters at the scrape, on a port of its own. Edge.

Base units, one prefix, counters end in `_total`; labels have few values (a worker, a reason), never a space or a
listener. The data plane names its counters by what they count; here those that belong together become one metric with a
label. A counter that this page does not know appears under its own name, so that none is ever lost.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sfu.errors import StartError
from sfu.node import Census
from sfu.tally import Tally

PREFIX: Final = "palco_sfu"
REQUEST_WITHIN_S: Final = 5.0
REQUEST_BYTES: Final = 8192

_FAMILIES: Final = {
    "datagrams_total": ("UDP datagrams.", "direction", {"datagrams_in": "in", "datagrams_out": "out"}),
    "datagram_bytes_total": ("Payload bytes of UDP datagrams.", "direction", {"bytes_in": "in", "bytes_out": "out"}),
    "rtp_packets_total": (
        "Authentic packets heard by an open gate, and packets sealed for a listener.",
        "direction",
        {"packets_forwarded": "in", "packets_out": "out"},
    ),
    "rtcp_packets_total": (
        "RTCP: compounds heard, sender and receiver reports sent.",
        "kind",
        {"rtcp_in": "in", "sender_reports_out": "sender_report", "receiver_reports_out": "receiver_report"},
    ),
    "mirrored_packets_total": (
        "Packets between workers and to and from taps.",
        "path",
        {
            "mirrored_out": "worker_out",
            "mirrored_in": "worker_in",
            "tap_out": "tap_out",
            "tap_in": "tap_in",
        },
    ),
    "tcp_datagrams_total": (
        "Datagrams in frames of TCP connections.",
        "direction",
        {"tcp_in": "in", "tcp_out": "out"},
    ),
    "tcp_connections_total": (
        "TCP connections that named a peer; those that did not, were silent for 5 s or too many. On the first worker.",
        "outcome",
        {"tcp_accepted": "accepted", "tcp_refused": "refused"},
    ),
    "peers_expired_total": (
        "Peers removed because nothing authentic came: for 30 s, or ever.",
        "reason",
        {"consent_expired": "consent", "join_expired": "never_joined"},
    ),
}
"""Metric: what it means, its label, and the counters that are its values."""

_PREFIXED: Final = {
    "dropped_": ("dropped_datagrams_total", "Datagrams and packets that went no further.", "reason"),
    "send_errors_": ("send_errors_total", "Messages that the kernel did not take.", "reason"),
}
"""Counters whose name is a metric's beginning and the value of its label."""

_HISTOGRAMS: Final = {
    "forward_latency_seconds": (
        "From the read of a turn to the kernel's acceptance, of delivered packets.",
        "forward_le_",
        "forward_seconds_sum_ns",
    ),
    "reported_lost_ratio": ("Fraction lost, as listeners report it.", "rr_lost_le_", None),
    "reported_jitter_seconds": ("Interarrival jitter, as listeners report it.", "rr_jitter_le_", None),
    "reported_round_trip_seconds": ("Round trip by sender and receiver reports.", "rr_rtt_le_", None),
}
"""Histogram: what it means, how its buckets' counters begin, and the one that holds the sum in nanoseconds."""

_MEANINGS: Final = {
    "turns": "Rounds of the worker's loop: reads a batch, forwards it, sends.",
    "panics": "Rounds that a fault of our own cut short.",
    "messages_out": "Messages handed to the kernel; datagrams out by these are the egress batch size.",
    "gso_messages_out": "Those of them that the kernel cut into several datagrams (UDP GSO).",
    "gso_fallbacks": "Messages that the kernel would not cut; sent one by one.",
    "largest_batch_in": "Most datagrams read at once so far.",
    "largest_batch_out": "Most messages sent at once so far.",
    "packets_merged": "Packets that left within a longer one (40 or 60 ms).",
    "red_packets_out": "Packets that older ones travelled with, to listeners who lose some (RFC 2198).",
    "tcp_connections_now": "TCP connections that stand.",
    "stun_answered": "Authentic STUN checks answered.",
    "nominations": "Addresses that a client's check chose for media, the first and later ones.",
    "migrations": "Peers whose media moved to another address.",
    "peers_now": "Peers that the worker has.",
    "listeners_now": "Peers that follow somebody.",
}

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "pct": 1e-2, "s": 1.0, "": 1.0}


class SfuCollector(Collector):
    """Reads at the scrape: `counters` one dict a worker, `census` who is here, `tally` what this process counted."""

    def __init__(
        self,
        *,
        counters: Callable[[], Sequence[Mapping[str, int]]],
        census: Callable[[], Census],
        tally: Tally,
        build: Mapping[str, str],
    ) -> None:
        self._counters = counters
        self._census = census
        self._tally = tally
        self._build = dict(build)

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily(f"{PREFIX}_build", "What is running.", value=self._build)
        yield from _of_census(self._census())
        yield from _of_tally(self._tally)
        yield from of_workers(self._counters())


def of_workers(workers: Sequence[Mapping[str, int]]) -> Iterator[Metric]:
    """The data plane's counters as metrics, each by worker. Pure."""
    names = list(workers[0]) if workers else []
    taken: set[str] = set()
    for name, (meaning, label, values) in _FAMILIES.items():
        known = {counter: value for counter, value in values.items() if counter in names}
        taken.update(known)
        yield _family(name, meaning, label, known, workers)
    for prefix, (name, meaning, label) in _PREFIXED.items():
        known = {counter: counter.removeprefix(prefix) for counter in names if counter.startswith(prefix)}
        taken.update(known)
        yield _family(name, meaning, label, known, workers)
    for name, (meaning, prefix, sum_counter) in _HISTOGRAMS.items():
        if not (buckets := [counter for counter in names if counter.startswith(prefix)]):
            continue
        taken.update(buckets, [sum_counter] if sum_counter else [])
        yield _histogram(
            name, meaning, {counter: counter.removeprefix(prefix) for counter in buckets}, sum_counter, workers
        )
    for counter in names:
        if counter not in taken:
            yield _plain(counter, workers)


def _family(
    name: str, meaning: str, label: str, values: Mapping[str, str], workers: Sequence[Mapping[str, int]]
) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", meaning, labels=["worker", label])
    for number, worker in enumerate(workers):
        for counter, value in values.items():
            family.add_metric([str(number), value], worker[counter])
    return family


def _plain(counter: str, workers: Sequence[Mapping[str, int]]) -> Metric:
    """One that stands alone: `…_now` and `largest_…` are what is, everything else counts up."""
    if counter.endswith("_now") or counter.startswith("largest_"):
        name = f"{PREFIX}_worker_{counter.removesuffix('_now')}"
        family: GaugeMetricFamily | CounterMetricFamily = GaugeMetricFamily(name, _meaning(counter), labels=["worker"])
    else:
        family = CounterMetricFamily(f"{PREFIX}_worker_{counter}_total", _meaning(counter), labels=["worker"])
    for number, worker in enumerate(workers):
        family.add_metric([str(number)], worker[counter])
    return family


def _meaning(counter: str) -> str:
    return _MEANINGS.get(counter, f"The data plane's counter {counter}.")


def _histogram(
    name: str,
    meaning: str,
    bounds: Mapping[str, str],
    sum_counter: str | None,
    workers: Sequence[Mapping[str, int]],
) -> Metric:
    """The counters hold each bucket by itself; Prometheus wants them summed up to each bound."""
    family = HistogramMetricFamily(f"{PREFIX}_{name}", meaning, labels=["worker"])
    ordered = sorted((_bound(text), counter) for counter, text in bounds.items())
    for number, worker in enumerate(workers):
        running, buckets = 0, []
        for bound, counter in ordered:
            running += worker[counter]
            buckets.append(("+Inf" if bound == float("inf") else repr(bound), running))
        total = None if sum_counter is None else worker[sum_counter] * 1e-9
        family.add_metric([str(number)], buckets=buckets, sum_value=total)
    return family


def _bound(text: str) -> float:
    """`50us`, `1pct`, `0`, `inf` in base units."""
    if text == "inf":
        return float("inf")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return round(int(digits) * _UNITS[text[len(digits) :]], 9)


def _of_census(census: Census) -> Iterator[Metric]:
    yield GaugeMetricFamily(f"{PREFIX}_spaces", "Spaces that are open.", value=census.spaces)
    yield GaugeMetricFamily(f"{PREFIX}_speakers", "Participants on stage, in all spaces.", value=census.on_stage)
    yield GaugeMetricFamily(f"{PREFIX}_muted", "Participants muted by a host, in all spaces.", value=census.muted)
    sessions = GaugeMetricFamily(f"{PREFIX}_sessions", "Sessions by kind and state.", labels=["kind", "state"])
    for kind in ("whip", "whep", "stage"):
        for state in ("joining", "connected"):
            sessions.add_metric([kind, state], census.sessions[kind, state])
    yield sessions


def _of_tally(tally: Tally) -> Iterator[Metric]:
    handshakes = CounterMetricFamily(f"{PREFIX}_dtls_handshakes", "DTLS handshakes that ended.", labels=["result"])
    for result in ("established", "wrong_certificate", "handshake_failed"):
        handshakes.add_metric([result], tally.handshakes[result])
    yield handshakes
    closed = CounterMetricFamily(f"{PREFIX}_sessions_closed", "Sessions that ended.", labels=["reason"])
    for reason, count in sorted(tally.closed.items()):
        closed.add_metric([reason], count)
    yield closed
    commands = CounterMetricFamily(
        f"{PREFIX}_commands", "Commands of signalling, answered.", labels=["command", "code"]
    )
    for (command, code), count in sorted(tally.commands.items()):
        commands.add_metric([command, code], count)
    yield commands


async def serve_metrics(registry: CollectorRegistry, *, host: str, port: int) -> asyncio.Server:
    """Answers `GET /metrics` from the event loop, whose thread the data plane insists on. Raises StartError."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_WITHIN_S):
                writer.write(_respond(await reader.readuntil(b"\r\n\r\n"), registry))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # no scraper, or one that left
        finally:
            writer.close()

    try:
        return await asyncio.start_server(converse, host, port, limit=REQUEST_BYTES)
    except OSError as error:
        raise StartError(
            f"metrics.sfu_port {port} on {host} cannot be had ({error.strerror}); choose another, or 0 for none"
        ) from error


def _respond(head: bytes, registry: CollectorRegistry) -> bytes:
    request, *lines = head.decode("latin-1").split("\r\n")
    method, path = ([*request.split(" "), "", ""])[:2]
    if path.partition("?")[0] not in {"/metrics", "/"}:
        return _http("404 Not Found", "text/plain", b"the metrics are at /metrics\n")
    if method != "GET":
        return _http("405 Method Not Allowed", "text/plain", b"GET only\n")
    accept = next((line.partition(":")[2] for line in lines if line.lower().startswith("accept:")), "")
    encode, content_type = choose_encoder(accept)
    return _http("200 OK", content_type, encode(registry))


def _http(status: str, content_type: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
