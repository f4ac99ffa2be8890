"""What can be said of image, compose file and chart without an engine: what they name exists, and they agree."""

import importlib.util
import json
import re
import shlex
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from sfu.contract.config import Config, load_config
from tests.deploy.tools import DEPLOY, ROOT, need, run

DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
CHART = DEPLOY / "helm/palco"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
KEYS = {"keys": {"my-app": "0123456789abcdef0123456789abcdef"}}
CHART_ENVIRON = {
    "PALCO_CONFIG": yaml.safe_dump(VALUES["config"] | KEYS),
    "PALCO_RTC__NODE_IP": "192.0.2.10",
    "PALCO_BIND_ADDRESSES": "192.0.2.10",
    "PALCO_METRICS__BIND_ADDRESS": "192.0.2.10",
}
EVERYTHING = "ingress.enabled=true,ingress.host=live.example.org,ingress.tlsSecret=tls,serviceMonitor.enabled=true"


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, comments left out and lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


class TestImage:
    def test_all_that_it_copies_from_the_checkout_exists_and_reaches_the_builder(self) -> None:
        sent = set((DEPLOY / "Dockerfile.dockerignore").read_text().split())
        for word, rest in instructions():
            if word == "COPY" and not rest.startswith("--from"):
                for name in shlex.split(rest)[:-1]:
                    assert (ROOT / name).exists()
                    assert f"!{name}" in sent

    def test_the_result_has_no_compiler_and_is_not_root(self) -> None:
        stages = [index for index, (word, _) in enumerate(instructions()) if word == "FROM"]
        result = instructions()[stages[-1] :]
        assert "python" in result[0][1]
        assert not any("apt-get" in rest for _, rest in result)
        assert ("USER", "palco") in result

    def test_the_lock_will_do_as_constraints(self) -> None:
        """pip takes no extras there."""
        lock = (ROOT / "requirements.lock").read_text()
        assert [line for line in lock.splitlines() if re.match(r"[\w.-]+\[", line)] == []

    def test_its_ports_are_those_of_the_defaults(self) -> None:
        defaults = Config()
        (exposed,) = [rest for word, rest in instructions() if word == "EXPOSE"]
        for port in (defaults.port, defaults.metrics.sfu_port, defaults.metrics.signalling_port):
            assert f"{port}/tcp" in exposed


