"""`palco listen`: hears a space as a WHEP client and records it. Edge."""

import argparse
import asyncio
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from aiortc import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from rich.console import Console

from signalling.client.peer import ConnectFailedError
from signalling.client.recording import Recording, RecordingError
from signalling.client.resource import Place
from signalling.client.session import Listening, listen
from signalling.client.sound import SILENCE_DBOV, Samples, Timeline, level_dbov
from signalling.commands.access import add_place_options, find_place, parse_duration_s
from signalling.commands.failure import CommandFailedError
from signalling.commands.interrupt import stop_on_signal
from signalling.commands.progress import Progress

EPILOG = """examples:
  palco listen                                        only watch the level, in the development server's space
  palco listen -o heard.wav --duration 30             record half a minute
  palco listen -o talk.ogg --space demo               Ogg Opus, until Ctrl-C
  palco listen -o talk.wav --slots 3                  the three loudest, in talk-1.wav, talk-2.wav, talk-3.wav
  palco listen -o talk.wav --slots 3 --mix            the three loudest in one file

With one slot a space sends its mix, or its loudest speaker. The recording begins when the session stands; where
nobody spoke it is silent."""

INTERVAL_S = 0.25

MARGIN_S = 1.0
"""What the recording runs behind, so that slots which arrive a little apart land in their places."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco listen",
        description="Hear a space, and record it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="record into FILE: .wav, .ogg or .opus")
    parser.add_argument("--duration", type=parse_duration_s, metavar="TIME", help="stop after this time (30s, 5m)")
    parser.add_argument(
        "--slots", type=int, default=1, metavar="K", help="hear the K loudest speakers apart (default 1)"
    )
    parser.add_argument("--mix", action="store_true", help="with --slots: record all slots into one file")
    parser.add_argument(
        "--patience",
        type=parse_duration_s,
        default=10.0,
        metavar="TIME",
        help="how long to ask again when the server is busy or nobody speaks yet (default 10s)",
    )
    add_place_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.slots <= 32:
        raise CommandFailedError("--slots takes a number from 1 to 32.", exit_code=2)
    try:
        asyncio.run(_hear(find_place(arguments, "listener"), arguments))
    except (ConnectFailedError, RecordingError) as error:
        raise CommandFailedError(str(error)) from error
    return 0


def recording_paths(output: Path | None, *, slots: int, is_mixed: bool) -> list[Path]:
    """The files to write: none, one, or one for each slot."""
    if output is None:
        return []
    if slots == 1 or is_mixed:
        return [output]
    return [output.with_name(f"{output.stem}-{number}{output.suffix}") for number in range(1, slots + 1)]


class Tape:
    """What the slots say, on the way into the files; remembers how loud it was last."""

    def __init__(self, recordings: list[Recording]) -> None:
        self._recordings = recordings
        self._timelines = [Timeline(margin_s=MARGIN_S) for _ in recordings]
        self._level_dbov = SILENCE_DBOV

    def on_frame(self, slot: int, samples: Samples, *, timestamp: int, now_s: float) -> None:
        self._level_dbov = max(self._level_dbov, level_dbov(samples))
        if self._timelines:
            timeline = self._timelines[slot if len(self._timelines) > 1 else 0]
            timeline.on_frame(slot, samples, timestamp=timestamp, now_s=now_s)

    def flush(self, now_s: float) -> None:
        for recording, timeline in zip(self._recordings, self._timelines, strict=True):
            recording.write(timeline.take(now_s))

    def take_level_dbov(self) -> float:
        """The loudest frame since the last call."""
        level, self._level_dbov = self._level_dbov, SILENCE_DBOV
        return level


async def _hear(place: Place, arguments: argparse.Namespace) -> None:
    console = Console(stderr=True)
    paths = recording_paths(arguments.output, slots=arguments.slots, is_mixed=arguments.mix)
    with stop_on_signal() as stop, ExitStack() as files:
        recordings = [files.enter_context(Recording(path)) for path in paths]
        console.print(f"Connecting to space {place.space!r} at {place.url} ...", highlight=False)
        async with listen(place, slots=arguments.slots, patience_s=arguments.patience) as listening:
            into = f", recording into {', '.join(map(str, paths))}" if paths else ""
            console.print(f"Listening{into}. Ctrl-C stops.", highlight=False)
            await _record(listening, Tape(recordings), stop, console, duration_s=arguments.duration)


async def _record(
    listening: Listening, tape: Tape, stop: asyncio.Event, console: Console, *, duration_s: float | None
) -> None:
    level = SILENCE_DBOV
    with Progress(console) as progress:
        readers = [
            asyncio.create_task(_read(track, slot, tape, progress)) for slot, track in enumerate(listening.tracks)
        ]
        try:
            while not stop.is_set() and listening.peer.connectionState == "connected":
                left_s = INTERVAL_S if duration_s is None else min(INTERVAL_S, duration_s - progress.elapsed_s)
                if left_s <= 0:
                    break
                await _wait(stop, left_s)
                tape.flush(progress.elapsed_s)
                level = tape.take_level_dbov()
                progress.show(await listening.statistics(), level_dbov=level)
            ended_s = progress.elapsed_s if duration_s is None else min(progress.elapsed_s, duration_s)
            tape.flush(ended_s + MARGIN_S)
            progress.show(await listening.statistics(), level_dbov=level, is_last=True)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    if listening.peer.connectionState != "connected" and not stop.is_set():
        raise CommandFailedError("The server ended the session: removed by a host, or the space was closed.")


async def _read(track: MediaStreamTrack, slot: int, tape: Tape, progress: Progress) -> None:
    try:
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)  # noqa: S101 an audio track's
            samples = frame.to_ndarray().astype(np.int16, copy=False).reshape(-1, len(frame.layout.channels))
            tape.on_frame(slot, samples, timestamp=frame.pts or 0, now_s=progress.elapsed_s)
    except MediaStreamError:
        return  # the session ended


async def _wait(stop: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), timeout_s)
    except TimeoutError:
        return
