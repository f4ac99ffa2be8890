"""`palco doctor`: every line says how it stands, and what to do where it does not stand well."""

import socket
import stat
from pathlib import Path

import msgspec
import pytest

from sfu.contract.config import Config, Control, Metrics, Rtc, Store
from signalling.__main__ import main
from signalling.commands import checks
from signalling.commands.checks import Finding
from signalling.commands.doctor import render
from signalling.commands.failure import CommandFailedError
from signalling.commands.folders import prepare

SECRET = "0123456789abcdef0123456789abcdef"


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def config_on(port: int) -> Config:
    return Config(
        port=port, rtc=Rtc(udp_ports=[port], bind_address="127.0.0.1"), metrics=Metrics(sfu_port=0, signalling_port=0)
    )


@pytest.fixture
def taken_port() -> "socket.socket":
    """A TCP socket that listens on loopback."""
    return socket.create_server(("127.0.0.1", 0))


class TestPorts:
    def test_a_port_that_another_program_has_fails_with_its_variable(self, taken_port: socket.socket) -> None:
        port = taken_port.getsockname()[1]
        with taken_port:
            findings = list(checks.check_ports(config_on(port), is_running=False))
        assert levels(findings) == ["fail", "ok"]  # TCP is taken, UDP of the same number is not
        assert "PALCO_PORT" in findings[0].remedy

    def test_the_port_for_media_by_tcp_is_looked_at_where_there_is_one(self, taken_port: socket.socket) -> None:
        port = taken_port.getsockname()[1]
        config = msgspec.structs.replace(config_on(port), bind_addresses=[])
        by_tcp = msgspec.structs.replace(config, rtc=msgspec.structs.replace(config.rtc, tcp_port=port))
        with taken_port:
            assert levels(list(checks.check_ports(config, is_running=False))) == ["ok"]
            problems = checks.port_problems(by_tcp)
        assert [(problem.key, problem.variable) for problem in problems] == [("rtc.tcp_port", "PALCO_RTC__TCP_PORT")]

    def test_a_port_that_palco_has_is_well(self, taken_port: socket.socket) -> None:
        with taken_port:
            findings = list(checks.check_ports(config_on(taken_port.getsockname()[1]), is_running=True))
        assert findings[0] == Finding("ok", findings[0].subject, "in use by Palco (port)")


class TestKeys:
    def test_a_random_secret_is_well(self) -> None:
        assert levels(list(checks.check_keys(Config(keys={"key": SECRET})))) == ["ok"]

    @pytest.mark.parametrize("secret", ["a" * 64, "password" * 4, "12" * 20])
    def test_a_secret_that_repeats_itself_is_warned_of_and_not_shown(self, secret: str) -> None:
        (finding,) = checks.check_keys(Config(keys={"key": secret}))
        assert finding.level == "warn"
        assert secret not in str(finding)

    def test_entropy_is_shannons(self) -> None:
        assert checks.entropy_bits("aaaa") == 0
        assert checks.entropy_bits("abab") == 4  # one bit for each of four characters
        assert checks.entropy_bits(SECRET) == 128  # sixteen digits, alike often: four bits for each of 32


class TestFiles:
    def test_a_socket_path_that_can_be_made_is_well(self, tmp_path: Path) -> None:
        control = Control(socket=str(tmp_path / "sfu.sock"))
        assert levels(list(checks.check_control(Config(control=control)))) == ["ok"]

    def test_a_database_that_can_be_made_is_well(self, tmp_path: Path) -> None:
        store = Store(url=f"sqlite:///{tmp_path}/palco.db")
        assert levels(list(checks.check_store(Config(store=store)))) == ["ok"]

    def test_a_folder_that_cannot_be_made_fails(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder")
        store = Store(url=f"sqlite:///{tmp_path}/file/palco.db")
        control = Control(socket=str(tmp_path / "file" / "sfu.sock"))
        assert levels(list(checks.check_store(Config(store=store)))) == ["fail"]
        assert levels(list(checks.check_control(Config(control=control)))) == ["fail"]
        with pytest.raises(CommandFailedError, match="cannot be made"):
            prepare(Config(store=store, control=control))

    def test_missing_folders_are_made_for_this_user_alone(self, tmp_path: Path) -> None:
        store = Store(url=f"sqlite:///{tmp_path}/state/palco.db")
        control = Control(socket=str(tmp_path / "run" / "palco" / "sfu.sock"))
        prepare(Config(store=store, control=control))
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "run" / "palco").stat().st_mode) == 0o700

    def test_a_file_that_is_no_database_fails(self, tmp_path: Path) -> None:
        (tmp_path / "palco.db").write_text("no database, but long enough to have a header" * 10)
        store = Store(url=f"sqlite:///{tmp_path}/palco.db")
        assert levels(list(checks.check_store(Config(store=store)))) == ["fail"]

    def test_a_database_in_memory_forgets_the_removed(self) -> None:
        assert levels(list(checks.check_store(Config(store=Store(url="sqlite://"))))) == ["warn"]


class TestNodeAddress:
    def test_loopback_is_for_development(self) -> None:
        rtc = Rtc(node_ips=["127.0.0.1"])
        assert levels(list(checks.check_node_ip(Config(rtc=rtc)))) == ["warn"]
        assert levels(list(checks.check_node_ip(Config(rtc=rtc, development=True)))) == ["ok"]

    def test_an_address_of_another_machine_needs_a_router_that_forwards(self) -> None:
        findings = list(checks.check_node_ip(Config(rtc=Rtc(node_ips=["8.8.8.8"]))))
        assert levels(findings) == ["ok", "warn"]
        assert "must forward UDP" in findings[1].remedy


def test_a_remedy_stands_below_its_finding() -> None:
    assert render(Finding("warn", "Clock", "is off", "set it")).plain == "warn  Clock: is off\n      → set it"


def test_every_line_is_printed_and_a_bad_configuration_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "palco.yaml"
    path.write_text("keys: {}")
    assert main(["doctor", "--config", str(path)]) == 1
    said = capsys.readouterr().out
    assert "fail  Configuration: rtc.node_ip is not set" in said
    assert "Something must be done" in said


def test_findings_are_plain_values() -> None:
    assert msgspec.to_builtins(Finding("ok", "a", "b")) == {"level": "ok", "subject": "a", "detail": "b", "remedy": ""}
