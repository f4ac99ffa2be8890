"""DTLS-SRTP handshakes: RFC 6347 (DTLS 1.2), RFC 5764 (SRTP keys), RFC 8122 (fingerprints)."""

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sfu.association import Left, Send
from sfu.handshake import (
    BUDGET_BYTES,
    DEADLINE_S,
    FIRST_RESEND_S,
    MAX_ATTEMPTS,
    MAX_DATAGRAM_BYTES,
    PROFILES,
    DtlsContexts,
    Established,
    Failed,
    Handshake,
)
from sfu.records import ALERT, parse_records
from tests.sfu.dtls_link import OURS, STRANGERS, THEIRS, Link, Narrow, handshake, pair


def established(outcome: object) -> Established:
    assert isinstance(outcome, Established), outcome
    return outcome


def client_hello() -> bytes:
    """The first datagram of a fresh client."""
    return b"".join(_datagrams(handshake("client", own=THEIRS, expected=OURS).start(0.0)))


def alert_in_the_clear(description: int) -> bytes:
    return bytes([ALERT]) + b"\xfe\xfd" + bytes(8) + b"\x00\x02" + bytes([2, description])


class TestKeys:
    @pytest.mark.parametrize("profile", PROFILES)
    def test_both_ends_hold_the_same_keys_crosswise(self, profile: bytes) -> None:
        server, client = Link(pair(profiles=[profile])).run()
        server, client = established(server), established(client)
        expected = PROFILES[profile]
        assert server.profile == client.profile == expected.code
        assert server.receive_key == client.send_key
        assert server.send_key == client.receive_key
        assert server.send_key != server.receive_key
        assert len(server.send_key) == len(server.receive_key) == expected.key_bytes + expected.salt_bytes

    def test_the_server_prefers_gcm_whatever_the_client_ranks_first(self) -> None:
        server, _ = Link(pair(profiles=list(reversed(PROFILES)))).run()
        assert established(server).profile == 0x0007

    def test_the_keys_are_those_of_rfc_5764_section_4_2(self) -> None:
        """Compared with a plain pyOpenSSL client: client key, server key, client salt, server salt."""
        machine = handshake("server")
        plain = DtlsContexts(THEIRS).connect("client")
        server = established(_run_against_plain(machine, plain))
        material = plain.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
        assert server.receive_key == material[0:16] + material[32:44]
        assert server.send_key == material[16:32] + material[44:56]

    def test_a_peer_without_srtp_gets_no_keys(self) -> None:
        machine = handshake("server")
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.use_certificate(THEIRS.certificate)
        context.use_privatekey(THEIRS.key)
        plain = SSL.Connection(context)
        plain.set_connect_state()
        outcome = _run_against_plain(machine, plain)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "handshake_failed"


class TestCertificates:
    """T20: the fingerprint is enforced in both roles."""

    def test_a_client_with_another_certificate_gets_no_keys(self) -> None:
        ends = (handshake("server"), handshake("client", own=STRANGERS, expected=OURS))
        outcome, _ = Link(ends).run()
        assert isinstance(outcome, Failed)
        assert outcome.reason == "wrong_certificate"

    def test_a_server_with_another_certificate_gets_no_keys(self) -> None:
        ends = (handshake("client"), handshake("server", own=STRANGERS, expected=OURS))
        outcome, _ = Link(ends).run()
        assert isinstance(outcome, Failed)
        assert outcome.reason == "wrong_certificate"

    def test_the_peer_with_the_wrong_certificate_is_told_by_an_authentic_alert(self) -> None:
        server, client = handshake("server"), handshake("client", own=STRANGERS, expected=OURS)
        link = Link((server, client))
        _, outcome = link.run()
        assert established(outcome).association.on_datagram(link.datagrams[-1]) == [Left()]

    def test_a_client_without_certificate_gets_no_keys(self) -> None:
        machine = handshake("server")
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
        plain = SSL.Connection(context)
        plain.set_connect_state()
        assert _run_against_plain(machine, plain) is None
        (outcome,) = machine.on_timer(DEADLINE_S)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "handshake_failed"
        assert "certificate" in outcome.detail


