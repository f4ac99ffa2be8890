"""The bytes of events, read by other people's parsers."""

import httptools
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from signalling.frames import chunk, pack_chunk, pack_events, pack_websocket, text_frame
from signalling.ring import Kept


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 100_000])
def test_a_text_frame_is_one_to_a_websocket_library(length: int) -> None:
    client = ClientProtocol(parse_uri("ws://palco.example/"), state=State.OPEN)
    client.receive_data(text_frame(b"x" * length) + text_frame(b"next"))
    first, second = client.events_received()
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.opcode, first.fin, bytes(first.data)) == (Opcode.TEXT, True, b"x" * length)
    assert bytes(second.data) == b"next"


def test_chunks_are_a_body_to_an_http_library() -> None:
    class Reader:
        body = b""

        def on_body(self, part: bytes) -> None:
            self.body += part

    reader = Reader()
    parser = httptools.HttpResponseParser(reader)
    parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"a" * 300) + chunk(b"b"))
    assert reader.body == b"a" * 300 + b"b"


def test_events_of_one_write_stand_one_after_the_other() -> None:
    events = [Kept(7, "counts", b'{"a":1}'), Kept(9, "caption", b"{}")]
    text = b'id: e1-7\nevent: counts\ndata: {"a":1}\n\nid: e1-9\nevent: caption\ndata: {}\n\n'
    assert pack_events("e1", events) == text
    assert pack_chunk("e1", events) == chunk(text)
    assert pack_chunk("e1", []) == b""
    assert pack_websocket("e1", events) == text_frame(b'{"a":1}') + text_frame(b"{}")
