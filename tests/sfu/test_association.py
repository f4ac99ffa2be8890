"""After the handshake: repetition of the last flight, close_notify both ways (RFC 6347 §4.2.4, RFC 5246 §7.2.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.association import MAX_RESENDS, Association, Left, Secrets, Send
from sfu.handshake import DtlsContexts, Established, Handshake
from sfu.records import parse_records
from tests.sfu.dtls_link import THEIRS, Link, handshake, pair

_SERVER, _CLIENT = Link(pair()).run()


def association(outcome: object) -> Association:
    assert isinstance(outcome, Established)
    return outcome.association


@pytest.fixture(params=["server", "client"])
def ends(request: pytest.FixtureRequest) -> tuple[Association, Association]:
    server, client = Link(pair()).run()
    both = association(server), association(client)
    return both if request.param == "server" else both[::-1]


def test_one_end_closing_is_heard_by_the_other(ends: tuple[Association, Association]) -> None:
    here, there = ends
    assert there.on_datagram(here.close()) == [Left()]


def test_a_fatal_alert_is_heard_as_leaving(ends: tuple[Association, Association]) -> None:
    here, there = ends
    assert there.on_datagram(here.close("bad_certificate")) == [Left()]


def test_openssl_understands_our_close_notify() -> None:
    machine, plain = handshake("server"), DtlsContexts(THEIRS).connect("client")
    ours = _join(machine, plain)
    plain.bio_write(ours.close())
    with pytest.raises(SSL.ZeroReturnError):
        plain.recv(100)


def test_we_understand_openssl_s_close_notify() -> None:
    machine, plain = handshake("server"), DtlsContexts(THEIRS).connect("client")
    ours = _join(machine, plain)
    plain.shutdown()
    assert ours.on_datagram(plain.bio_read(4096)) == [Left()]


@given(st.integers(0, 60), st.integers(0, 7))
def test_a_forged_close_notify_is_not_heard(position: int, bit: int) -> None:
    forged = bytearray(association(_CLIENT).close())
    forged[position % len(forged)] ^= 1 << bit
    assert Left() not in association(_SERVER).on_datagram(bytes(forged))


def test_a_close_notify_cut_short_is_not_heard() -> None:
    whole = association(_CLIENT).close()
    for length in range(len(whole)):
        assert association(_SERVER).on_datagram(whole[:length]) == []


@given(st.binary(max_size=200))
def test_garbage_is_not_heard(datagram: bytes) -> None:
    assert Left() not in association(_SERVER).on_datagram(datagram)


def test_a_retransmitted_finished_repeats_the_server_s_last_flight_a_bounded_number_of_times() -> None:
    link = Link(pair())
    server, client = link.run()
    finished = next(
        record.octets for datagram in link.datagrams for record in parse_records(datagram) if record.epoch == 1
    )
    answers = [association(server).on_datagram(finished) for _ in range(MAX_RESENDS + 3)]
    assert all(isinstance(effect, Send) for answer in answers[:MAX_RESENDS] for effect in answer)
    assert [len(answer) for answer in answers] == [1] * MAX_RESENDS + [0] * 3
    assert association(client).on_datagram(finished) == []


def test_two_closing_alerts_never_share_a_number() -> None:
    secrets = Secrets(master_secret=bytes(48), client_random=bytes(32), server_random=bytes(32), is_client=True)
    end = Association(secrets, last_flight=(), next_sequence=1)
    numbers = [record.sequence for _ in range(3) for record in parse_records(end.close())]
    assert numbers == [1, 2, 3]


def _join(machine: Handshake, plain: SSL.Connection) -> Association:
    for _ in range(4):
        try:
            plain.do_handshake()
        except SSL.WantReadError:
            for effect in machine.on_datagram(plain.bio_read(65536), 0.0):
                if isinstance(effect, Send):
                    plain.bio_write(b"".join(effect.datagrams))
                elif isinstance(effect, Established):
                    ours = effect.association
    return ours
