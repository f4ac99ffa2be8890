"""What Prometheus sees: names and units by its rules, every counter of the data plane accounted for."""

import asyncio
import re
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sfu.metrics import REQUEST_BYTES, SfuCollector, of_workers, serve_metrics
from sfu.node import Census
from sfu.tally import Tally
from tests.harness.processes import take_port

WORKER = {
    "datagrams_in": 10,
    "datagrams_out": 20,
    "packets_forwarded": 7,
    "packets_out": 70,
    "dropped_gate_closed": 3,
    "dropped_rate": 1,
    "send_errors_buffer": 2,
    "consent_expired": 1,
    "peers_now": 4,
    "largest_batch_in": 32,
    "forward_le_50us": 5,
    "forward_le_1ms": 2,
    "forward_le_inf": 1,
    "forward_seconds_sum_ns": 4_000_000,
    "rr_lost_le_0": 1,
    "rr_lost_le_10pct": 2,
    "rr_lost_le_inf": 0,
    "a_counter_from_the_future": 9,
}


def samples(workers: list[dict[str, int]]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in of_workers(workers)
        for sample in family.samples
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    tally = Tally()
    tally.count_handshake("established")
    tally.count_closed("left")
    tally.count_command("SetMuted", "done")
    census = Census(spaces=1, on_stage=2, muted=0, sessions=Counter({("whep", "connected"): 3}))
    registry = CollectorRegistry()
    registry.register(
        SfuCollector(counters=lambda: [WORKER, WORKER], census=lambda: census, tally=tally, build={"version": "0.1.0"})
    )
    return registry


def test_directions_and_reasons_are_labels() -> None:
    seen = samples([WORKER])
    assert seen["palco_sfu_datagrams_total", (("direction", "out"), ("worker", "0"))] == 20
    assert seen["palco_sfu_dropped_datagrams_total", (("reason", "gate_closed"), ("worker", "0"))] == 3
    assert seen["palco_sfu_send_errors_total", (("reason", "buffer"), ("worker", "0"))] == 2
    assert seen["palco_sfu_peers_expired_total", (("reason", "consent"), ("worker", "0"))] == 1


def test_what_is_now_is_a_gauge() -> None:
    assert samples([WORKER])["palco_sfu_worker_peers", (("worker", "0"),)] == 4


def test_buckets_add_up_and_bounds_are_in_seconds() -> None:
    seen = samples([WORKER])
    name = "palco_sfu_forward_latency_seconds"
    assert [seen[f"{name}_bucket", (("le", bound), ("worker", "0"))] for bound in ("5e-05", "0.001", "+Inf")] == [
        5,
        7,
        8,
    ]
    assert seen[f"{name}_count", (("worker", "0"),)] == 8
    assert seen[f"{name}_sum", (("worker", "0"),)] == pytest.approx(0.004)


def test_per_cent_become_ratios() -> None:
    assert samples([WORKER])["palco_sfu_reported_lost_ratio_bucket", (("le", "0.1"), ("worker", "0"))] == 3


def test_an_unknown_counter_appears_under_its_own_name() -> None:
    assert samples([WORKER])["palco_sfu_worker_a_counter_from_the_future_total", (("worker", "0"),)] == 9


def test_no_workers_no_samples() -> None:
    assert samples([]) == {}


def test_the_whole_page_parses_and_keeps_prometheus_rules(registry: CollectorRegistry) -> None:
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert len(families) > 15
    for family in families:
        assert re.fullmatch(r"palco_sfu_[a-z_]+", family.name), family.name
        assert not re.search(r"_(ms|us|percent|milliseconds)$", family.name), family.name
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total")
            assert not {"space", "identity", "session"} & set(sample.labels)


@pytest.mark.live
class TestServing:
    async def ask(self, port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    @pytest.mark.parametrize(
        ("request_line", "status"),
        [("GET /metrics", 200), ("GET /metrics?x=1", 200), ("GET /secrets", 404), ("POST /metrics", 405), ("", 404)],
    )
    async def test_only_the_metrics_can_be_read(
        self, registry: CollectorRegistry, request_line: str, status: int
    ) -> None:
        port = take_port()
        async with await serve_metrics(registry, host="127.0.0.1", port=port):
            answer = await self.ask(port, f"{request_line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert (b"palco_sfu_spaces" in answer) == (status == 200)

    async def test_an_endless_request_is_cut_off(self, registry: CollectorRegistry) -> None:
        port = take_port()
        async with await serve_metrics(registry, host="127.0.0.1", port=port):
            try:
                answer = await self.ask(port, b"GET /" + b"x" * 4 * REQUEST_BYTES)
            except ConnectionError:
                answer = b""
        assert answer == b""