class TestNetwork:
    @pytest.mark.parametrize("seed", range(10))
    @pytest.mark.parametrize("loss", [0.1, 0.2])
    @pytest.mark.parametrize("mtu_bytes", [100, 256, 1200])
    def test_a_lossy_narrow_reordering_path_only_delays(self, *, mtu_bytes: int, loss: float, seed: int) -> None:
        link = Link(pair(), seed=seed, loss=loss, duplicates=0.1, jitter_s=0.05, mtu_bytes=mtu_bytes)
        server, client = link.run()
        assert established(server).send_key == established(client).receive_key

    @pytest.mark.parametrize("seed", range(20))
    def test_half_of_all_datagrams_lost_is_survived(self, seed: int) -> None:
        server, client = Link(pair(), seed=seed, loss=0.5).run()
        assert established(server).send_key == established(client).receive_key

    def test_a_lost_last_flight_is_repeated_when_the_peer_asks_again(self) -> None:
        server, client = pair()
        ours, theirs = _exchange(server, client)
        done = established(ours[-1])
        assert not any(isinstance(effect, Established) for effect in theirs)
        (again,) = client.on_timer(FIRST_RESEND_S)
        assert isinstance(again, Send)
        resent = [part for datagram in again.datagrams for part in done.association.on_datagram(datagram)]
        answers = [effect for datagram in _datagrams(resent) for effect in client.on_datagram(datagram, FIRST_RESEND_S)]
        assert established(answers[-1]).receive_key == done.send_key

    def test_no_datagram_is_longer_than_its_limit(self) -> None:
        link = Link(pair())
        link.run()
        assert max(len(datagram) for datagram in link.datagrams) <= MAX_DATAGRAM_BYTES

    def test_every_record_in_the_clear_has_its_own_number(self) -> None:
        server, client = pair()
        hello = _datagrams(client.start(0.0))
        sent = _datagrams([effect for datagram in hello for effect in server.on_datagram(datagram, 0.0)])
        for _ in range(3):
            wakes_at_s = server.wakes_at_s
            assert wakes_at_s is not None
            sent += _datagrams(server.on_timer(wakes_at_s))
        numbers = [record.sequence for datagram in sent for record in parse_records(datagram)]
        assert len(numbers) == len(set(numbers)) == 20  # four times five records

    def test_waits_between_repetitions_double_up_to_a_limit(self) -> None:
        client = handshake("client")
        client.start(0.0)
        times = [0.0]
        while (wakes_at_s := client.wakes_at_s) is not None and wakes_at_s < DEADLINE_S:
            times.append(wakes_at_s)
            client.on_timer(wakes_at_s)
        waits = [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]
        assert waits[:5] == [0.2, 0.4, 0.8, 1.6, 1.6]


class TestClientHello:
    """T6: fragmented and post-quantum-sized ClientHellos."""

    @pytest.mark.parametrize("seed", range(10))
    def test_its_fragments_are_taken_in_any_order_and_twice(self, seed: int) -> None:
        server = handshake("server")
        pieces = 2 * Narrow(60)(client_hello())
        assert len(pieces) > 6
        random.Random(seed).shuffle(pieces)
        answers = [effect for piece in pieces for effect in server.on_datagram(piece, 0.0)]
        assert _datagrams(answers), "no ServerHello"

    def test_one_longer_than_a_datagram_is_answered(self) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
        context.set_alpn_protos([bytes([letter]) * 200 for letter in range(65, 75)])  # 2,010 bytes, as ML-KEM-768 adds
        context.use_certificate(THEIRS.certificate)
        context.use_privatekey(THEIRS.key)
        plain = SSL.Connection(context)
        plain.set_ciphertext_mtu(1200)
        plain.set_connect_state()
        outcome = _run_against_plain(handshake("server"), plain)
        assert established(outcome).profile == 0x0007


class TestStrangers:
    """T4, T5, T7: what an attacker at the validated address may and may not do."""

    def test_an_alert_in_the_clear_does_not_end_a_handshake(self) -> None:
        server, client = pair()
        hello = _datagrams(client.start(0.0))
        flight = _datagrams([effect for datagram in hello for effect in server.on_datagram(datagram, 0.0)])
        assert server.on_datagram(alert_in_the_clear(40), 0.0) == []
        answer = _datagrams([effect for datagram in flight for effect in client.on_datagram(datagram, 0.0)])
        outcome = [effect for datagram in answer for effect in server.on_datagram(datagram, 0.0)]
        established(outcome[-1])

    def test_a_hello_that_cannot_succeed_leaves_room_for_the_right_one(self) -> None:
        server = handshake("server")
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
        context.set_cipher_list(b"ECDHE-ECDSA-AES256-GCM-SHA384")
        hostile = SSL.Connection(context)
        hostile.set_connect_state()
        assert _run_against_plain(server, hostile) is None
        plain = DtlsContexts(THEIRS).connect("client")
        established(_run_against_plain(server, plain))

    def test_hopeless_hellos_run_out_of_attempts(self) -> None:
        server = handshake("server")
        for _ in range(MAX_ATTEMPTS):
            context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
            context.set_cipher_list(b"ECDHE-ECDSA-AES256-GCM-SHA384")
            hostile = SSL.Connection(context)
            hostile.set_connect_state()
            outcome = _run_against_plain(server, hostile)
        assert isinstance(outcome, Failed)
        assert server.wakes_at_s is None

    def test_a_silent_peer_is_given_up_at_the_deadline(self) -> None:
        server = handshake("server", now_s=5.0)
        assert server.wakes_at_s == 5.0 + DEADLINE_S
        (outcome,) = server.on_timer(5.0 + DEADLINE_S)
        assert isinstance(outcome, Failed)
        assert server.wakes_at_s is None

    def test_what_exceeds_the_budget_is_not_heard(self) -> None:
        server = handshake("server")
        for _ in range(BUDGET_BYTES // 1200):
            assert server.on_datagram(bytes(1200), 0.0) == []
        assert server.on_datagram(client_hello(), 0.0) == []

    def test_a_fragment_that_promises_too_much_reserves_nothing(self) -> None:
        server = handshake("server")
        hello = next(parse_records(client_hello()))
        boast = hello.fragment[:1] + (100_000).to_bytes(3, "big") + hello.fragment[4:]
        assert server.on_datagram(hello.octets[:13] + boast, 0.0) == []
        assert _datagrams(server.on_datagram(hello.octets, 0.0)), "the honest one was not heard"

    @given(st.lists(st.binary(max_size=1500), max_size=8))
    def test_garbage_is_never_an_exception_and_never_an_answer(self, datagrams: list[bytes]) -> None:
        server = _idle_server()
        for datagram in datagrams:
            assert not _datagrams(server.on_datagram(datagram, 0.0))

    @given(st.integers(0, 10**6), st.integers(1, 40))
    def test_bits_flipped_on_the_way_never_raise_or_open_with_unlike_keys(self, seed: int, one_in: int) -> None:
        chance = random.Random(seed)

        def flip(datagram: bytes) -> bytes:
            if chance.randrange(one_in):
                return datagram
            damaged = bytearray(datagram)
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            return bytes(damaged)

        server, client = Link(_cached_pair(), seed=seed, meddle=flip).run(until_s=DEADLINE_S + 1)
        if isinstance(server, Established) and isinstance(client, Established):
            assert server.send_key == client.receive_key

    @given(st.integers(0, 700))
    def test_a_flight_cut_short_anywhere_is_never_an_exception(self, length: int) -> None:
        server, client = _cached_pair()
        hello = _datagrams(client.start(0.0))
        flight = b"".join(_datagrams([effect for part in hello for effect in server.on_datagram(part, 0.0)]))
        client.on_datagram(flight[:length], 0.0)


_SERVER_CONTEXTS = DtlsContexts(OURS)
_CLIENT_CONTEXTS = DtlsContexts(THEIRS)


def _idle_server() -> Handshake:
    return handshake("server", contexts=_SERVER_CONTEXTS)


def _cached_pair() -> tuple[Handshake, Handshake]:
    return _idle_server(), handshake("client", contexts=_CLIENT_CONTEXTS, expected=OURS)


def _datagrams(effects: Sequence[object]) -> list[bytes]:
    return [datagram for effect in effects if isinstance(effect, Send) for datagram in effect.datagrams]


def _exchange(server: Handshake, client: Handshake) -> tuple[list[object], list[object]]:
    """Everything both sides said when the server's last flight is lost."""
    theirs: list[object] = list(client.start(0.0))
    ours: list[object] = [effect for datagram in _datagrams(theirs) for effect in server.on_datagram(datagram, 0.0)]
    answers = [effect for datagram in _datagrams(ours) for effect in client.on_datagram(datagram, 0.0)]
    ours += [effect for datagram in _datagrams(answers) for effect in server.on_datagram(datagram, 0.0)]
    return ours, [*theirs, *answers]


def _run_against_plain(machine: Handshake, plain: SSL.Connection) -> Established | Failed | None:
    """The machine's outcome against a bare pyOpenSSL connection on a perfect path; None while undecided."""
    outcome: Established | Failed | None = None
    for _ in range(8):
        try:
            plain.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            return outcome
        try:
            said = plain.bio_read(65536)
        except SSL.WantReadError:
            break
        for record in parse_records(said):
            for effect in machine.on_datagram(record.octets, 0.0):
                if isinstance(effect, Send):
                    for datagram in effect.datagrams:
                        plain.bio_write(datagram)
                else:
                    outcome = effect
    return outcome
