"""Opus by libopus: decode, conceal, recover, encode, without a copy. Pure (the library, once loaded, only computes).

Per packet; guarded by `benchmarks/mixer.py`. Samples are interleaved float32 at 48 kHz, given by address; whoever gives
an address promises the room. Bytes of strangers are decoded here, so this module runs in mixer processes only.
"""

import ctypes
from collections.abc import Callable
from ctypes import byref, c_int, c_int32

from sfu.audio.contract import Sound
from sfu.audio.packets import RATE_HZ
from sfu.errors import Bug

MAX_ENCODED_BYTES = 1275 + 1
"""One frame with its TOC byte."""

MAX_PAYLOAD_BYTES = 61_296
"""The longest packet that there may be: 48 frames of 1,275 bytes, 47 sizes of two, the TOC and the count; padding
aside. A datagram is shorter."""

_APPLICATIONS = {"voip": 2048, "audio": 2049}
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS = 4002, 4010, 4012, 4014
_GET_LOOKAHEAD = 4027
_RESET = 4028
"""opus_defines.h."""

LOOKAHEAD = 312
"""Samples by which an encoder's output lags behind its input, 6.5 ms; the same for both applications at 48 kHz."""


class Meter:
    """Seconds spent in libopus, counting up; the clock is the edge's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.decode_s = 0.0
        self.encode_s = 0.0


class Opus:
    """Makes the decoders and encoders of one process."""

    def __init__(self, library: ctypes.CDLL, meter: Meter) -> None:
        self.library = library
        self.meter = meter

    @property
    def version(self) -> str:
        return str(self.library.opus_get_version_string().decode())

    def make_decoder(self, channels: int) -> "Decoder":
        return Decoder(self.library, self.meter, channels=channels)

    def make_encoder(self, sound: Sound) -> "Encoder":
        return Encoder(self.library, self.meter, sound=sound)


class Decoder:
    """One stream's. Every call writes at `address`, where there is `room` for so many samples of each channel, and
    returns the samples (of each channel) written; 0: refused.

    What libopus refuses leaves its state as it was; a refusal is no exception, for strangers could cause any number.
    What asks for more than there is room, or for what no Opus packet is, does not come as far as libopus.
    """

    def __init__(self, library: ctypes.CDLL, meter: Meter, *, channels: int) -> None:
        self._library = library
        self._decode = library.opus_decode_float
        self._meter = meter
        error = c_int()
        self._state = library.opus_decoder_create(RATE_HZ, channels, byref(error))
        if not self._state:
            raise Bug("libopus makes no decoder", error=_text(library, error.value), channels=channels)

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_decoder_destroy(state)

    def decode(self, payload: bytes, address: int, *, room: int) -> int:
        if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
            return 0
        return self._call(payload, len(payload), address, samples=room, fec=0)

    def recover(self, following: bytes, address: int, *, samples: int, room: int) -> int:
        """The packet before `following`, from its coarse copy in there; concealed where there is none."""
        if not 0 < len(following) <= MAX_PAYLOAD_BYTES or not 0 < samples <= room:
            return 0
        return self._call(following, len(following), address, samples=samples, fec=1)

    def conceal(self, address: int, *, samples: int, room: int) -> int:
        """What might have followed; fades to silence when asked again and again. A multiple of 2.5 ms."""
        if not 0 < samples <= room:
            return 0
        return self._call(None, 0, address, samples=samples, fec=0)

    def reset(self) -> None:
        _control(self._library, self._library.opus_decoder_ctl, self._state, _RESET)

    def _call(self, payload: bytes | None, size: int, address: int, *, samples: int, fec: int) -> int:
        meter = self._meter
        began = meter.clock()
        written: int = self._decode(self._state, payload, size, address, samples, fec)
        meter.decode_s += meter.clock() - began
        return max(written, 0)


class Encoder:
    """One mix's, 20 ms at a time."""

    def __init__(self, library: ctypes.CDLL, meter: Meter, *, sound: Sound) -> None:
        self._library = library
        self._encode = library.opus_encode_float
        self._meter = meter
        self._out = (ctypes.c_ubyte * MAX_ENCODED_BYTES)()
        self._out_address = ctypes.addressof(self._out)
        self._out_view = memoryview(self._out).cast("B")
        error = c_int()
        application = _APPLICATIONS[sound.application]
        self._state = library.opus_encoder_create(RATE_HZ, sound.channels, application, byref(error))
        if not self._state:
            raise Bug("libopus makes no encoder", error=_text(library, error.value), channels=sound.channels)
        for request, value in (
            (_SET_BITRATE, sound.bitrate),
            (_SET_COMPLEXITY, sound.complexity),
            (_SET_FEC, int(sound.expected_loss_percent > 0)),
            (_SET_LOSS, sound.expected_loss_percent),
        ):
            self._set(request, value)

    def __del__(self) -> None:
        if state := getattr(self, "_state", None):
            self._library.opus_encoder_destroy(state)

    @property
    def lookahead(self) -> int:
        value = c_int32()
        _control(self._library, self._library.opus_encoder_ctl, self._state, _GET_LOOKAHEAD, byref(value))
        return value.value

    def encode(self, address: int, *, samples: int) -> bytes:
        """One packet of `samples` of each channel."""
        meter = self._meter
        began = meter.clock()
        size: int = self._encode(self._state, address, samples, self._out_address, MAX_ENCODED_BYTES)
        meter.encode_s += meter.clock() - began
        if size <= 0:
            raise Bug("libopus does not encode", error=_text(self._library, size), samples=samples)
        return self._out_view[:size].tobytes()

    def forget(self) -> None:
        """Begins anew, as if nothing had been encoded; the settings stay."""
        _control(self._library, self._library.opus_encoder_ctl, self._state, _RESET)

    def _set(self, request: int, value: int) -> None:
        _control(self._library, self._library.opus_encoder_ctl, self._state, request, c_int32(value))


def _control(library: ctypes.CDLL, call: Callable[..., int], state: int, request: int, *arguments: object) -> None:
    result = call(ctypes.c_void_p(state), c_int(request), *arguments)
    if result != 0:
        raise Bug("libopus refuses a setting", error=_text(library, result), request=request)


def _text(library: ctypes.CDLL, error: int) -> str:
    return str(library.opus_strerror(error).decode())
