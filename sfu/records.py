"""DTLS 1.2 records (RFC 6347 §4.1): cut apart, packed into datagrams, renumbered, screened. Pure.

     0      1         3        5                 11       13
    +------+---------+--------+-----------------+--------+----------+
    | type | version | epoch  | sequence number | length | fragment |
    +------+---------+--------+-----------------+--------+----------+

and within a handshake record (§4.2.2), in the clear while the epoch is 0:

     0      1        4             6                 9                 12
    +------+--------+-------------+-----------------+-----------------+---------
    | type | length | message_seq | fragment_offset | fragment_length | body
    +------+--------+-------------+-----------------+-----------------+---------
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

HEADER_BYTES = 13
HANDSHAKE_HEADER_BYTES = 12

CHANGE_CIPHER_SPEC = 20
ALERT = 21
HANDSHAKE = 22

MAX_MESSAGE_BYTES = 8192
"""The longest handshake message believed. A post-quantum ClientHello has 2 kB, an RSA-4096 chain of three 4 kB; a
fragment that promises more would make OpenSSL reserve it (up to 100 kB for each of ten messages)."""

MAX_MESSAGE_SEQ = 16
"""A flight of the longest handshake ends at 9; what is numbered beyond is a stranger's."""


class Record(Struct, frozen=True):
    octets: bytes

    @property
    def content_type(self) -> int:
        return self.octets[0]

    @property
    def epoch(self) -> int:
        return int.from_bytes(self.octets[3:5], "big")

    @property
    def sequence(self) -> int:
        return int.from_bytes(self.octets[5:11], "big")

    @property
    def fragment(self) -> bytes:
        return self.octets[HEADER_BYTES:]


def parse_records(datagram: bytes) -> Iterator[Record]:
    """The whole records at the front of `datagram`; what follows the first impossible length is left out."""
    start = 0
    while start + HEADER_BYTES <= len(datagram):
        end = start + HEADER_BYTES + int.from_bytes(datagram[start + 11 : start + 13], "big")
        if end > len(datagram):
            return
        yield Record(datagram[start:end])
        start = end


def screen(datagram: bytes) -> bytes:
    """What of a stranger's datagram an unfinished handshake may see, whole records only.

    Left out are alerts in the clear, which anyone could forge to end the handshake, and handshake fragments that
    promise more than a handshake needs.
    """
    return b"".join(record.octets for record in parse_records(datagram) if _is_plausible(record))


def pack(records: Iterable[Record], *, max_datagram_bytes: int) -> tuple[bytes, ...]:
    """As few datagrams as hold `records` in order; a record longer than the limit travels alone."""
    datagrams: list[bytearray] = []
    for record in records:
        if datagrams and len(datagrams[-1]) + len(record.octets) <= max_datagram_bytes:
            datagrams[-1] += record.octets
        else:
            datagrams.append(bytearray(record.octets))
    return tuple(bytes(datagram) for datagram in datagrams)


def renumber(record: Record, sequence: int) -> Record:
    """The same record under another sequence number; only in epoch 0, where no tag covers it."""
    if record.epoch:
        raise ValueError("a protected record's number is authenticated")
    return Record(record.octets[:5] + sequence.to_bytes(6, "big") + record.octets[11:])


def _is_plausible(record: Record) -> bool:
    if record.epoch:
        return True  # its tag will tell
    if record.content_type == HANDSHAKE:
        return all(_claims_are_modest(header) for header in _fragment_headers(record.fragment))
    return record.content_type == CHANGE_CIPHER_SPEC


def _fragment_headers(fragment: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(fragment):
        header = fragment[start : start + HANDSHAKE_HEADER_BYTES]
        yield header
        start += HANDSHAKE_HEADER_BYTES + int.from_bytes(header[9:12], "big")


def _claims_are_modest(header: bytes) -> bool:
    return (
        len(header) == HANDSHAKE_HEADER_BYTES
        and int.from_bytes(header[1:4], "big") <= MAX_MESSAGE_BYTES
        and int.from_bytes(header[4:6], "big") <= MAX_MESSAGE_SEQ
    )
