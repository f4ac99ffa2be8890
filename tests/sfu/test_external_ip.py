"""The address behind a router, asked of a STUN server from the ports that media uses."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aioice import stun

from sfu.errors import StartError
from sfu.external_ip import discover
from tests.harness.coturn import coturn

pytestmark = pytest.mark.live

Answer = Callable[[stun.Message, tuple[str, int]], list[stun.Message]]


def mapped(request: stun.Message, address: tuple[str, int], transaction_id: bytes | None = None) -> stun.Message:
    answer = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=transaction_id or request.transaction_id,
    )
    answer.attributes["XOR-MAPPED-ADDRESS"] = address
    return answer


@contextmanager
def stun_server(answer: Answer) -> Iterator[str]:
    """Answers one request after the other with what `answer` makes of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                datagram, source = server.recvfrom(1500)
                if not datagram:
                    return
                for message in answer(stun.parse_message(datagram), source):
                    server.sendto(bytes(message), source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()


@pytest.fixture(params=["127.0.0.1", "::"])
def bound(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """As the sfu binds its media ports."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as media:
        if family == socket.AF_INET6:
            media.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        media.setblocking(False)
        media.bind((request.param, 0))
        yield media


def test_a_real_server_says_where_we_are(bound: socket.socket, tmp_path: Path) -> None:
    with coturn(tmp_path) as server:
        assert discover([bound], [f"127.0.0.1:{server.port}"]) == ["127.0.0.1"]
    assert bound.gettimeout() == 0.0


def test_the_public_address_is_the_one_that_the_server_saw(bound: socket.socket) -> None:
    with stun_server(lambda request, source: [mapped(request, ("203.0.113.9", source[1]))]) as server:
        assert discover([bound], [server]) == ["203.0.113.9"]


def test_a_router_that_changes_the_port_is_named(bound: socket.socket) -> None:
    with (
        stun_server(lambda request, _: [mapped(request, ("203.0.113.9", 9))]) as server,
        pytest.raises(StartError, match="leaves this network as port 9"),
    ):
        discover([bound], [server])


def test_an_answer_to_another_question_is_not_believed(bound: socket.socket) -> None:
    def lie_first(request: stun.Message, source: tuple[str, int]) -> list[stun.Message]:
        forged = mapped(request, ("198.51.100.66", source[1]), transaction_id=bytes(12))
        return [forged, mapped(request, ("203.0.113.9", source[1]))]

    with stun_server(lie_first) as server:
        assert discover([bound], [server]) == ["203.0.113.9"]


def test_the_second_server_is_asked_where_the_first_does_not_exist(bound: socket.socket) -> None:
    with stun_server(lambda request, source: [mapped(request, ("203.0.113.9", source[1]))]) as server:
        assert discover([bound], ["nowhere.invalid:3478", server]) == ["203.0.113.9"]


def test_without_an_answer_the_start_says_what_to_do(bound: socket.socket) -> None:
    with pytest.raises(StartError, match=r"none of rtc\.stun_servers \(nowhere\.invalid:3478\) answered"):
        discover([bound], ["nowhere.invalid:3478"])
