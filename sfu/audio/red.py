"""Redundant audio (RFC 2198): older packets that travel with a newer one. Pure.

 0                   1                    2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|1|   block PT  |  timestamp offset         |   block length    |   for each older one
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|0|   block PT  |   for the newest, whose length is what is left
+-+-+-+-+-+-+-+-+
"""

from collections.abc import Sequence
from typing import NamedTuple

MAX_BLOCKS = 8
"""The newest included. Browsers send at most three; more would only be work that a stranger gives us."""

MAX_OFFSET = (1 << 14) - 1
MAX_LENGTH = (1 << 10) - 1


class Block(NamedTuple):
    payload_type: int
    offset: int
    """By how much its timestamp is before the packet's."""
    payload: bytes


def parse(payload: bytes) -> list[Block] | None:
    """Oldest first, the newest last, empty ones left out; None where the lengths lie."""
    heads: list[tuple[int, int, int]] = []
    at = 0
    while at < len(payload) and payload[at] & 0x80:
        if at + 4 > len(payload) or len(heads) == MAX_BLOCKS - 1:
            return None
        word = int.from_bytes(payload[at : at + 4], "big")
        heads.append((word >> 24 & 0x7F, word >> 10 & MAX_OFFSET, word & MAX_LENGTH))
        at += 4
    if at >= len(payload):
        return None
    newest_type = payload[at]
    at += 1
    blocks = []
    for payload_type, offset, length in heads:
        if at + length > len(payload):
            return None
        if length:
            blocks.append(Block(payload_type, offset, payload[at : at + length]))
        at += length
    blocks.append(Block(newest_type, 0, payload[at:]))
    return blocks


def build(blocks: Sequence[Block]) -> bytes:
    """The counterpart of `parse`: `blocks` oldest first, the last one with offset 0. Raises ValueError for an offset or
    a length that does not fit."""
    *older, newest = blocks
    if newest.offset:
        raise ValueError("the last block is the packet itself")
    heads = []
    for block in older:
        if not 0 < block.offset <= MAX_OFFSET or len(block.payload) > MAX_LENGTH:
            raise ValueError("a block older than 2^14 - 1 samples or longer than 1,023 bytes has no place here")
        word = 1 << 31 | block.payload_type << 24 | block.offset << 10 | len(block.payload)
        heads.append(word.to_bytes(4, "big"))
    return b"".join([*heads, bytes([newest.payload_type]), *(block.payload for block in blocks)])
