"""Rules and dashboards: true of the metrics that the processes export, and answered by a real Prometheus."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from sfu.contract.messages import Inspected, SessionFigures
from tests.deploy.tools import DEPLOY, need, run
from tests.harness.processes import Palco, Process, poll, take_port
from tests.harness.room import Room, meet_all

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "palco.rules.yml"
RULE_TESTS = PROMETHEUS / "palco.rules.test.yml"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
SEVERITIES = {"page", "ticket"}
METRIC = re.compile(r"\bpalco_[a-z_]+")
WITHIN_S = 60.0

UNTIL_IT_HAPPENS = ("mixer", "join_failures", "moderation", "sessions_closed", "reported_", "event_subscribers")
"""What has no series before somebody is refused, moderated, has left, has reported, or watches."""


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels(path: Path) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row")


def queries(path: Path) -> Iterator[str]:
    yield from (target["expr"] for panel in panels(path) for target in panel["targets"])


def as_grafana_asks(query: str) -> str:
    """With all servers chosen, every second counted."""
    return query.replace("$instance", ".*").replace("$__rate_interval", "30s")


ALL_QUERIES = [as_grafana_asks(query) for path in DASHBOARDS for query in queries(path)]


def test_promtool_takes_rules_and_configuration() -> None:
    run(need("promtool"), "check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_else() -> None:
    run(need("promtool"), "test", "rules", str(RULE_TESTS))


def test_no_alert_goes_untested() -> None:
    expected = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    fired = re.findall(r'alertname="(\w+)", alertstate="firing", ', json.dumps(expected).replace('\\"', '"'))
    assert set(fired) == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert "{{ $labels." in rule["annotations"]["summary"]
    assert len(rule["annotations"]["runbook"]) > 40


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
class TestDashboard:
    def test_its_name_is_its_file(self, path: Path) -> None:
        assert json.loads(path.read_text())["uid"] == path.stem

    def test_data_source_and_server_are_chosen(self, path: Path) -> None:
        board = json.loads(path.read_text())
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "instance"]
        for panel in panels(path):
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"])

    def test_each_panel_says_what_it_shows(self, path: Path) -> None:
        assert [panel["title"] for panel in panels(path) if not panel["description"]] == []

    def test_no_two_panels_overlap(self, path: Path) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_the_board_of_one_space_asks_for_what_the_api_tells() -> None:
    board = json.loads((DEPLOY / "grafana/one-space.json").read_text())
    for panel in board["panels"]:
        (query,) = panel["targets"]
        shape = Inspected if query["root_selector"] == "" else SessionFigures
        assert query["url"] == "${server}/v1/operator/spaces/${space}"
        assert {column["selector"] for column in query["columns"]} <= set(shape.__struct_fields__)


def exported(palco: Palco) -> set[str]:
    """The names of all families of both processes, and of the samples that they have now."""
    names: set[str] = set()
    for port in (palco.sfu_metrics, palco.signalling_metrics):
        for line in httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text.splitlines():
            if line.startswith("# TYPE "):
                names.add(line.split()[2])
            elif not line.startswith("#"):
                names.add(re.split(r"[{ ]", line, maxsplit=1)[0])
    return names


@pytest.mark.live
def test_every_query_and_rule_names_what_the_processes_export(palco: Palco) -> None:
    named = {name for query in [*ALL_QUERIES, *(rule["expr"] for rule in alerts())] for name in METRIC.findall(query)}
    known = exported(palco)
    assert {name for name in named if re.sub("_(bucket|count|sum)$", "", name) not in known | {name} & known} == set()


def documented() -> set[str]:
    guide = (DEPLOY / "README.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(palco_\w+)` \|", guide, re.MULTILINE))


@pytest.mark.live
def test_the_guide_s_table_has_every_metric_and_no_other(palco: Palco) -> None:
    families: set[str] = set()
    for port in (palco.sfu_metrics, palco.signalling_metrics):
        page = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        families |= set(re.findall(r"^# TYPE (palco_\w+) ", page, re.MULTILINE))
    assert {name for name in families if not name.endswith("_created")} == documented()


@pytest.mark.live
def test_names_are_as_prometheus_wants_them(palco: Palco) -> None:
    """Base units, counters end in _total, nothing named by a person or a space."""
    for port in (palco.sfu_metrics, palco.signalling_metrics):
        page = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        run(need("promtool"), "check", "metrics", stdin=page)
        assert not re.search(r'\{[^}]*\b(space|identity|session)="', page)


class Prometheus:
    """Debian's, with our configuration, pointed at one server and hurried."""

    def __init__(self, folder: Path, palco: Palco) -> None:
        text = (PROMETHEUS / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:6789", f"127.0.0.1:{palco.sfu_metrics}")
        text = text.replace("127.0.0.1:6788", f"127.0.0.1:{palco.signalling_metrics}").replace(": 15s", ": 1s")
        (folder / "prometheus.yml").write_text(text)
        (folder / RULES.name).write_text(RULES.read_text())
        self.port = take_port()
        argv = [
            need("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/series",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self.process = Process(argv, folder / "prometheus.log", {"PATH": "/usr/bin:/bin", "GOMAXPROCS": "1"})

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx2.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, query: str) -> float:
        """The sum over all series; 0 where there are none."""
        return sum(float(series["value"][1]) for series in self.ask("query", query=query)["result"])

    def knows(self, query: str) -> bool:
        return bool(self.ask("query", query=query)["result"])

    def answers(self, query: str, least: float) -> bool:
        try:
            return self.value(query) >= least
        except (httpx2.TransportError, json.JSONDecodeError):
            return False  # it does not listen yet, or says in plain text that it is starting


@pytest.mark.live
async def test_prometheus_reads_a_running_server_and_answers_the_dashboards(palco: Palco, tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path, palco)
    prometheus.process.start()
    try:
        both_up = 'sum(up{job=~"palco-.+", instance="palco-1"})'
        poll(lambda: prometheus.answers(both_up, 2), what="reading both processes", within_s=WITHIN_S)
        async with Room(palco) as room:
            ana, bob = await room.speaker("ana"), await room.listener("bob")
            await meet_all([ana], [bob])
            await bob.peer.hears(await ana.peer.talk(50))
            heard = 'sum(palco_sfu_rtp_packets_total{direction="out"})'
            poll(lambda: prometheus.answers(heard, 50), what="counting what was heard", within_s=WITHIN_S)
            here = 'sum(palco_sfu_sessions{kind="whep",state="connected"})'
            poll(lambda: prometheus.answers(here, 1), what="seeing the listener", within_s=WITHIN_S)
        sure = [query for query in ALL_QUERIES if not any(word in query for word in UNTIL_IT_HAPPENS)]
        # A rate needs two readings of a series that was born a moment ago.
        poll(lambda: all(prometheus.knows(query) for query in sure), what="answering all panels", within_s=WITHIN_S)
        for query in ALL_QUERIES:
            prometheus.knows(query)  # it is PromQL, at least
        (group,) = prometheus.ask("rules")["groups"]
        assert {rule["name"] for rule in group["rules"]} == {rule["alert"] for rule in alerts()}
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
        # A machine that is busy with other tests may let one wait; none has waited for as long as it takes to fire.
        assert [alert for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"] == []
    finally:
        prometheus.process.stop()
