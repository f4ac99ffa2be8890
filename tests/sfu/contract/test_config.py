"""One YAML for both processes; what is wrong in it stops the start with key, value and remedy."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from sfu.contract.config import Config, ConfigError, TurnServer, dump_config, load_config, parse_ports
from sfu.contract.config_error import SECRET_KEYS

SECRET = "0123456789abcdef0123456789abcdef"
EXAMPLE = Path(__file__).parents[3] / "deploy" / "palco.example.yaml"


def load(text: str, **environ: str) -> Config:
    """The configuration of `text`, with a node address and keys where it gives none."""
    document = yaml.safe_load(text) or {}
    if isinstance(document, dict):
        document.setdefault("keys", {"key": SECRET})
        rtc = document.setdefault("rtc", {})
        if isinstance(rtc, dict):
            rtc.setdefault("node_ip", "192.0.2.1")
    return load_config(None, {"PALCO_CONFIG": yaml.safe_dump(document), **environ})


def refusal(text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text, **environ)
    return caught.value


class TestTheFile:
    def test_the_example_names_every_key_with_its_default(self) -> None:
        document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
        defaults = msgspec.to_builtins(Config())
        defaults["rtc"]["udp_ports"] = "7882-7883"
        for unset in ("address", "secret"):  # in comments: they exclude control.socket
            del defaults["control"][unset]
            assert f"{unset}" in EXAMPLE.read_text(encoding="utf-8")
        without_default = {
            "rtc": {**document["rtc"], "node_ip": []},
            "keys": {},
            "control": {"socket": ""},
            "store": {"url": ""},
        }
        assert {**document, **without_default} == defaults

    def test_the_example_loads(self) -> None:
        assert load_config(EXAMPLE, {}).rtc.udp_ports == [7882, 7883]

    def test_what_it_shows_in_comments_loads_too(self, tmp_path: Path) -> None:
        """Every commented-out key, put in force: `stun_servers: [...]` in the place of its default."""
        (tmp_path / "secret").write_text(SECRET)
        text = re.sub(r"^  (stun|turn)_servers: \[\]\n", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"^  # ((?:stun_servers|turn_servers|  -).*)$", r"  \1", text, flags=re.MULTILINE)
        text = re.sub(r"/etc/palco/turn-\w+", str(tmp_path / "secret"), text)
        rtc = load_config(None, {"PALCO_CONFIG": text}).rtc
        assert rtc.stun_servers == ["turn.example.org:3478"]
        assert [(turn.host, turn.port, turn.protocol) for turn in rtc.turn_servers] == [
            ("turn.example.org", 3478, "udp"),
            ("turn.example.org", 5349, "tls"),
            ("relay.example.net", 3478, "tcp"),
        ]
        assert [turn.secret or turn.credential for turn in rtc.turn_servers] == [SECRET] * 3

    def test_a_few_lines_are_enough(self, tmp_path: Path) -> None:
        file = tmp_path / "palco.yaml"
        file.write_text(f"rtc: {{udp_ports: 7882-7884, node_ip: 127.0.0.1}}\nkeys: {{key: {SECRET}}}\n")
        config = load_config(file, {})
        assert (config.port, config.rtc.udp_ports, config.rtc.node_ips) == (7880, [7882, 7883, 7884], ["127.0.0.1"])

    def test_socket_and_database_have_places_of_their_own_for_each_port(self) -> None:
        config = load("port: 8000", RUNTIME_DIRECTORY="/run/one:/run/two", STATE_DIRECTORY="/var/lib/one")
        assert config.control.socket == "/run/one/sfu-8000.sock"
        assert config.store.url == "sqlite:////var/lib/one/palco-8000.db"

    def test_a_dumped_configuration_loads_to_the_same(self) -> None:
        config = load("port: 8000\nmetrics: {sfu_port: 0}")
        assert load_config(None, {"PALCO_CONFIG": dump_config(config)}) == config

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"nowhere\.yaml.*No such file"):
            load_config(tmp_path / "nowhere.yaml", {})

    @pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "just words", "a: !!python/object:os.system {}"])
    def test_what_is_no_mapping_in_plain_yaml_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="PALCO_CONFIG"):
            load_config(None, {"PALCO_CONFIG": text})

    def test_a_key_written_twice_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="port is written again on line 3"):
            load_config(None, {"PALCO_CONFIG": "port: 1\nrtc: {}\nport: 2\n"})


class TestUnknownKeys:
    def test_a_misspelt_key_gets_its_neighbour_suggested(self) -> None:
        assert str(refusal("rtc: {udp_prots: 7882}")) == (
            "rtc.udp_prots is no key that Palco knows: did you mean 'udp_ports'?"
        )

    def test_a_key_like_no_other_gets_the_list(self) -> None:
        assert "the keys here are auto_create, forward_sections, " in str(refusal("spaces: {zzz: 1}"))

    def test_the_python_name_of_a_field_is_no_key(self) -> None:
        assert refusal("rtc: {node_ips: [192.0.2.1]}").key == "rtc.node_ips"


class TestValues:
    @pytest.mark.parametrize(
        ("text", "key", "value"),
        [
            ("port: 70000", "port", 70000),
            ("port: no", "port", False),
            ("bind_addresses: [localhost]", "bind_addresses.0", "localhost"),
            ("bind_addresses: []", "bind_addresses", []),
            ("rtc: {udp_ports: 0}", "rtc.udp_ports.0", 0),
            ("rtc: {bind_address: 1.2.3}", "rtc.bind_address", "1.2.3"),
            ("rtc: {node_ip: '0.0.0.0'}", "rtc.node_ip", "0.0.0.0"),
            ("rtc: {bind_address: '0.0.0.0', node_ip: '2001:db8::1'}", "rtc.node_ip", "2001:db8::1"),
            ("rtc: {udp_ports: [7882, 7882]}", "rtc.udp_ports", 7882),
            ("rtc: []", "rtc", []),
            ("metrics: {sfu_port: 7880}", "metrics.sfu_port", 7880),
            ("metrics: {sfu_port: 6788}", "metrics.signalling_port", 6788),
            (f"control: {{address: '127.0.0.1:7880', secret: {SECRET}}}", "control.address", 7880),
            ("control: {address: nowhere}", "control.address", "nowhere"),
            (f"control: {{socket: /{'x' * 107}}}", "control.socket", f"/{'x' * 107}"),
            ("whip: {video: maybe}", "whip.video", "maybe"),
            ("spaces: {max_speakers: 0}", "spaces.max_speakers", 0),
            ("spaces: {packet_ms: 30}", "spaces.packet_ms", 30),
            ("spaces: {large_audience: 0}", "spaces.large_audience", 0),
            ("logging: {level: loud}", "logging.level", "loud"),
            ("drain: {deadline_s: -1}", "drain.deadline_s", -1),
            ("tracing: {endpoint: collector}", "tracing.endpoint", "collector"),
            ("tracing: {sample_ratio: 2}", "tracing.sample_ratio", 2),
            ("rtc: {stun_servers: [stun.example.org]}", "rtc.stun_servers.0", "stun.example.org"),
            ("rtc: {use_external_ip: true, node_ip: []}", "rtc.stun_servers", []),
            ("rtc: {use_external_ip: true, stun_servers: ['s:1']}", "rtc.use_external_ip", True),
            ("rtc: {turn_servers: [{host: 'turn:x', secret: s}]}", "rtc.turn_servers.0.host", "turn:x"),
            ("rtc: {turn_servers: [{host: x}]}", "rtc.turn_servers.0.secret", None),
            ("rtc: {turn_servers: [{host: x, secret: s, username: u}]}", "rtc.turn_servers.0.secret", None),
            ("rtc: {turn_servers: [{host: x, username: u}]}", "rtc.turn_servers.0.credential", None),
            ("rtc: {turn_servers: [{host: x, protocol: sctp}]}", "rtc.turn_servers.0.protocol", "sctp"),
            ("webhook: {api_key: key, urls: ['ftp://app.example']}", "webhook.urls.0", "ftp://app.example"),
            ("webhook: {api_key: key, urls: ['http://me:pw@a']}", "webhook.urls.0", "http://me:pw@a"),
            ("webhook: {api_key: key, urls: ['http://a', 'http://a']}", "webhook.urls.0", "http://a"),
            ("webhook: {api_key: other, urls: ['http://a']}", "webhook.api_key", "other"),
            ("webhook: {timeout_s: 0}", "webhook.timeout_s", 0),
            ("retention: {audit_days: 0}", "retention.audit_days", 0),
            ("development: true\nrtc: {bind_address: '::'}", "rtc.bind_address", "::"),
        ],
    )
    def test_an_impossible_value_is_named_with_its_key(self, text: str, key: str, value: object) -> None:
        error = refusal(text)
        assert (error.key, error.value) == (key, value)
        assert error.remedy

    def test_a_choice_is_spelt_out(self) -> None:
        assert refusal("whip: {video: maybe}").remedy == "write reject or discard"
        assert refusal("spaces: {packet_ms: 30}").remedy == "write 20 or 40 or 60 or auto"

    @pytest.mark.parametrize("packet_ms", [20, 40, 60, "auto"])
    def test_packets_are_of_20_40_or_60_ms_or_as_the_audience_has_it(self, packet_ms: object) -> None:
        assert load(f"spaces: {{packet_ms: {packet_ms}}}").spaces.packet_ms == packet_ms
        assert load("", PALCO_SPACES__PACKET_MS=str(packet_ms)).spaces.packet_ms == packet_ms

    def test_metrics_ports_may_both_be_off(self) -> None:
        assert load("metrics: {sfu_port: 0, signalling_port: 0}").metrics.sfu_port == 0

    def test_the_node_address_must_be_said_where_binding_does_not_say_it(self) -> None:
        with pytest.raises(ConfigError, match=r"rtc\.node_ip is not set"):
            load_config(None, {"PALCO_CONFIG": f"keys: {{key: {SECRET}}}"})

    def test_the_node_address_is_the_bind_address_where_that_is_one(self) -> None:
        text = f"rtc: {{bind_address: 192.0.2.9}}\nkeys: {{key: {SECRET}}}"
        assert load_config(None, {"PALCO_CONFIG": text}).rtc.node_ips == ["192.0.2.9"]

    def test_development_keeps_to_loopback(self) -> None:
        config = load("development: true\nrtc: {bind_address: '::1', node_ip: '::1'}")
        assert config.development

    def test_control_over_tcp_tells_host_and_port(self) -> None:
        assert load(f"control: {{address: '[::1]:7870', secret: {SECRET}}}").control.tcp == ("::1", 7870)


class TestPorts:
    @pytest.mark.parametrize(
        ("value", "ports"),
        [
            (7882, [7882]),
            ("7882", [7882]),
            ("7882-7884", [7882, 7883, 7884]),
            (["7882-7883", 7890], [7882, 7883, 7890]),
        ],
    )
    def test_a_port_a_range_or_a_list(self, value: object, ports: list[int]) -> None:
        assert parse_ports(value) == ports

    @pytest.mark.parametrize("value", ["", "x", "7884-7882", "7882-", "-1", True, None, 1.5, {}])
    def test_anything_else_is_refused(self, value: object) -> None:
        with pytest.raises(ConfigError):
            parse_ports(value)


class TestSecrets:
    def test_there_is_no_default_key(self) -> None:
        error = refusal("keys: {}")
        assert error.key == "keys"
        assert "openssl rand -hex 32" in error.remedy

    def test_a_short_secret_is_refused_and_not_shown(self) -> None:
        error = refusal("keys: {key: tiny-secret}")
        assert str(error).startswith("keys.key has 11 characters: use at least 32")
        assert error.value is None

    @pytest.mark.parametrize(
        "text",
        [
            f"keys: [{SECRET}]",
            f"keys: {{key: [{SECRET}]}}",
            f"store: {{url: [{SECRET}]}}",
            f"store: {{url: '{SECRET}'}}",
            f"rtc: {{turn_servers: [{{host: x, secret: [{SECRET}]}}]}}",
            f"rtc: {{turn_servers: [{{host: x, secret: {SECRET}, credential: {SECRET}}}]}}",
        ],
    )
    def test_no_message_shows_a_secret(self, text: str) -> None:
        error = refusal(text)
        assert SECRET not in str(error)
        assert SECRET not in repr(error.value)

    def test_a_configuration_in_a_log_shows_no_secret(self) -> None:
        config = load(
            f"control: {{address: '127.0.0.1:7870', secret: {SECRET}}}\nstore: {{url: 'postgresql://u:pw@h/d'}}"
        )
        assert SECRET not in repr(config)
        assert "pw" not in repr(config)

    def test_each_may_come_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text(f"key: {SECRET}\n")
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        (tmp_path / "url").write_text("postgresql://palco:pw@db/palco\n")
        text = f"""
            rtc: {{node_ip: 192.0.2.1}}
            keys_file: {tmp_path / "keys"}
            control: {{address: "127.0.0.1:7870", secret_file: {tmp_path / "secret"}}}
            store: {{url_file: {tmp_path / "url"}}}
        """
        config = load_config(None, {"PALCO_CONFIG": text})
        assert config.keys == {"key": SECRET}
        assert config.control.secret == SECRET
        assert config.store.url == "postgresql://palco:pw@db/palco"

    def test_a_secret_is_not_given_twice(self, tmp_path: Path) -> None:
        assert refusal(f"keys_file: {tmp_path}").key == "keys_file"

    def test_secret_keys_exist(self) -> None:
        document = msgspec.to_builtins(Config())
        for key in SECRET_KEYS:
            if key.startswith("rtc.turn_servers.*."):
                assert key.rpartition(".")[2] in TurnServer.__struct_fields__
                continue
            section, _, name = key.rpartition(".")
            assert name in (document[section] if section else document)


class TestEnvironment:
    def test_a_variable_stands_above_the_file(self) -> None:
        config = load("port: 8000", PALCO_PORT="8001", PALCO_RTC__UDP_PORTS="7882-7884")
        assert (config.port, config.rtc.udp_ports) == (8001, [7882, 7883, 7884])

    def test_a_list_is_written_with_commas(self) -> None:
        config = load("", PALCO_BIND_ADDRESSES="127.0.0.1, ::1", PALCO_RTC__NODE_IP="192.0.2.1,2001:db8::1")
        assert config.bind_addresses == ["127.0.0.1", "::1"]
        assert config.rtc.node_ips == ["192.0.2.1", "2001:db8::1"]

    def test_text_stays_text(self) -> None:
        digits = "1" * 40
        config = load("", PALCO_CONTROL__ADDRESS="127.0.0.1:7870", PALCO_CONTROL__SECRET=digits)
        assert config.control.secret == digits

    def test_the_environment_alone_will_do(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text(f"key: {SECRET}")
        config = load_config(None, {"PALCO_RTC__NODE_IP": "192.0.2.1", "PALCO_KEYS_FILE": str(tmp_path / "keys")})
        assert list(config.keys) == ["key"]

    def test_a_misspelt_variable_stops_the_start(self) -> None:
        assert refusal("", PALCO_RTC__UDP_PROTS="7882").key == "PALCO_RTC__UDP_PROTS"
        assert "did you mean 'port'" in str(refusal("", PALCO_PROT="7882"))

    def test_the_commands_own_and_foreign_variables_are_left_alone(self) -> None:
        load("", PALCO_TOKEN="x", PALCO_URL="y", PALCO_SERVICE_HOST="10.0.0.1", HOME="/")

    def test_the_variable_that_kubernetes_makes_of_a_service_is_explained(self) -> None:
        assert "enableServiceLinks" in str(refusal("", PALCO_PORT="tcp://10.0.0.1:7880"))


def test_every_key_is_read_by_one_of_the_processes() -> None:
    """A key that nothing reads would be a promise that nothing keeps."""
    root = EXAMPLE.parents[1]
    sources = [path for package in ("sfu", "signalling") for path in (root / package).rglob("*.py")]
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in sources if path.stem not in {"config", "config_source"}
    )
    own = {"socket", "address", "tcp"}  # as one property: `control.tcp`, else `control.socket`
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    for name, section in sections.items():
        keys = (
            [field.name for field in msgspec.structs.fields(section)] if hasattr(section, "__struct_fields__") else []
        )
        for key in keys or [name]:
            assert re.search(rf"\.{key}\b", text) or key in own, f"nothing reads {name}.{key}"