class TestCompose:
    def test_every_secret_and_volume_is_declared(self) -> None:
        document = compose()
        for service in document["services"].values():
            assert set(service.get("secrets", [])) <= set(document["secrets"])
            for mount in service.get("volumes", []):
                source = mount.split(":")[0]
                assert source in document["volumes"] or source.startswith("./")

    def test_what_it_mounts_from_here_exists_or_is_made_by_its_first_lines(self) -> None:
        head = (DEPLOY / "compose.yaml").read_text().partition("\nname:")[0]
        for service in compose()["services"].values():
            for mount in service.get("volumes", []):
                source = mount.split(":")[0]
                if source.startswith("./"):
                    assert (DEPLOY / source).exists() or source.removeprefix("./") in head

    def test_palco_is_confined_and_has_the_hosts_network(self) -> None:
        palco = compose()["services"]["palco"]
        assert palco["network_mode"] == "host"
        assert palco["cap_drop"] == ["ALL"]
        assert palco["read_only"] is True

    def test_the_proxy_and_the_watchers_reach_the_default_ports(self) -> None:
        assert f"reverse_proxy 127.0.0.1:{Config().port}" in (DEPLOY / "Caddyfile").read_text()
        source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
        listens = compose()["services"]["prometheus"]["command"][-1]
        assert source["datasources"][0]["url"].removeprefix("http://") in listens

    def test_the_folder_of_the_secrets_is_kept_out_of_the_repository(self) -> None:
        assert "*" in (DEPLOY / "compose/.gitignore").read_text().splitlines()

    def test_its_first_lines_make_every_secret_that_it_mounts(self) -> None:
        head = (DEPLOY / "compose.yaml").read_text().partition("\nname:")[0]
        for secret in compose()["secrets"].values():
            assert f"> {secret['file'].removeprefix('./')}" in head

    def test_the_relay_is_started_with_options_that_coturn_knows(self) -> None:
        known = subprocess.run([need("turnserver"), "-h"], capture_output=True, text=True, check=False)
        for option in re.findall(r"(--[a-z0-9-]+)", " ".join(compose()["services"]["coturn"]["command"])):
            assert re.search(rf"{option}\b", known.stdout + known.stderr), option

    def test_the_relay_s_ports_are_those_that_the_packet_filter_lets_in(self) -> None:
        command = " ".join(compose()["services"]["coturn"]["command"])
        ports = "-".join(re.findall(r"--m(?:in|ax)-port=(\d+)", command))
        assert f"udp dport {ports} accept" in (DEPLOY / "nftables.conf").read_text()

    def test_there_is_time_to_drain(self) -> None:
        minutes = int(compose()["services"]["palco"]["stop_grace_period"].removesuffix("m"))
        assert minutes * 60 > Config().drain.deadline_s

    def test_compose_takes_it(self) -> None:
        """By compose-go, which is what reads the file in `docker compose config` too."""
        argv = [need("compose-config"), "-no-interpolation", str(DEPLOY / "compose.yaml")]
        said = subprocess.run(argv, cwd=DEPLOY, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        assert set(yaml.safe_load(said.stdout)["services"]) >= {"palco", "coturn", "caddy", "database"}


class TestChart:
    def test_its_configuration_is_palcos(self) -> None:
        """With what the chart itself sets in the environment."""
        config = load_config(None, CHART_ENVIRON)
        assert config.rtc.node_ips == config.bind_addresses == ["192.0.2.10"]

    def test_its_templates_use_only_values_that_exist(self) -> None:
        for template in sorted((CHART / "templates").iterdir()):
            for path in re.findall(r"\.Values\.([\w.]+)", template.read_text()):
                value: Any = VALUES
                for part in path.split("."):
                    assert part in value, f"{template.name}: {path}"
                    value = value[part]

    def test_every_action_in_its_templates_is_closed(self) -> None:
        for template in sorted((CHART / "templates").iterdir()):
            text = template.read_text()
            opened = re.findall(r"\{\{-?\s*(?:if|range|define|with)\b", text)
            assert len(opened) == len(re.findall(r"\{\{-?\s*end\b", text)), template.name

    @pytest.mark.parametrize("wishes", ["", EVERYTHING, "persistence.enabled=false,existingSecret=mine"])
    def test_helm_renders_it(self, wishes: str) -> None:
        helm = need("helm")
        run(helm, "lint", str(CHART), "--set", "keys.my-app=secret")
        asked = ["--set", wishes] if wishes else []
        said = run(helm, "template", "palco", str(CHART), "--set", "keys.my-app=secret", *asked)
        documents = [document for document in yaml.safe_load_all(said) if document]
        (pod,) = [each["spec"]["template"]["spec"] for each in documents if each["kind"] == "Deployment"]
        assert pod["hostNetwork"] is True
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {volume["name"] for volume in pod["volumes"]}
        sfu, signalling = pod["containers"]
        assert "lifecycle" not in sfu
        assert "wait_for_the_sfu.py" in signalling["lifecycle"]["preStop"]["exec"]["command"][-1]
        assert pod["terminationGracePeriodSeconds"] > load_config(None, CHART_ENVIRON).drain.deadline_s
        (configuration,) = [each for each in documents if each["kind"] == "ConfigMap"]
        assert yaml.safe_load(configuration["data"]["palco.yaml"]) == VALUES["config"]
        compile(configuration["data"]["wait_for_the_sfu.py"], "wait_for_the_sfu.py", "exec")

    def test_helm_refuses_a_grace_period_that_would_cut_the_drain_short(self) -> None:
        helm = need("helm")
        short = ["--set", "keys.my-app=secret,config.drain.deadline_s=4000"]
        said = subprocess.run(
            [helm, "template", "palco", str(CHART), *short], capture_output=True, text=True, check=False
        )
        assert said.returncode != 0
        assert "longer than config.drain.deadline_s" in said.stderr


def waiting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wait_for_the_sfu", CHART / "files/wait_for_the_sfu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestWaiting:
    def test_an_sfu_that_answers_is_waited_for(self) -> None:
        with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # knows no method: answers 501
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            assert waiting().answers(f"http://127.0.0.1:{server.server_port}/metrics")
            thread.join()

    def test_without_an_sfu_it_is_over(self) -> None:
        waiting().main("http://127.0.0.1:1/metrics")


def test_the_dashboards_are_where_grafana_looks() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/palco.yml").read_text())["providers"][0]
    mounts = compose()["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts
    assert all(json.loads(path.read_text()) for path in Path(DEPLOY / "grafana/dashboards").glob("*.json"))
