"""What is spoken: a file in any format that PyAV reads, or a tone, in real time. Edge (files, clock)."""

import asyncio
import sys
from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from aiortc import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler
from av.container import InputContainer

from signalling.client.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ, SILENCE_DBOV, Samples, level_dbov, tone

LEAD_OUT_FRAMES = 10
"""Silence after the end, so that the last words have left the encoder and every jitter buffer: 200 ms."""


class SourceError(Exception):
    """The file cannot be spoken; the text says why and what to do."""


class PacedTrack(MediaStreamTrack):
    """Frames of 20 ms, handed out when their time has come."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.finished = asyncio.Event()
        self.level_dbov = SILENCE_DBOV
        self._frames_sent = 0
        self._started_s: float | None = None

    @abstractmethod
    async def next_samples(self) -> Samples | None:
        """The next 960 mono samples; None at the end."""

    @property
    def spoken_s(self) -> float:
        return self._frames_sent * FRAME_SAMPLES / SAMPLE_RATE_HZ

    async def recv(self) -> AudioFrame:
        samples = await self.next_samples() if self.readyState == "live" else None
        if samples is None:
            self.finished.set()
            self.stop()
            raise MediaStreamError
        await self._wait_for_its_time()
        self.level_dbov = level_dbov(samples)
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.time_base = Fraction(1, SAMPLE_RATE_HZ)
        frame.pts = self._frames_sent * FRAME_SAMPLES
        self._frames_sent += 1
        return frame

    async def _wait_for_its_time(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._started_s is None:
            self._started_s = now_s
        due_s = self._started_s + self.spoken_s
        if due_s > now_s:
            await asyncio.sleep(due_s - now_s)


class ToneTrack(PacedTrack):
    """A sine of -15 dBov (amplitude 0.25), endless or of `duration_s`."""

    def __init__(self, frequency_hz: float, *, duration_s: float | None = None) -> None:
        super().__init__()
        self._frequency_hz = frequency_hz
        self._frames = None if duration_s is None else round(duration_s * SAMPLE_RATE_HZ / FRAME_SAMPLES)

    async def next_samples(self) -> Samples | None:
        if self._frames is not None and self._frames_sent >= self._frames:
            return None
        return tone(self._frequency_hz, start=self._frames_sent * FRAME_SAMPLES)


class FileTrack(PacedTrack):
    """The audio of a file, or of standard input for `-`, mixed down to mono at 48 kHz. Raises SourceError."""

    def __init__(self, path: str, *, loop: bool = False) -> None:
        super().__init__()
        if loop and path == "-":
            raise SourceError("Standard input cannot be spoken twice: give a file, or leave out --loop.")
        self._path = path
        self._is_looped = loop
        self._samples = read_frames(path)
        self._ahead: Samples | None = next(self._samples, None)
        if self._ahead is None:
            raise SourceError(f"{path} holds no sound: give a file with an audio stream that is not empty.")

    async def next_samples(self) -> Samples | None:
        current = self._ahead
        # Reading may block on a pipe or a slow disk.
        self._ahead = await asyncio.to_thread(self._read_ahead)
        return current

    def stop(self) -> None:
        super().stop()
        self._is_looped = False

    def _read_ahead(self) -> Samples | None:
        samples = next(self._samples, None)
        if samples is None and self._is_looped:
            self._samples = read_frames(self._path)
            samples = next(self._samples, None)
        return samples


def read_frames(path: str) -> Iterator[Samples]:
    """Mono frames of 960 samples at 48 kHz; the last is filled up and silence follows. Raises SourceError at once."""
    container = _open(path)
    if not container.streams.audio:
        container.close()
        raise SourceError(f"{path} has no audio stream: give a file with sound in it.")
    return _decode(container, path)


def _open(path: str) -> InputContainer:
    if path != "-" and not Path(path).is_file():
        raise SourceError(f"There is no file {path}: check the path, or give `-` for standard input.")
    try:
        return av.open(sys.stdin.buffer if path == "-" else path, mode="r")
    except (av.FFmpegError, OSError) as error:
        raise SourceError(
            f"{path} is no audio that PyAV can read ({error.strerror}): try WAV, FLAC, Ogg, MP3 or M4A."
        ) from error


def _decode(container: InputContainer, path: str) -> Iterator[Samples]:
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ, frame_size=FRAME_SAMPLES)
    decoded: AudioFrame | None = None
    with container:
        try:
            for decoded in container.decode(audio=0):
                decoded.pts = None  # gaps and odd starts in a file's clock are not spoken
                for frame in resampler.resample(decoded):
                    yield _whole(frame.to_ndarray()[0])
        except av.FFmpegError as error:
            raise SourceError(f"{path} breaks off: {error.strerror}.") from error
        if decoded is None:
            return  # nothing was said; silence after it would pretend there was
        for frame in resampler.resample(None):
            yield _whole(frame.to_ndarray()[0])
        for _ in range(LEAD_OUT_FRAMES):
            yield np.zeros(FRAME_SAMPLES, np.int16)


def _whole(samples: Samples) -> Samples:
    missing = FRAME_SAMPLES - len(samples)
    return samples if missing == 0 else np.concatenate([samples, np.zeros(missing, np.int16)])
