"""Starting the process: what it binds, what it announces, how it says that it cannot."""

import socket
from pathlib import Path

import pytest

from sfu.__main__ import announced_candidates, bind_tcp, bind_udp, main
from sfu.contract.messages import Candidate
from sfu.errors import StartError
from tests.harness.processes import take_port


def test_every_worker_announces_every_address_with_its_own_port() -> None:
    assert announced_candidates(["192.0.2.1", "2001:db8::1"], [7882, 7883]) == [
        [Candidate("192.0.2.1", 7882), Candidate("2001:db8::1", 7882)],
        [Candidate("192.0.2.1", 7883), Candidate("2001:db8::1", 7883)],
    ]


def test_every_worker_announces_the_one_tcp_port_after_its_own() -> None:
    assert announced_candidates(["192.0.2.1"], [7882, 7883], 7881) == [
        [Candidate("192.0.2.1", 7882), Candidate("192.0.2.1", 7881, "tcp")],
        [Candidate("192.0.2.1", 7883), Candidate("192.0.2.1", 7881, "tcp")],
    ]


def test_a_bad_configuration_stops_the_start_with_key_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "palco.yaml"
    config.write_text("rtc: {udp_ports: lots}\n")
    assert main(["--config", str(config)]) == 2
    said = capsys.readouterr().err
    assert "rtc.udp_ports" in said
    assert "7882" in said


@pytest.mark.live
class TestBinding:
    def test_the_wildcard_takes_both_families(self) -> None:
        port = take_port()
        (udp,) = bind_udp("::", [port])
        with udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", ("127.0.0.1", port))
            udp.setblocking(True)
            assert udp.recv(16) == b"hello"

    def test_a_port_that_is_taken_is_named_and_none_is_left_bound(self) -> None:
        free, taken = take_port(), take_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", taken))
            with pytest.raises(StartError, match=f"UDP port {taken} on 127.0.0.1"):
                bind_udp("127.0.0.1", [free, taken])
        (again,) = bind_udp("127.0.0.1", [free])
        again.close()

    def test_an_address_of_another_machine_is_no_good(self) -> None:
        with pytest.raises(StartError, match=r"rtc\.bind_address"):
            bind_udp("192.0.2.1", [take_port()])

    def test_a_tcp_port_that_is_taken_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            with pytest.raises(StartError, match=rf"TCP port {taken} on 127.0.0.1.*rtc\.tcp_port"):
                bind_tcp("127.0.0.1", taken)
