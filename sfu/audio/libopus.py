"""Finds and loads libopus itself. Edge (files, a shared library).

PyAV decodes and encodes Opus but reaches neither concealment nor in-band redundancy, nor a decoder's state. Its wheels
carry a libopus of their own, though, as a plain shared library that depends on nothing but libc and libm: it is on
every machine where Palco is installed, newer than what distributions ship (1.6 against 1.3 in Debian 12), and pinned
with PyAV by the lock. So that one is loaded; where PyAV was built from source, against the system's libraries, the
system's libopus is. A crate that builds libopus was the other way: it wants cmake and C sources on every builder, and
gains nothing.
"""

import ctypes
import importlib.util
from ctypes import POINTER, c_char_p, c_int, c_int32, c_void_p
from ctypes.util import find_library
from pathlib import Path

from sfu.errors import StartError

_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "opus_get_version_string": (c_char_p, []),
    "opus_strerror": (c_char_p, [c_int]),
    "opus_decoder_create": (c_void_p, [c_int32, c_int, POINTER(c_int)]),
    "opus_decoder_destroy": (None, [c_void_p]),
    "opus_decode_float": (c_int, [c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int]),
    "opus_encoder_create": (c_void_p, [c_int32, c_int, c_int, POINTER(c_int)]),
    "opus_encoder_destroy": (None, [c_void_p]),
    "opus_encode_float": (c_int32, [c_void_p, c_void_p, c_int, c_void_p, c_int32]),
}
"""Declared but for the two variadic `ctl` calls, whose arguments each use converts."""

_CTLS = ("opus_decoder_ctl", "opus_encoder_ctl")


def load(places: list[str] | None = None) -> ctypes.CDLL:
    """The first libopus that has what is needed, its calls typed. Raises StartError."""
    tried = []
    for place in where() if places is None else places:
        try:
            return _typed(ctypes.CDLL(place))
        except (OSError, AttributeError) as error:
            tried.append(f"{place}: {error}")
    found = "; ".join(tried) or "neither beside PyAV nor in the system is one"
    raise StartError(f"no libopus for the mixer ({found}); reinstall PyAV from its wheel, or install libopus0")


def where() -> list[str]:
    """Where to look, best first: beside the PyAV wheel (Linux: av.libs, macOS: av/.dylibs), then the system."""
    places: list[str] = []
    spec = importlib.util.find_spec("av")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for directory in (package.parent / "av.libs", package / ".dylibs"):
            places += sorted(str(path) for path in directory.glob("libopus[-.]*"))
    if (system := find_library("opus")) is not None:
        places.append(system)
    return places


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    for name, (result, arguments) in _SIGNATURES.items():
        call = getattr(library, name)
        call.restype, call.argtypes = result, arguments
    for name in _CTLS:
        getattr(library, name).restype = c_int
    return library
