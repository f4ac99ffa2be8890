"""RFC 2198: blocks found as they were built, and no lie about a length believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.audio import red
from sfu.audio.red import Block

older = st.builds(Block, st.integers(0, 127), st.integers(1, red.MAX_OFFSET), st.binary(min_size=1, max_size=50))
newest = st.builds(Block, st.integers(0, 127), st.just(0), st.binary(max_size=50))


@given(st.lists(older, max_size=red.MAX_BLOCKS - 1), newest)
def test_what_is_built_is_parsed(before: list[Block], last: Block) -> None:
    assert red.parse(red.build([*before, last])) == [*before, last]


@given(st.binary(max_size=80))
def test_any_bytes_give_blocks_within_them_or_none(payload: bytes) -> None:
    blocks = red.parse(payload)
    if blocks is not None:
        assert 1 <= len(blocks) <= red.MAX_BLOCKS
        assert sum(len(block.payload) for block in blocks) < len(payload)


def test_the_example_of_chromium_a_copy_from_20_ms_before() -> None:
    payload = bytes([0x80 | 111, 960 >> 6, (960 & 0x3F) << 2, 2, 111]) + b"OLNEW"
    assert red.parse(payload) == [Block(111, 960, b"OL"), Block(111, 0, b"NEW")]


def test_a_truncated_packet_is_refused_or_loses_only_of_its_newest_block() -> None:
    payload = red.build([Block(111, 1920, b"one"), Block(111, 960, b"two"), Block(111, 0, b"three")])
    for length in range(len(payload)):
        blocks = red.parse(payload[:length])
        if blocks is not None:
            assert [block.payload for block in blocks[:-1]] == [b"one", b"two"]
            assert b"three".startswith(blocks[-1].payload)


def test_an_empty_copy_is_left_out() -> None:
    assert red.parse(bytes([0x80 | 111, 0, 4, 0, 111]) + b"new") == [Block(111, 0, b"new")]


def test_more_blocks_than_any_browser_sends_are_refused() -> None:
    many = [Block(111, 960 * at, b"x") for at in range(red.MAX_BLOCKS, 0, -1)]
    assert red.parse(red.build([*many, Block(111, 0, b"y")])) is None


@pytest.mark.parametrize("wrong", [Block(111, red.MAX_OFFSET + 1, b""), Block(111, 1, bytes(red.MAX_LENGTH + 1))])
def test_what_does_not_fit_is_not_built(wrong: Block) -> None:
    with pytest.raises(ValueError, match="no place"):
        red.build([wrong, Block(111, 0, b"")])
    with pytest.raises(ValueError, match="last block"):
        red.build([Block(111, 960, b"")])
