"""Events in the bytes of each transport, the same for all who read them. Per event, not per reader. Pure."""

from collections.abc import Callable, Iterable

from signalling.ring import Kept

Packing = Callable[[str, Iterable[Kept]], bytes]
"""(epoch, events) to the bytes of one write."""

HEARTBEAT = b": still here\n\n"


def pack_websocket(_: str, events: Iterable[Kept]) -> bytes:
    """A text frame each (RFC 6455 §5.2); a server masks nothing, so every reader's are alike."""
    return b"".join(text_frame(event.json) for event in events)


def pack_chunk(epoch: str, events: Iterable[Kept]) -> bytes:
    """Server-sent events in one HTTP/1.1 chunk."""
    return chunk(pack_events(epoch, events))


def pack_events(epoch: str, events: Iterable[Kept]) -> bytes:
    """Server-sent events as they stand in the body; `id` is the cursor."""
    prefix = epoch.encode()
    return b"".join(
        b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (prefix, event.seq, event.type.encode(), event.json) for event in events
    )


def chunk(body: bytes) -> bytes:
    """RFC 9112 §7.1; nothing at all for nothing, since an empty chunk ends the body."""
    return b"" if not body else b"%x\r\n%s\r\n" % (len(body), body)


def text_frame(text: bytes) -> bytes:
    """One unfragmented, unmasked text frame.

    0x81 = FIN | opcode 1; then the length in 7 bits, or 126 and 16 bits, or 127 and 64 bits.
    """
    length = len(text)
    if length < 126:
        return bytes((0x81, length)) + text
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + text
    return b"\x81\x7f" + length.to_bytes(8, "big") + text
