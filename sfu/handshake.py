"""One peer's DTLS-SRTP handshake (RFC 5763, RFC 5764) over memory buffers: a machine around pyOpenSSL.

OpenSSL reassembles and decides; datagrams and time are kept here. Its output is cut into records, packed to
`MAX_DATAGRAM_BYTES`, and repeated on our own timer, shorter than its fixed second and moved by hand in tests. Records
of epoch 0 get a fresh number each time (RFC 6347 §4.2.4: a replay filter would swallow the old one); the single record
of epoch 1, Finished, may repeat as it is, for a peer that could open it has no more need of it.

What a stranger can do, who guessed the one address that ICE has validated: alerts in the clear are not heard; garbage
costs budget; a ClientHello that breaks OpenSSL's connection costs one of three attempts. Not implemented: cookies (ICE
has proved the address), DTLS 1.0, resumption, SNI, ALPN.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct
from OpenSSL import SSL

from sfu.association import Association, Secrets, Send
from sfu.certificate import Expected, LocalCertificate
from sfu.records import Record, pack, parse_records, renumber, screen

DEADLINE_S = 20.0
"""From the first datagram, either way. At 50 % loss each way a handshake takes 5 s at the median, 15 s at worst."""

MAX_DATAGRAM_BYTES = 1200
"""Fits every path that WebRTC is used on (RFC 8831 §5 reasons alike)."""

FIRST_RESEND_S = 0.2
MAX_RESEND_S = 1.6
"""RFC 6347 §4.2.4.1 suggests 1 s and allows less where latency matters: a person waits. The wait doubles."""

BUDGET_BYTES = 131_072
"""Heard from one peer before its handshake ends; ten repetitions of a 2 kB flight stay below, in the tiniest pieces."""

DATAGRAM_COST_BYTES = 128
"""What a datagram takes from the budget beside its length, so that tiny ones are no free work."""

MAX_ATTEMPTS = 3

_DTLS_1_2 = 0xFEFD
_MAX_FLIGHT_BYTES = 65_536
_KEYING_LABEL = b"EXTRACTOR-dtls_srtp"

Role = Literal["client", "server"]


class Profile(Struct, frozen=True):
    """An SRTP protection profile: code point, length of master key and salt (RFC 5764 §4.1.2, RFC 7714 §12)."""

    code: int
    key_bytes: int
    salt_bytes: int


PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": Profile(code=0x0007, key_bytes=16, salt_bytes=12),
    b"SRTP_AEAD_AES_256_GCM": Profile(code=0x0008, key_bytes=32, salt_bytes=12),
    b"SRTP_AES128_CM_SHA1_80": Profile(code=0x0001, key_bytes=16, salt_bytes=14),
}
"""In our order: GCM seals in two thirds of the time. CM is what FFmpeg and old clients have."""


class Established(Struct, frozen=True):
    """The peer proved the expected certificate; keys are master key || master salt. The handshake is over."""

    profile: int
    receive_key: bytes
    send_key: bytes
    association: Association


class Failed(Struct, frozen=True):
    """The handshake is over without keys."""

    reason: Literal["wrong_certificate", "handshake_failed"]
    detail: str


Effect = Send | Established | Failed


class DtlsContexts:
    """OpenSSL's shared part, one for each role, made once."""

    def __init__(self, local: LocalCertificate, *, profiles: Iterable[bytes] = tuple(PROFILES)) -> None:
        offered = b":".join(profiles)
        self._contexts = {
            "server": _make_context(SSL.DTLS_SERVER_METHOD, local, offered),
            "client": _make_context(SSL.DTLS_CLIENT_METHOD, local, offered),
        }

    def connect(self, role: Role) -> SSL.Connection:
        """A fresh connection over memory buffers, its records no longer than `MAX_DATAGRAM_BYTES`."""
        connection = SSL.Connection(self._contexts[role])
        connection.set_ciphertext_mtu(MAX_DATAGRAM_BYTES)
        if role == "client":
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return connection


