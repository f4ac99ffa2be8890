"""The `palco` command: help that teaches, errors that say what to do, tokens that open what they name."""

import argparse
import importlib
import os
import stat
import time
from pathlib import Path

import pytest

from sfu.contract.config import Config, dump_config, load_config
from signalling.__main__ import COMMANDS, main, module_of
from signalling.addresses import server_url
from signalling.client.session import Statistics
from signalling.commands import access, development, listen, supervisor, token
from signalling.commands.failure import CommandFailedError
from signalling.commands.progress import progress_line
from signalling.commands.up import greeting_text
from signalling.tokens import Grants, RawToken, verify

SECRET = "0123456789abcdef0123456789abcdef"
CONFIG = f"rtc: {{node_ip: 127.0.0.1}}\nkeys: {{key: {SECRET}}}\nport: 7999\n"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours, and no development server but the test's."""
    for name in [name for name in os.environ if name.startswith("PALCO")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "palco.yaml"
    path.write_text(CONFIG)
    return path


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_explains_itself_with_examples(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert f"usage: palco {command}" in said
        assert f"\n  palco {command}" in said.partition("examples:")[2] or "PALCO_" in said

    def test_the_command_alone_lists_what_there_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        said = capsys.readouterr().out
        assert all(f"{command} " in said for command in COMMANDS)

    def test_every_command_is_a_module_of_its_name(self) -> None:
        for command in COMMANDS:
            part = importlib.import_module(f"signalling.commands.{module_of(command)}")
            assert isinstance(part.build_parser(), argparse.ArgumentParser)
            assert callable(part.run)


class TestErrors:
    def test_a_bad_configuration_is_exit_code_2_with_key_and_remedy(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "bad.yaml"
        path.write_text("prot: 7880")
        assert main(["token", "--space", "demo", "--config", str(path)]) == 2
        assert "prot is no key that Palco knows: did you mean 'port'?" in capsys.readouterr().err

    def test_without_keys_there_is_no_token_but_advice(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["token", "--space", "demo"]) == 1
        assert "palco up" in capsys.readouterr().err

    def test_publish_asks_what_to_speak(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["publish"]) == 2
        assert "--tone HZ" in capsys.readouterr().err

    def test_without_a_server_publish_says_how_to_start_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["publish", "--tone", "440"]) == 1
        assert "`palco up`" in capsys.readouterr().err

    def test_nobody_at_the_address_is_a_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        # Port 1 (tcpmux) of loopback: nobody listens there.
        where = ["--url", "http://127.0.0.1:1", "--space", "demo", "--token", "x"]
        assert main(["publish", "--tone", "440", *where]) == 1
        assert "Nothing answers at http://127.0.0.1:1/whip/demo" in capsys.readouterr().err

    @pytest.mark.parametrize("slots", ["0", "33"])
    def test_slots_have_bounds(self, slots: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["listen", "--slots", slots]) == 2
        assert "1 to 32" in capsys.readouterr().err


class TestToken:
    def mint(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> RawToken:
        assert main(["token", *arguments]) == 0
        return RawToken(capsys.readouterr().out.strip())

    def test_a_role_brings_its_grants(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        raw = self.mint(capsys, "--space", "demo", "--role", "host", "--identity", "anna", "--config", str(config_file))
        read = verify(raw, keys={"key": SECRET}, now_s=time.time())
        assert (read.identity, read.name, read.grants.room) == ("anna", "anna", "demo")
        assert read.grants.room_admin
        assert read.grants.can_publish

    def test_a_listener_may_not_speak(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        raw = self.mint(capsys, "--space", "demo", "--config", str(config_file))
        grants = verify(raw, keys={"key": SECRET}, now_s=time.time()).grants
        assert (grants.room_join, grants.can_subscribe, grants.can_publish, grants.room_admin) == (
            True,
            True,
            False,
            False,
        )

    def test_grant_flags_alone_give_just_those(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        raw = self.mint(capsys, "--room-create", "--room-list", "--config", str(config_file))
        grants = verify(raw, keys={"key": SECRET}, now_s=time.time()).grants
        assert (grants.room_create, grants.room_list) == (True, True)
        assert (grants.room_join, grants.can_subscribe, grants.can_publish) == (False, False, False)

    def test_the_operator_has_a_grant_of_its_own_and_nobody_has_it_by_the_way(
        self, config_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        raw = self.mint(capsys, "--operator", "--identity", "on-duty", "--config", str(config_file))
        read = verify(raw, keys={"key": SECRET}, now_s=time.time())
        assert (read.palco.operator, read.palco.captions, read.grants.room_join) == (True, False, False)
        host = self.mint(capsys, "--space", "demo", "--role", "host", "--config", str(config_file))
        assert not verify(host, keys={"key": SECRET}, now_s=time.time()).palco.operator

    def test_it_ends_when_said(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        raw = self.mint(capsys, "--space", "demo", "--ttl", "30m", "--config", str(config_file))
        left_s = verify(raw, keys={"key": SECRET}, now_s=time.time()).expires_at_s - time.time()
        assert 1740 < left_s <= 1800

    def test_a_space_must_be_named_where_it_matters(
        self, config_file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["token", "--role", "speaker", "--config", str(config_file)]) == 2
        assert "--space" in capsys.readouterr().err

    def test_keys_may_come_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PALCO_KEY", "other")
        monkeypatch.setenv("PALCO_SECRET", SECRET)
        raw = self.mint(capsys, "--space", "demo")
        assert verify(raw, keys={"other": SECRET}, now_s=time.time()).key == "other"

    def test_each_grant_of_a_token_has_its_flag(self) -> None:
        flags = {flag.replace("-", "_") for flag in token.GRANT_FLAGS}
        assert flags == set(Grants.__struct_fields__) - {"room"}


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("6h", 21_600), ("7d", 604_800)]
    )
    def test_numbers_with_units(self, text: str, seconds: float) -> None:
        assert access.parse_duration_s(text) == seconds

    @pytest.mark.parametrize("text", ["", "0", "-1", "h", "1w", "1h30m"])
    def test_anything_else_is_explained(self, text: str) -> None:
        with pytest.raises(argparse.ArgumentTypeError, match="30m"):
            access.parse_duration_s(text)


class TestDevelopmentMode:
    def test_it_keeps_to_loopback_with_new_keys(self, tmp_path: Path) -> None:
        first, second = (development.development_config(tmp_path, {}) for _ in range(2))
        assert first.bind_addresses == ["127.0.0.1"]
        assert first.rtc.node_ips == ["127.0.0.1"]
        assert first.keys != second.keys
        assert first.development

    def test_single_values_may_be_changed(self, tmp_path: Path) -> None:
        config = development.development_config(tmp_path, {"PALCO_PORT": "8000", "PALCO_RTC__UDP_PORTS": "9000"})
        assert (config.port, config.rtc.udp_ports) == (8000, [9000])

    def test_its_note_is_readable_by_its_user_alone_and_goes_with_it(self, tmp_path: Path) -> None:
        environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
        note = development.Note(pid=os.getpid(), url="http://127.0.0.1:8000", config=CONFIG)
        with development.leave_note(note, port=8000, environ=environ) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert development.find_note(environ) == note
        assert development.find_note(environ) is None

    def test_the_note_of_a_dead_server_is_not_believed(self, tmp_path: Path) -> None:
        environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
        beyond = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1
        note = development.Note(pid=beyond, url="http://127.0.0.1:8000", config=CONFIG)
        with development.leave_note(note, port=8000, environ=environ):
            assert development.find_note(environ) is None

    def test_commands_find_the_server_that_runs(self, tmp_path: Path) -> None:
        environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
        note = development.Note(pid=os.getpid(), url="http://127.0.0.1:8000", config=CONFIG)
        arguments = argparse.Namespace(url=None, space=None, token=None, identity="ben", name=None, config=None)
        with development.leave_note(note, port=8000, environ=environ):
            place = access.find_place(arguments, "speaker", environ)
        assert (place.url, place.space) == ("http://127.0.0.1:8000", "demo")
        assert verify(RawToken(place.token), keys={"key": SECRET}, now_s=time.time()).identity == "ben"

    def test_a_configuration_without_a_space_needs_one_named(self, config_file: Path) -> None:
        arguments = argparse.Namespace(url=None, space=None, token=None, identity=None, name=None, config=config_file)
        with pytest.raises(CommandFailedError, match="--space"):
            access.find_place(arguments, "speaker", {})

    def test_the_greeting_says_what_to_open_and_type(self, tmp_path: Path) -> None:
        text = greeting_text(development.development_config(tmp_path, {}), "http://127.0.0.1:7880")
        assert "http://127.0.0.1:7880/" in text
        for command in ("publish --tone 440", "publish FILE", "listen -o heard.wav", "token --space demo", "doctor"):
            assert command in text

    def test_the_greeting_of_a_real_server_tells_its_ports(self) -> None:
        config = load_config(None, {"PALCO_CONFIG": CONFIG})
        assert greeting_text(config, "http://palco") == "palco: ready at http://palco, media on UDP 7882."

    @pytest.mark.parametrize(
        ("address", "url"),
        [("127.0.0.1", "http://127.0.0.1:7880"), ("0.0.0.0", "http://127.0.0.1:7880"), ("::1", "http://[::1]:7880")],
    )
    def test_a_client_here_reaches_it_by_an_address_that_works(self, address: str, url: str) -> None:
        assert server_url(Config(bind_addresses=[address])) == url

    def test_the_children_read_what_was_made(self, tmp_path: Path) -> None:
        config = development.development_config(tmp_path, {})
        assert load_config(None, {"PALCO_CONFIG": dump_config(config)}) == config


class TestBackoff:
    def test_waits_double_up_to_a_bound(self) -> None:
        backoff = supervisor.Backoff()
        waits_s = [backoff.on_exit(ran_s=0.1) for _ in range(7)]
        assert waits_s == [0.5, 1, 2, 4, 8, 10, 10]

    def test_a_steady_run_is_forgiven(self) -> None:
        backoff = supervisor.Backoff()
        for _ in range(5):
            backoff.on_exit(ran_s=0.1)
        assert backoff.on_exit(ran_s=supervisor.STEADY_S) == 0.5

    @pytest.mark.parametrize(
        ("exit_code", "told"),
        [(0, "ended by itself with exit code 0"), (-9, "was killed by SIGKILL"), (-200, "was killed by signal 200")],
    )
    def test_an_end_is_told_in_words(self, exit_code: int, told: str) -> None:
        assert supervisor.describe_exit(exit_code) == told


class TestListen:
    def test_one_file_for_one_slot_or_a_mix(self) -> None:
        output = Path("talk.wav")
        assert listen.recording_paths(output, slots=1, is_mixed=False) == [output]
        assert listen.recording_paths(output, slots=3, is_mixed=True) == [output]

    def test_numbered_files_for_slots(self) -> None:
        names = listen.recording_paths(Path("a/talk.wav"), slots=3, is_mixed=False)
        assert [str(name) for name in names] == ["a/talk-1.wav", "a/talk-2.wav", "a/talk-3.wav"]

    def test_no_file_where_none_is_asked_for(self) -> None:
        assert listen.recording_paths(None, slots=3, is_mixed=False) == []


class TestProgress:
    def test_time_packets_level_and_loss_in_one_line(self) -> None:
        line = progress_line(65.9, Statistics(packets=297, lost=3), -30.0)
        assert line == f"01:05     297 packets  {'▮' * 10}{'▯' * 10}  -30 dBov  lost 3 (1.0%)"

    def test_silence_is_told_as_such(self) -> None:
        assert f"{'▯' * 20}   silent" in progress_line(0, Statistics(packets=0, lost=0), -127.0)
