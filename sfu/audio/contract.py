"""The protocol between the sfu and its mixer processes. Pure.

A mixer process inherits one end of a stream socket; frames are those of `sfu.contract.wire`: four bytes of length, then
msgpack. The sfu says what there is to mix; the mixer beats once for every frame (20 ms) and says what it found. It
answers nothing and refuses nothing: what names a space that has just gone is no error. When the socket closes, it ends.

Media takes another way: plain RTP over Unix datagram sockets, one pair for each space (`Taps`).
"""

from typing import Literal

import msgspec
from msgspec import Struct, field

from sfu.contract.wire import HEADER_BYTES, FrameReader, WireError

MAX_FRAME_BYTES = 1 << 20

Application = Literal["audio", "voip"]


class Sound(Struct, frozen=True, kw_only=True):
    """How a mix is encoded; the defaults are good for speech and fair for music, in mono."""

    bitrate: int = 48_000
    complexity: int = 9
    channels: Literal[1, 2] = 1
    application: Application = "audio"
    """`audio` lets libopus tell speech from music by itself (at complexity 7 and more) and choose the mode."""
    expected_loss_percent: int = 0
    """Above 0 each packet carries its predecessor once more, coarsely (in-band FEC), at the expense of its own bits."""


class Settings(Struct, frozen=True, kw_only=True):
    """Of one space's mix."""

    sound: Sound = Sound()
    is_levelled: bool = True
    """Automatic gain, where several speak."""
    frames_per_packet: Literal[1, 2, 3] = 1
    """More for very large audiences: fewer packets, 20 or 40 ms later."""
    payload_type: int = 111


class Taps(Struct, frozen=True):
    """Paths of a space's two sockets, by who listens there."""

    mixer: str
    sfu: str


class Totals(Struct):
    """Of a space, counting up, but for what ends in `_now`."""

    packets_in: int = 0
    unknown: int = 0
    late: int = 0
    lost: int = 0
    malformed: int = 0
    refused: int = 0
    """Packets that libopus did not take."""
    concealed_samples: int = 0
    recovered_samples: int = 0
    """From redundancy in the next packet (in-band FEC)."""
    frames_silence: int = 0
    frames_voice: int = 0
    frames_mix: int = 0
    frames_main: int = 0
    """Frames of all its programs, by where they came from (see `program`)."""
    voices_now: int = 0
    target_s_now: float = 0.0
    """The longest of its speakers' jitter buffers'."""


SPENT_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02)
TARGET_BOUNDS_S = (0.03, 0.04, 0.05, 0.06, 0.08, 0.1)


class Histogram(Struct):
    """How many values did not exceed each bound, the last count being of those beyond all; and their sum."""

    counts: list[int]
    sum: float = 0.0


# To the mixer


class Assign(Struct, frozen=True, tag="assign"):
    """A new space. `number` is what the process notes while it works on it (see `supervisor`)."""

    space: str
    number: int
    taps: Taps
    settings: Settings


class Release(Struct, frozen=True, tag="release"):
    space: str


class SetVoice(Struct, frozen=True, tag="set_voice"):
    """A track of the stage and its gate. `red_payload_type`: packets of this type are RED (RFC 2198)."""

    space: str
    ssrc: int
    is_open: bool
    red_payload_type: int | None = None


class RemoveVoice(Struct, frozen=True, tag="remove_voice"):
    space: str
    ssrc: int


class AddProgram(Struct, frozen=True, tag="add_program"):
    """A stream for one audience: all voices, or all `without` the one that listens. That of all comes before any
    other."""

    space: str
    ssrc: int
    without: int | None


class RemoveProgram(Struct, frozen=True, tag="remove_program"):
    space: str
    ssrc: int


class Sync(Struct, frozen=True, tag="sync"):
    """Asks for `Synced` with the same number: all before it is obeyed, in every packet that is sent after it."""

    number: int


ToMixer = Assign | Release | SetVoice | RemoveVoice | AddProgram | RemoveProgram | Sync


# From the mixer


class Ready(Struct, frozen=True, tag="ready"):
    libopus: str


class Beat(Struct, frozen=True, tag="beat"):
    """A frame of all spaces is done. `warm` are those that have just run long enough to be listened to."""

    warm: tuple[str, ...] = ()


class Synced(Struct, frozen=True, tag="synced"):
    number: int


class Failed(Struct, frozen=True, tag="failed"):
    """The mixer gave up a space by its own fault, and knows it no more."""

    space: str
    reason: str


class Levels(Struct, frozen=True, tag="levels"):
    """(SSRC, dBov) of voices whose own packets do not say how loud they are; ten times a second."""

    space: str
    levels: tuple[tuple[int, float], ...]


class Watched(Struct, frozen=True, tag="watched"):
    """Once a second; counts up since the process began."""

    spaces: dict[str, Totals]
    """Those that it has."""
    frames: int
    skipped_frames: int
    unsent: int
    """Datagrams that the sfu's socket had no room for."""
    decode_s: float
    encode_s: float
    mix_s: float
    """All else within frames."""
    gone: Totals = field(default_factory=Totals)
    """The sum of those that it had."""
    spent: dict[str, Histogram] = field(default_factory=dict)
    """`decode`, `mix` and `encode` of one space in one frame; `frame`, all spaces in one. Bounds: SPENT_BOUNDS_S."""
    targets: Histogram = field(default_factory=lambda: Histogram([]))
    """Each space's longest jitter-buffer target, once a second. Bounds: TARGET_BOUNDS_S."""


FromMixer = Ready | Beat | Synced | Failed | Levels | Watched

_encoder = msgspec.msgpack.Encoder()
_to_mixer = msgspec.msgpack.Decoder(ToMixer)
_from_mixer = msgspec.msgpack.Decoder(FromMixer)


def encode(message: ToMixer | FromMixer) -> bytes:
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class ToMixerReader:
    def __init__(self) -> None:
        self._frames = FrameReader(max_frame_bytes=MAX_FRAME_BYTES)

    def feed(self, chunk: bytes) -> list[ToMixer]:
        """The messages completed by `chunk`. Raises WireError when the stream is beyond use."""
        try:
            return [_to_mixer.decode(frame) for frame in self._frames.feed(chunk)]
        except msgspec.DecodeError as error:
            raise WireError(str(error)) from error


class FromMixerReader:
    def __init__(self) -> None:
        self._frames = FrameReader(max_frame_bytes=MAX_FRAME_BYTES)

    def feed(self, chunk: bytes) -> list[FromMixer]:
        """As `ToMixerReader.feed`."""
        try:
            return [_from_mixer.decode(frame) for frame in self._frames.feed(chunk)]
        except msgspec.DecodeError as error:
            raise WireError(str(error)) from error