class Handshake:
    """From the first datagram to the keys. After `Established` or `Failed` it is done and says nothing more."""

    def __init__(self, contexts: DtlsContexts, *, role: Role, expected: Expected, now_s: float) -> None:
        self._contexts = contexts
        self._role: Role = role
        self._expected = expected
        self._connection: SSL.Connection | None = contexts.connect(role)
        self._attempts_left = MAX_ATTEMPTS - 1
        self._budget_bytes = BUDGET_BYTES
        self._complaint = "the peer fell silent"
        self._deadline_s = now_s + DEADLINE_S
        self._flight: list[Record] = []
        self._next_sequence = [0, 0]  # of epochs 0 and 1
        self._resend_after_s = FIRST_RESEND_S
        self._resend_at_s: float | None = None

    @property
    def wakes_at_s(self) -> float | None:
        """When `on_timer` wants to be called next; None when done."""
        if self._connection is None:
            return None
        return self._deadline_s if self._resend_at_s is None else min(self._resend_at_s, self._deadline_s)

    def start(self, now_s: float) -> list[Effect]:
        """Says the ClientHello, when ours is the client's role."""
        return self._advance(now_s) if self._role == "client" else []

    def on_datagram(self, datagram: bytes, now_s: float) -> list[Effect]:
        self._budget_bytes -= len(datagram) + DATAGRAM_COST_BYTES
        admitted = screen(datagram)
        if self._connection is None or self._budget_bytes < 0 or not admitted:
            return []
        self._connection.bio_write(admitted)
        return self._advance(now_s)

    def on_timer(self, now_s: float) -> list[Effect]:
        """Repeats the last flight, or gives up at the deadline."""
        if self._connection is None:
            return []
        if now_s >= self._deadline_s:
            return [self._fail("handshake_failed", self._complaint)]
        if self._resend_at_s is None or now_s < self._resend_at_s:
            return []
        self._resend_after_s = min(2 * self._resend_after_s, MAX_RESEND_S)
        return self._send_flight(now_s)

    def _advance(self, now_s: float) -> list[Effect]:
        assert self._connection is not None  # noqa: S101 - every caller has looked
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return self._send_output(now_s)
        except SSL.Error as error:
            return self._start_over(_describe(error))
        sent = self._send_output(now_s)
        return [*sent, *self._finish()]

    def _send_output(self, now_s: float) -> list[Effect]:
        """OpenSSL speaks a whole flight at a time, so whatever it says replaces the flight before."""
        if not (output := self._read_output()):
            return []
        self._flight = list(parse_records(output))
        self._resend_after_s = FIRST_RESEND_S
        return self._send_flight(now_s)

    def _send_flight(self, now_s: float) -> list[Effect]:
        self._resend_at_s = now_s + self._resend_after_s
        return [Send(pack(self._number(self._flight), max_datagram_bytes=MAX_DATAGRAM_BYTES))]

    def _number(self, records: Sequence[Record]) -> list[Record]:
        numbered = []
        for record in records:
            if record.epoch:
                self._next_sequence[1] = max(self._next_sequence[1], record.sequence + 1)
                numbered.append(record)
            else:
                numbered.append(renumber(record, self._next_sequence[0]))
                self._next_sequence[0] += 1
        return numbered

    def _read_output(self) -> bytes:
        assert self._connection is not None  # noqa: S101
        try:
            return self._connection.bio_read(_MAX_FLIGHT_BYTES)
        except SSL.WantReadError:
            return b""

    def _start_over(self, complaint: str) -> list[Effect]:
        """After a fatal error: OpenSSL's alert goes out, then a server awaits another ClientHello, a client is done."""
        self._complaint = complaint
        alert = pack(self._number(list(parse_records(self._read_output()))), max_datagram_bytes=MAX_DATAGRAM_BYTES)
        farewell: list[Effect] = [Send(alert)] if alert else []
        if self._role == "client" or not self._attempts_left:
            return [*farewell, self._fail("handshake_failed", complaint)]
        self._attempts_left -= 1
        self._connection = self._contexts.connect(self._role)
        self._flight, self._resend_at_s = [], None
        return farewell

    def _fail(self, reason: Literal["wrong_certificate", "handshake_failed"], detail: str) -> Failed:
        self._connection = None
        return Failed(reason=reason, detail=detail)

    def _finish(self) -> list[Effect]:
        """The certificate is compared before any key leaves this module (RFC 5763 §5)."""
        connection, self._connection = self._connection, None
        assert connection is not None  # noqa: S101
        certificate = connection.get_peer_certificate(as_cryptography=True)
        association = self._associate(connection)
        if certificate is None or not self._expected.is_met_by(certificate.public_bytes(Encoding.DER)):
            detail = "the peer's certificate is not the one that its SDP named"
            return [
                Send((association.close("bad_certificate"),)),
                Failed(reason="wrong_certificate", detail=detail),
            ]
        profile = PROFILES.get(connection.get_selected_srtp_profile())
        if profile is None:
            return [
                Send((association.close(),)),
                Failed(reason="handshake_failed", detail="the peer offered no SRTP profile that we have"),
            ]
        client_key, server_key = _export_keys(connection, profile)
        receive_key, send_key = (server_key, client_key) if self._role == "client" else (client_key, server_key)
        return [Established(profile=profile.code, receive_key=receive_key, send_key=send_key, association=association)]

    def _associate(self, connection: SSL.Connection) -> Association:
        """Only a server has the last word of a handshake, so only a server may have to repeat it."""
        is_client = self._role == "client"
        last_flight = () if is_client else pack(self._number(self._flight), max_datagram_bytes=MAX_DATAGRAM_BYTES)
        secrets = Secrets(
            master_secret=connection.master_key() or b"",
            client_random=connection.client_random() or b"",
            server_random=connection.server_random() or b"",
            is_client=is_client,
        )
        return Association(secrets, last_flight=last_flight, next_sequence=self._next_sequence[1])


def _export_keys(connection: SSL.Connection, profile: Profile) -> tuple[bytes, bytes]:
    """Master key || salt of client and server (RFC 5764 §4.2: both keys, then both salts)."""
    keys, salts = 2 * profile.key_bytes, 2 * profile.salt_bytes
    material = connection.export_keying_material(_KEYING_LABEL, keys + salts)
    client_key, server_key = material[: profile.key_bytes], material[profile.key_bytes : keys]
    client_salt, server_salt = material[keys : keys + profile.salt_bytes], material[keys + profile.salt_bytes :]
    return client_key + client_salt, server_key + server_salt


def _make_context(method: int, local: LocalCertificate, profiles: bytes) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    # No session outlives its handshake, so none is cached or handed out as a ticket: nothing to resume, less memory.
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(local.certificate)
    context.use_privatekey(local.key)
    # A peer in the server's role may have an RSA certificate; ours is ECDSA.
    context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
    # Any chain passes here: WebRTC's certificates are self-signed and the fingerprint is the proof (`_finish`). OpenSSL
    # still makes the peer prove that it has the key.
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.set_tlsext_use_srtp(profiles)
    return context


def _describe(error: SSL.Error) -> str:
    reasons = [part[-1] for part in error.args[0]] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reasons) or type(error).__name__
