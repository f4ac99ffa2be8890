"""The sfu's own certificate, and whether a peer's is the one that its SDP named. Edge where one is made, else pure."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from sfu.contract.messages import Fingerprint
from sfu.errors import CommandError

LIFETIME = timedelta(days=3650)
"""Browsers check the fingerprint and nothing else; the dates need only outlive the process."""

_DIGEST_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""By strength. Weaker ones (sha-1, md5) are as good as absent (RFC 8122 §5)."""


class LocalCertificate(Struct, frozen=True):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    fingerprint: Fingerprint


class Expected(Struct, frozen=True):
    """What a peer's certificate must hash to; made by `parse_expected`, so that no empty expectation exists."""

    algorithm: str
    digests: tuple[bytes, ...]

    def is_met_by(self, certificate_der: bytes) -> bool:
        """Compared in constant time, and with every digest, so that the time tells nothing."""
        digest = hashlib.new(self.algorithm.replace("-", ""), certificate_der).digest()
        return sum(hmac.compare_digest(digest, expected) for expected in self.digests) > 0


def make_certificate(now: datetime) -> LocalCertificate:
    """A self-signed ECDSA P-256 certificate, new with every process (RFC 8827 §6.5)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "palco")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    fingerprint = Fingerprint(algorithm="sha-256", value=digest.hex(":").upper())
    return LocalCertificate(key=key, certificate=certificate, fingerprint=fingerprint)


def parse_expected(fingerprints: Sequence[Fingerprint]) -> Expected:
    """The strongest hash function offered decides; of several values with it any one may match (RFC 8122 §5).

    Raises CommandError when nothing here could ever be checked.
    """
    digests: dict[str, list[bytes]] = {}
    for fingerprint in fingerprints:
        algorithm = fingerprint.algorithm.lower()
        if algorithm in _DIGEST_BYTES and (digest := _parse_digest(fingerprint.value, _DIGEST_BYTES[algorithm])):
            digests.setdefault(algorithm, []).append(digest)
    if not digests:
        raise CommandError("bad_command", "name a certificate fingerprint by sha-256, sha-384 or sha-512")
    strongest = max(digests, key=_DIGEST_BYTES.__getitem__)
    return Expected(algorithm=strongest, digests=tuple(digests[strongest]))


def _parse_digest(text: str, length: int) -> bytes | None:
    try:
        digest = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        return None
    return digest if len(digest) == length else None
