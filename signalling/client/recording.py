"""Sound into a file: WAV or Ogg Opus, by the file's name. Edge (files)."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av import AudioFrame
from av.audio.stream import AudioStream

from signalling.client.sound import SAMPLE_RATE_HZ, Samples

CODECS = {".wav": ("wav", "pcm_s16le"), ".ogg": ("ogg", "libopus"), ".opus": ("ogg", "libopus")}


class RecordingError(Exception):
    """The file cannot be written; the text says why and what to do."""


class Recording:
    """A stereo file at 48 kHz; use as a context manager, or the file has no proper end. Raises RecordingError."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in CODECS:
            raise RecordingError(f"{path} has an ending that says no format: use {', '.join(CODECS)}.")
        container_format, codec = CODECS[path.suffix.lower()]
        try:
            self._container = av.open(str(path), mode="w", format=container_format)
            stream = self._container.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="stereo")
            self._container.start_encoding()  # opens the file now, not at the first sound
        except (OSError, av.FFmpegError) as error:
            raise RecordingError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
        assert isinstance(stream, AudioStream)  # noqa: S101 narrows what add_stream says of an audio codec
        self._stream = stream
        self._written = 0

    @property
    def duration_s(self) -> float:
        return self._written / SAMPLE_RATE_HZ

    def write(self, samples: Samples) -> None:
        """Stereo samples, shape (frames, 2)."""
        if not len(samples):
            return
        interleaved = np.ascontiguousarray(samples).reshape(1, -1)
        frame = AudioFrame.from_ndarray(interleaved, format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        frame.pts = self._written
        self._container.mux(self._stream.encode(frame))
        self._written += len(samples)

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
