"""The units: systemd takes them, they are tight, and Palco runs inside what they allow."""

import ctypes.util
import shutil
import socket
import sys
from pathlib import Path

import pytest
import yaml

from sfu.contract.config import Config
from signalling.commands.checks import WANTED_FILES, WANTED_SOCKET_BUFFER_BYTES
from tests.deploy.tools import DEPLOY, need, read_unit, run
from tests.harness.kernel import why_no_filter
from tests.harness.processes import START_S, Palco, Process, poll
from tests.harness.room import Room, meet_all

UNITS = DEPLOY / "systemd"
SERVICES = ["palco-sfu.service", "palco-signalling.service"]
MOST_EXPOSURE = 2.0
SYSTEM_UNITS = Path("/usr/lib/systemd/system")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_little_exposed(service: str) -> None:
    threshold = str(round(MOST_EXPOSURE * 10))  # systemd-analyze counts in tenths
    tool = need("systemd-analyze")
    run(tool, "security", "--offline=true", f"--threshold={threshold}", "--no-pager", str(UNITS / service))


def test_systemd_takes_the_units_as_installed(tmp_path: Path) -> None:
    """In a root of its own, where the guide's paths exist."""
    installed, programs = tmp_path / "etc/systemd/system", tmp_path / "opt/palco/bin"
    for folder in (installed, programs):
        folder.mkdir(parents=True)
    for unit in (*SERVICES, "palco.target"):
        shutil.copy(UNITS / unit, installed)
    system = tmp_path / "usr/bin"
    system.mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    for program in (programs / "python", programs / "palco", system / "install", system / "kill"):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    tool = need("systemd-analyze")
    if not SYSTEM_UNITS.is_dir():
        pytest.skip("NOT TESTED HERE: systemd's own units are missing")
    shutil.copytree(SYSTEM_UNITS, tmp_path / "usr/lib/systemd/system", symlinks=True)
    said = run(tool, "verify", f"--root={tmp_path}", "--recursive-errors=no", "--man=no", "palco.target", *SERVICES)
    assert said == ""


def test_the_user_is_made_without_a_shell(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    tool = need("systemd-sysusers")
    run(tool, f"--root={tmp_path}", str(UNITS / "palco.sysusers.conf"))
    (line,) = [line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("palco:")]
    assert line.endswith(":/var/lib/palco:/usr/sbin/nologin")


@pytest.mark.parametrize("setting", ["User", "Group", "RuntimeDirectory", "RuntimeDirectoryMode", "LoadCredential"])
def test_both_services_agree_on_what_they_share(setting: str) -> None:
    """The control socket is open to its own user alone, so both are one user and know one folder."""
    first, second = (read_unit(UNITS / service)[setting] for service in SERVICES)
    assert first == second


@pytest.mark.parametrize("service", SERVICES)
def test_a_restart_of_one_leaves_the_socket_of_the_other(service: str) -> None:
    assert read_unit(UNITS / service)["RuntimeDirectoryPreserve"] == ["yes"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_stop_leaves_time_to_drain(service: str) -> None:
    (limit,) = read_unit(UNITS / service)["TimeoutStopSec"]
    assert int(limit.removesuffix("min")) * 60 > Config().drain.deadline_s


def test_a_stop_comes_to_the_sfu_first() -> None:
    """systemd stops in the reverse order of After=, each when the one before has ended (systemd.unit(5))."""
    assert "palco-signalling.service" in read_unit(UNITS / SERVICES[0])["After"][0].split()
    assert "palco-sfu.service" not in read_unit(UNITS / SERVICES[1])["After"][0].split()


@pytest.mark.parametrize("service", SERVICES)
def test_a_reload_renews_the_keys_and_then_says_so(service: str) -> None:
    unit = read_unit(UNITS / service)
    renew, tell = unit["ExecReload"]
    (keys,) = [value.partition("=")[2] for value in unit["Environment"] if value.startswith("PALCO_KEYS_FILE=")]
    assert renew.split()[-1] == unit["ExecStartPre"][0].split()[-1] == keys
    assert tell == "/bin/kill -HUP $MAINPID"


@pytest.mark.parametrize("service", SERVICES)
def test_the_units_allow_what_the_doctor_asks_for(service: str) -> None:
    assert int(read_unit(UNITS / service)["LimitNOFILE"][0]) >= WANTED_FILES


def test_the_kernel_settings_allow_what_the_doctor_asks_for() -> None:
    lines = (UNITS / "palco.sysctl.conf").read_text().splitlines()
    settings = dict(line.split(" = ") for line in lines if line and not line.startswith("#"))
    assert set(settings) == {"net.core.rmem_max", "net.core.wmem_max"}
    assert min(map(int, settings.values())) >= WANTED_SOCKET_BUFFER_BYTES


class Systemd:
    """The little of it that a service meets: its notify socket, its credentials, its limits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.heard: dict[str, list[str]] = {}
        self._lines: dict[str, socket.socket] = {}

    def unit_process(self, palco: Palco, service: str) -> Process:
        unit = read_unit(UNITS / service)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind(str(self._folder / f"{service}.notify"))
        line.setblocking(False)
        self._lines[service], self.heard[service] = line, []
        environ = {
            "PATH": "/usr/bin:/bin",
            "NOTIFY_SOCKET": str(self._folder / f"{service}.notify"),
            "WATCHDOG_USEC": str(int(unit["WatchdogSec"][0]) * 1_000_000),
            "RUNTIME_DIRECTORY": str(self._folder),
        }
        for assignment in unit["Environment"]:
            name, _, value = assignment.partition("=")
            environ[name] = self._specified(value)
        (before,) = unit["ExecStartPre"]
        run(*self._specified(before).split())
        program = unit["ExecStart"][0].replace("/etc/palco/palco.yaml", str(palco.config)).split()
        program[0] = program[0].replace("/opt/palco/bin", str(Path(sys.executable).parent))
        sandbox = [sys.executable, str(Path(__file__).with_name("sandbox.py")), str(UNITS / service)]
        return Process([*sandbox, *program], self._folder / f"{service}.log", environ)

    def _specified(self, text: str) -> str:
        """systemd.unit(5): %d is where credentials are, %t where runtime folders lie."""
        return text.replace("%d", str(self._folder / "credentials")).replace("%t", str(self._folder))

    def has_heard(self, service: str, word: str) -> bool:
        while True:
            try:
                self.heard[service].append(self._lines[service].recv(256).decode())
            except BlockingIOError:
                return word in self.heard[service]

    def close(self) -> None:
        for line in self._lines.values():
            line.close()


@pytest.mark.live
async def test_palco_serves_inside_the_limits_of_its_units(tmp_path: Path) -> None:
    need("systemd-analyze")
    if ctypes.util.find_library("seccomp") is None:
        pytest.skip("NOT TESTED HERE: libseccomp is missing (apt-get install libseccomp2)")
    if why := why_no_filter():
        pytest.skip(f"NOT TESTED HERE: {why}")
    palco, systemd = Palco(tmp_path), Systemd(tmp_path)
    written = yaml.safe_load(palco.config.read_text())
    (tmp_path / "credentials").mkdir()
    (tmp_path / "palco").mkdir()
    (tmp_path / "credentials/keys").write_text(yaml.safe_dump(written.pop("keys")))
    del written["control"]  # where the units have it
    palco.config.write_text(yaml.safe_dump(written))
    palco.sfu, palco.signalling = (systemd.unit_process(palco, service) for service in SERVICES)
    try:
        palco.start()
        for service in SERVICES:
            poll(lambda one=service: systemd.has_heard(one, "READY=1"), what="READY", within_s=START_S)  # type: ignore[misc]
            poll(lambda one=service: systemd.has_heard(one, "WATCHDOG=1"), what="a heartbeat", within_s=START_S)  # type: ignore[misc]
        async with Room(palco) as room:
            ana, bob = await room.speaker("ana"), await room.listener("bob")
            await meet_all([ana], [bob])
            await bob.peer.hears(await ana.peer.talk(20))
        assert palco.sfu_metric("palco_sfu_send_errors_total", reason="permission") == 0
        assert [palco.signalling.stop(), palco.sfu.stop()] == [0, 0]
        assert all(systemd.has_heard(service, "STOPPING=1") for service in SERVICES)
    finally:
        palco.stop()
        systemd.close()
