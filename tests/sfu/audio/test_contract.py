"""Messages between the sfu and its mixers: whole, in pieces, and wrong."""

import pytest

from sfu.audio.contract import (
    AddProgram,
    Assign,
    Beat,
    Failed,
    FromMixer,
    FromMixerReader,
    Histogram,
    Levels,
    Ready,
    Release,
    RemoveProgram,
    RemoveVoice,
    Settings,
    SetVoice,
    Sound,
    Sync,
    Synced,
    Taps,
    ToMixer,
    ToMixerReader,
    Totals,
    Watched,
    encode,
)
from sfu.contract.wire import WireError

TO: list[ToMixer] = [
    Assign("town", 7, Taps("/run/a", "/run/b"), Settings(sound=Sound(channels=2), frames_per_packet=3)),
    SetVoice("town", 4_000_000_000, False, 63),
    RemoveVoice("town", 1),
    AddProgram("town", 9, None),
    AddProgram("town", 10, 1),
    RemoveProgram("town", 9),
    Release("town"),
    Sync(3),
]

FROM: list[FromMixer] = [
    Ready("libopus 1.6.1"),
    Beat(("town",)),
    Synced(3),
    Failed("town", "reason"),
    Levels("town", ((1, -30.5),)),
    Watched(
        {"town": Totals(packets_in=5)},
        frames=1,
        skipped_frames=0,
        unsent=0,
        decode_s=0.1,
        encode_s=0.2,
        mix_s=0.3,
        gone=Totals(packets_in=7),
        spent={"encode": Histogram([0, 1], 0.2)},
        targets=Histogram([2, 0], 0.1),
    ),
]


def test_what_is_said_is_understood_byte_by_byte() -> None:
    to, from_ = ToMixerReader(), FromMixerReader()
    heard = [message for byte in b"".join(map(encode, TO)) for message in to.feed(bytes([byte]))]
    said = [message for byte in b"".join(map(encode, FROM)) for message in from_.feed(bytes([byte]))]
    assert heard == TO
    assert said == FROM


@pytest.mark.parametrize("wrong", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", encode(Ready("x"))])
def test_another_stream_is_refused(wrong: bytes) -> None:
    with pytest.raises(WireError):
        ToMixerReader().feed(wrong)


def test_a_message_of_the_other_side_is_refused() -> None:
    with pytest.raises(WireError):
        FromMixerReader().feed(encode(Release("town")))
