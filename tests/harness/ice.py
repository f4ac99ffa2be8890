"""STUN binding requests and what may answer them, by aioice's codec. RFC 8445 §7, RFC 8489."""

import secrets
from dataclasses import dataclass

from aioice import stun


@dataclass(frozen=True)
class Credentials:
    ufrag: str
    pwd: str


def make_credentials() -> Credentials:
    return Credentials(secrets.token_hex(4), secrets.token_hex(16))


def build_check(
    local: Credentials,
    remote: Credentials,
    *,
    nominates: bool,
    transaction: bytes | None = None,
    username: str | None = None,
    pwd: str | None = None,
) -> bytes:
    """A controlling client's check; `username` and `pwd` stand in for the right ones where a test lies."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, transaction)
    message.attributes["USERNAME"] = f"{remote.ufrag}:{local.ufrag}" if username is None else username
    message.attributes["PRIORITY"] = 0x6E7F1EFF
    message.attributes["ICE-CONTROLLING"] = 0x0123456789ABCDEF
    if nominates:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity((remote.pwd if pwd is None else pwd).encode())
    return bytes(message)


def build_answer(request: stun.Message, source: tuple[str, int], local: Credentials) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
    message.attributes["XOR-MAPPED-ADDRESS"] = source
    message.add_message_integrity(local.pwd.encode())
    return bytes(message)


def read_answer(datagram: bytes, pwd: str) -> stun.Message:
    """The answer in `datagram`; ValueError unless it carries a right MESSAGE-INTEGRITY, and after it a FINGERPRINT.

    aioice checks what is there; that both are there is checked here.
    """
    message = stun.parse_message(datagram)
    if not message.check_message_integrity(pwd.encode()):
        raise ValueError("the answer's MESSAGE-INTEGRITY is absent or wrong")
    if "FINGERPRINT" not in message.attributes:
        raise ValueError("the answer has no FINGERPRINT")
    return message
