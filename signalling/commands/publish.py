"""`palco publish`: speaks a file, a pipe or a tone into a space as a WHIP client. Edge."""

import argparse
import asyncio

from rich.console import Console

from signalling.client.peer import ConnectFailedError
from signalling.client.resource import Place
from signalling.client.session import Speaking, publish
from signalling.client.sources import FileTrack, PacedTrack, SourceError, ToneTrack
from signalling.commands.access import add_place_options, find_place, parse_duration_s
from signalling.commands.failure import CommandFailedError
from signalling.commands.interrupt import stop_on_signal
from signalling.commands.progress import Progress

EPILOG = """examples:
  palco publish talk.mp3                              into the development server's space
  palco publish talk.wav --space demo --loop          again and again, until Ctrl-C
  palco publish --tone 440 --duration 10              ten seconds of a tone
  arecord -f cd | palco publish - --space demo        a microphone
  palco publish talk.ogg --url https://palco.example --space hall --token "$TOKEN"

Any sound that FFmpeg's libraries read will do. What is spoken goes out in real time; Ctrl-C leaves the space."""

INTERVAL_S = 0.25


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco publish",
        description="Speak a file, a pipe or a tone into a space.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="a sound file, or - for standard input")
    parser.add_argument("--tone", type=float, metavar="HZ", help="speak a sine of this frequency instead of a file")
    parser.add_argument("--loop", action="store_true", help="begin again at the end of the file")
    parser.add_argument("--duration", type=parse_duration_s, metavar="TIME", help="stop after this time (30s, 5m)")
    _add_patience(parser)
    add_place_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    if (arguments.file is None) == (arguments.tone is None):
        raise CommandFailedError("Say what to speak: a FILE (- for standard input), or --tone HZ.", exit_code=2)
    try:
        asyncio.run(_speak(find_place(arguments, "speaker"), arguments))
    except (SourceError, ConnectFailedError) as error:
        raise CommandFailedError(str(error)) from error
    return 0


async def _speak(place: Place, arguments: argparse.Namespace) -> None:
    console = Console(stderr=True)
    track = ToneTrack(arguments.tone) if arguments.file is None else FileTrack(arguments.file, loop=arguments.loop)
    source = "standard input" if arguments.file == "-" else arguments.file
    what = f"a tone of {arguments.tone:g} Hz" if arguments.file is None else source
    try:
        with stop_on_signal() as stop:
            console.print(f"Connecting to space {place.space!r} at {place.url} ...", highlight=False)
            async with publish(place, track, patience_s=arguments.patience) as speaking:
                console.print(f"On stage, speaking {what}. Ctrl-C leaves.", highlight=False)
                await _until_done(speaking, track, stop, console, duration_s=arguments.duration)
    finally:
        track.stop()


async def _until_done(
    speaking: Speaking, track: PacedTrack, stop: asyncio.Event, console: Console, *, duration_s: float | None
) -> None:
    with Progress(console) as progress:
        while not (stop.is_set() or track.finished.is_set() or speaking.peer.connectionState != "connected"):
            progress.show(await speaking.statistics(), level_dbov=track.level_dbov)
            if duration_s is not None and progress.elapsed_s >= duration_s:
                break
            await _either(stop, track.finished, timeout_s=INTERVAL_S)
        progress.show(await speaking.statistics(), level_dbov=track.level_dbov, is_last=True)
    if not (stop.is_set() or track.finished.is_set()) and speaking.peer.connectionState != "connected":
        raise CommandFailedError("The server ended the session: removed by a host, or the space was closed.")


async def _either(*events: asyncio.Event, timeout_s: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def _add_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patience",
        type=parse_duration_s,
        default=10.0,
        metavar="TIME",
        help="how long to ask again when the server is busy or restarting (default 10s)",
    )
