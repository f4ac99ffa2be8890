"""Frames of the control protocol: messages to bytes and back, over any stream. Pure.

     0        4                    4 + n
    +--------+--------------------+
    | n: u32 | msgpack of message |     n is big-endian and counts the body only
    +--------+--------------------+

Both processes use this module; neither trusts the other's lengths.
"""

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from sfu.contract.messages import FromSfu, Request

MAX_REQUEST_BYTES = 1 << 20
"""A command names one participant or, for a mute, the stage; 1 MiB is far above either."""

MAX_FROM_SFU_BYTES = 64 << 20
"""A snapshot lists every session: some 300 bytes each, and 100,000 of them must still fit."""

HEADER_BYTES = 4

Message = TypeVar("Message")

_encoder = msgspec.msgpack.Encoder()


class WireError(ValueError):
    """The stream is not the protocol (or a frame exceeds its cap) and cannot be read any further."""


class Malformed(Struct, frozen=True):
    """A well-framed request that says nothing we know: to be refused by its `id`, the connection stays."""

    id: int
    detail: str


class _Envelope(Struct):
    id: int


class FrameReader:
    """Cuts a byte stream into frames; holds at most one incomplete frame of `max_frame_bytes`."""

    def __init__(self, *, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies completed by `chunk`, in order. Raises `WireError` as soon as a length exceeds the cap."""
        self._buffer += chunk
        frames = []
        start = 0
        while len(self._buffer) - start >= HEADER_BYTES:
            body = start + HEADER_BYTES
            length = int.from_bytes(self._buffer[start:body], "big")
            if length > self.max_frame_bytes:
                raise WireError(f"a frame of {length} bytes exceeds the limit of {self.max_frame_bytes}")
            if len(self._buffer) < body + length:
                break
            frames.append(bytes(self._buffer[body : body + length]))
            start = body + length
        del self._buffer[:start]
        return frames


class MessageReader(Generic[Message]):
    """A `FrameReader` that decodes; made by `read_from_sfu`, on signalling's side."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[Message], *, max_frame_bytes: int) -> None:
        self._frames = FrameReader(max_frame_bytes=max_frame_bytes)
        self._decoder = decoder

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages completed by `chunk`. Raises `WireError` when the stream is beyond use."""
        try:
            return [self._decoder.decode(frame) for frame in self._frames.feed(chunk)]
        except msgspec.DecodeError as error:
            raise WireError(f"not a message of this protocol: {error}") from error


class RequestReader:
    """Reads what signalling sends; a request of unknown content comes out as `Malformed`, never as silence."""

    def __init__(self, *, max_frame_bytes: int = MAX_REQUEST_BYTES) -> None:
        self._frames = FrameReader(max_frame_bytes=max_frame_bytes)
        self._decoder = msgspec.msgpack.Decoder(Request)
        self._envelope = msgspec.msgpack.Decoder(_Envelope)

    def widen(self, *, max_frame_bytes: int) -> None:
        """Raises the cap, once the other side has shown who it is."""
        self._frames.max_frame_bytes = max_frame_bytes

    def feed(self, chunk: bytes) -> list[Request | Malformed]:
        """The requests completed by `chunk`. Raises `WireError` when the stream is beyond use."""
        return [self._decode(frame) for frame in self._frames.feed(chunk)]

    def _decode(self, frame: bytes) -> Request | Malformed:
        try:
            return self._decoder.decode(frame)
        except msgspec.DecodeError as error:
            reason = str(error)
        try:
            return Malformed(id=self._envelope.decode(frame).id, detail=reason)
        except msgspec.DecodeError as error:
            raise WireError(f"not a request of this protocol: {reason}") from error


def read_from_sfu() -> MessageReader[FromSfu]:
    """A reader of what the sfu sends: replies and reports."""
    return MessageReader(msgspec.msgpack.Decoder(FromSfu), max_frame_bytes=MAX_FROM_SFU_BYTES)


def encode_request(request: Request) -> bytes:
    """One frame for the sfu. Raises `WireError` above `MAX_REQUEST_BYTES`."""
    return _frame(_encoder.encode(request), max_frame_bytes=MAX_REQUEST_BYTES)


def encode_from_sfu(message: FromSfu) -> bytes:
    """One frame for signalling. Raises `WireError` above `MAX_FROM_SFU_BYTES`."""
    return _frame(_encoder.encode(message), max_frame_bytes=MAX_FROM_SFU_BYTES)


def _frame(body: bytes, *, max_frame_bytes: int) -> bytes:
    if len(body) > max_frame_bytes:
        raise WireError(f"a message of {len(body)} bytes exceeds the limit of {max_frame_bytes}")
    return len(body).to_bytes(HEADER_BYTES, "big") + body
