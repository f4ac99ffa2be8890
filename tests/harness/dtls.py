"""DTLS-SRTP with pyOpenSSL over memory buffers, in either role. Machine.

Records are cut apart again after OpenSSL wrote them, so that each datagram holds whole records (RFC 9147 §4).
"""

import datetime
from dataclasses import dataclass
from functools import lru_cache

import pylibsrtp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

MTU_BYTES = 1200

PROFILES = {
    b"SRTP_AES128_CM_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
    b"SRTP_AEAD_AES_128_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AEAD_AES_256_GCM": (pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
}
"""OpenSSL's name: libsrtp's profile, bytes of master key, bytes of master salt (RFC 5764 §4.1.2, RFC 7714 §12)."""


@dataclass(frozen=True)
class Certificate:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def make_certificate() -> Certificate:
    """A fresh self-signed ECDSA P-256 certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "wire")])
    today = datetime.datetime.now(tz=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(today - datetime.timedelta(days=1))
    builder = builder.not_valid_after(today + datetime.timedelta(days=30))
    return Certificate(builder.sign(key, hashes.SHA256()), key)


@lru_cache
def shared_certificate() -> Certificate:
    """One certificate for all peers of this process that do not care; making one costs a few milliseconds."""
    return make_certificate()


@dataclass(frozen=True)
class Keys:
    """Both directions' libsrtp sessions."""

    profile: bytes
    send: pylibsrtp.Session
    receive: pylibsrtp.Session


class Handshake:
    """One DTLS association; datagrams in by `on_datagram`, datagrams out by `take`."""

    def __init__(
        self, certificate: Certificate, *, is_client: bool, profiles: list[bytes], alpn: list[bytes] | None = None
    ) -> None:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
        context.set_tlsext_use_srtp(b":".join(profiles))
        if alpn:
            context.set_alpn_protos(alpn)
        self._is_client = is_client
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(MTU_BYTES)
        if is_client:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self.is_done = False
        self.alerts: list[str] = []

    def start(self) -> None:
        """Makes a client's first flight; nothing for a server."""
        if self._is_client:
            self._advance()

    def on_datagram(self, datagram: bytes) -> None:
        self._connection.bio_write(datagram)
        if self.is_done:
            self._read()
        else:
            self._advance()

    def on_timeout(self) -> None:
        self._connection.DTLSv1_handle_timeout()

    @property
    def retransmits_in_s(self) -> float | None:
        return None if self.is_done else self._connection.DTLSv1_get_timeout()

    def close(self) -> None:
        """Makes the close_notify."""
        self._connection.shutdown()

    def take(self) -> list[bytes]:
        """The datagrams to send now."""
        written = b""
        while True:
            try:
                written += self._connection.bio_read(65536)
            except SSL.WantReadError:
                return pack_records(split_records(written))

    def peer_fingerprint(self) -> str:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        return certificate.fingerprint(hashes.SHA256()).hex(":").upper() if certificate else ""

    def keys(self) -> Keys:
        """RFC 5764 §4.2: client key, server key, client salt, server salt."""
        profile = self._connection.get_selected_srtp_profile()
        libsrtp_profile, key, salt = PROFILES[profile]
        secret = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = secret[:key] + secret[2 * key : 2 * key + salt]
        server = secret[key : 2 * key] + secret[2 * key + salt :]
        mine, theirs = (client, server) if self._is_client else (server, client)
        policy = pylibsrtp.Policy
        return Keys(
            profile,
            pylibsrtp.Session(policy(mine, policy.SSRC_ANY_OUTBOUND, srtp_profile=libsrtp_profile)),
            pylibsrtp.Session(policy(theirs, policy.SSRC_ANY_INBOUND, srtp_profile=libsrtp_profile)),
        )

    def _advance(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self.alerts.append(str(error))
            return
        self.is_done = True

    def _read(self) -> None:
        try:
            while True:
                self._connection.recv(MTU_BYTES)
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.alerts.append("close_notify")
        except SSL.Error as error:
            self.alerts.append(str(error))


def split_records(data: bytes) -> list[bytes]:
    """RFC 6347 §4.1: 13 bytes of header, the last two the length of what follows."""
    records = []
    while data:
        end = 13 + int.from_bytes(data[11:13])
        records.append(data[:end])
        data = data[end:]
    return records


def pack_records(records: list[bytes]) -> list[bytes]:
    datagrams: list[bytes] = []
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record) <= MTU_BYTES:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams
