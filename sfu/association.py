"""What remains of a DTLS association once the SRTP keys are out: a machine of 500 bytes instead of OpenSSL's 80,000.

It answers a peer that did not hear our last flight (RFC 6347 §4.2.4), hears the peer's close_notify and says ours.
OpenSSL's object is gone by then: the record keys are derived from the master secret (RFC 5246 §6.3) when they are
needed, which for most peers is once, at the end.

Not implemented: application data, renegotiation, any cipher suite but AES-128-GCM with SHA-256, the one that every
WebRTC endpoint must have (RFC 8827 §6.5) and therefore the only one that the handshake offers.
"""

import hashlib
import hmac
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from sfu.records import ALERT, HANDSHAKE, Record, parse_records

MAX_RESENDS = 8
"""Our last flight goes out again at most this often: with 50 % loss each way one in 256 peers stays unheard."""

_VERSION = b"\xfe\xfd"
_KEY_BYTES = 16
_SALT_BYTES = 4
_EXPLICIT_NONCE_BYTES = 8
_TAG_BYTES = 16

_WARNING, _FATAL = 1, 2
_CLOSE_NOTIFY = 0
_BAD_CERTIFICATE = 42


class Secrets(Struct, frozen=True):
    """The inputs of the key derivation (RFC 5246 §6.3) and which side is ours."""

    master_secret: bytes
    client_random: bytes
    server_random: bytes
    is_client: bool


class Send(Struct, frozen=True):
    datagrams: tuple[bytes, ...]


class Left(Struct, frozen=True):
    """The peer closed the association; authentic."""


class Association:
    """`next_sequence` is our first unused record number of epoch 1; `last_flight` what a deaf peer is told again."""

    __slots__ = ("_last_flight", "_next_sequence", "_resends_left", "_secrets")

    def __init__(self, secrets: Secrets, *, last_flight: tuple[bytes, ...], next_sequence: int) -> None:
        self._secrets = secrets
        self._last_flight = last_flight
        self._next_sequence = next_sequence
        self._resends_left = MAX_RESENDS if last_flight else 0

    def on_datagram(self, datagram: bytes) -> list[Send | Left]:
        """Whatever is not a retransmitted Finished or an authentic close_notify is left unheard."""
        effects: list[Send | Left] = []
        for record in parse_records(datagram):
            if record.epoch != 1:
                continue
            if record.content_type == HANDSHAKE and self._resends_left and not effects:
                self._resends_left -= 1
                effects.append(Send(self._last_flight))
            elif record.content_type == ALERT and self._is_close_notify(record):
                return [Left()]
        return effects

    def close(self, why: Literal["close_notify", "bad_certificate"] = "close_notify") -> bytes:
        """The datagram that ends the association from our side."""
        alert = bytes([_FATAL, _BAD_CERTIFICATE] if why == "bad_certificate" else [_WARNING, _CLOSE_NOTIFY])
        number = (1).to_bytes(2, "big") + self._next_sequence.to_bytes(6, "big")
        self._next_sequence += 1
        client, server = _derive_keys(self._secrets)
        key, salt = client if self._secrets.is_client else server
        # The explicit nonce need only be new under this key. OpenSSL counts its own up from a random 64-bit number.
        sealed = number + AESGCM(key).encrypt(salt + number, alert, _associated_data(number, ALERT, len(alert)))
        return bytes([ALERT]) + _VERSION + number + len(sealed).to_bytes(2, "big") + sealed

    def _is_close_notify(self, record: Record) -> bool:
        length = len(record.fragment) - _EXPLICIT_NONCE_BYTES - _TAG_BYTES
        if length < 2 or record.octets[1:3] != _VERSION:
            return False
        client, server = _derive_keys(self._secrets)
        key, salt = server if self._secrets.is_client else client
        explicit, sealed = record.fragment[:_EXPLICIT_NONCE_BYTES], record.fragment[_EXPLICIT_NONCE_BYTES:]
        associated = _associated_data(record.octets[3:11], ALERT, length)
        try:
            alert = AESGCM(key).decrypt(salt + explicit, sealed, associated)
        except InvalidTag:
            return False
        return alert[0] == _FATAL or alert[1] == _CLOSE_NOTIFY


def _associated_data(number: bytes, content_type: int, length: int) -> bytes:
    """RFC 5246 §6.2.3.3 with the number of RFC 6347 §4.1.2.1 (epoch and sequence); `length` is the plaintext's."""
    return number + bytes([content_type]) + _VERSION + length.to_bytes(2, "big")


def _derive_keys(secrets: Secrets) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Write key and implicit nonce, of the client and of the server: RFC 5246 §6.3 with the sizes of RFC 5288 §3."""
    seed = b"key expansion" + secrets.server_random + secrets.client_random
    block = _p_sha256(secrets.master_secret, seed, 2 * (_KEY_BYTES + _SALT_BYTES))
    keys, salts = block[: 2 * _KEY_BYTES], block[2 * _KEY_BYTES :]
    return (keys[:_KEY_BYTES], salts[:_SALT_BYTES]), (keys[_KEY_BYTES:], salts[_SALT_BYTES:])


def _p_sha256(secret: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5246 §5."""
    block, a = b"", seed
    while len(block) < length:
        a = hmac.digest(secret, a, hashlib.sha256)
        block += hmac.digest(secret, a + seed, hashlib.sha256)
    return block[:length]
