"""Frames of the control protocol: round trips, pieces of any size, lies about length."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.contract.messages import (
    CloseSession,
    Done,
    FromSfu,
    Hello,
    Load,
    OpenSpace,
    Refused,
    Reply,
    Request,
    SessionConnected,
    SetMuted,
    Speaking,
)
from sfu.contract.wire import (
    MAX_REQUEST_BYTES,
    FrameReader,
    Malformed,
    RequestReader,
    WireError,
    encode_from_sfu,
    encode_request,
    read_from_sfu,
)

REQUESTS = [
    Request(1, Hello(1)),
    Request(2, OpenSpace("lounge")),
    Request(3, SetMuted("lounge", ["ana", "ben"], is_muted=True)),
    Request(4, CloseSession("s1")),
]
FROM_SFU: list[FromSfu] = [
    Reply(1, Hello(1, node="n")),
    Reply(2, Done()),
    Reply(3, Refused("stage_full", "ten are on stage")),
    SessionConnected("s1"),
    Speaking("lounge", [("ana", -20)]),
    Load(accepts=True, reason="", sessions=3),
]


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_requests_come_out_as_they_went_in_however_the_stream_is_cut(cuts: list[int]) -> None:
    reader = RequestReader()
    stream = b"".join(encode_request(request) for request in REQUESTS)
    assert [request for piece in pieces(stream, cuts) for request in reader.feed(piece)] == REQUESTS


@given(st.lists(st.integers(0, 10_000), max_size=30))
def test_what_the_sfu_says_comes_out_as_it_went_in(cuts: list[int]) -> None:
    reader = read_from_sfu()
    stream = b"".join(encode_from_sfu(message) for message in FROM_SFU)
    assert [message for piece in pieces(stream, cuts) for message in reader.feed(piece)] == FROM_SFU


@given(st.binary(max_size=300))
def test_garbage_is_a_wire_error_or_nothing_yet(stream: bytes) -> None:
    for reader in (RequestReader(max_frame_bytes=200), read_from_sfu()):
        try:
            reader.feed(stream)
        except WireError:
            continue


def test_a_length_above_the_cap_is_refused_before_its_body_comes() -> None:
    reader = FrameReader(max_frame_bytes=10)
    with pytest.raises(WireError, match="11 bytes exceeds the limit of 10"):
        reader.feed((11).to_bytes(4, "big"))


def test_the_cap_can_be_raised_once_the_other_side_is_known() -> None:
    frame = encode_request(Request(1, SetMuted("lounge", ["a" * 100], is_muted=True)))
    reader = RequestReader(max_frame_bytes=64)
    reader.widen(max_frame_bytes=MAX_REQUEST_BYTES)
    assert len(reader.feed(frame)) == 1


def test_a_request_too_long_to_send_is_not_sent() -> None:
    with pytest.raises(WireError):
        encode_request(Request(1, SetMuted("lounge", ["x" * MAX_REQUEST_BYTES], is_muted=True)))


def test_an_unknown_command_can_be_refused_by_its_id() -> None:
    body = msgspec.msgpack.encode({"id": 7, "command": {"type": "levitate"}})
    (malformed,) = RequestReader().feed(len(body).to_bytes(4, "big") + body)
    assert isinstance(malformed, Malformed)
    assert malformed.id == 7
    assert "levitate" in malformed.detail


def test_a_frame_that_is_no_request_at_all_ends_the_stream() -> None:
    body = msgspec.msgpack.encode(["not", "a", "request"])
    with pytest.raises(WireError):
        RequestReader().feed(len(body).to_bytes(4, "big") + body)
