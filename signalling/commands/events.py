"""`palco events`: follows what happens in a space, a line for each event. Edge."""

import argparse
import asyncio

import msgspec

from signalling.client.calls import PalcoClient
from signalling.client.events import Event
from signalling.commands.calling import add_server_options, call, say, say_json
from signalling.commands.interrupt import stop_on_signal

EPILOG = """examples:
  palco events town-hall                                      until it ends, or Ctrl-C
  palco events town-hall --only participant.joined --only participant.left
  palco events town-hall --json | jq .data                    for programs: one JSON object a line
  palco events town-hall --after 3f9a1c0d-1042                what was missed since an earlier run, then what comes

After a break of the connection it goes on where it was. Each line ends with the cursor that --after takes."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco events",
        description="Follow what happens in a space.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("space", help="the space's id")
    parser.add_argument("--only", action="append", metavar="TYPE", help="show only events of this type; repeat it")
    parser.add_argument("--after", metavar="CURSOR", help="go on after an earlier event")
    add_server_options(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    return call(arguments, lambda client: _follow(client, arguments), space=arguments.space)


async def _follow(client: PalcoClient, arguments: argparse.Namespace) -> None:
    with stop_on_signal() as stop:
        reading = asyncio.ensure_future(_read(client, arguments))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not reading.done():
            reading.cancel()
            return
        await reading  # raises what went wrong


async def _read(client: PalcoClient, arguments: argparse.Namespace) -> None:
    async for event in client.events(arguments.space, after=arguments.after):
        if arguments.only and event.type not in arguments.only:
            continue
        if arguments.json:
            say_json(event)
        else:
            say(event_line(event))


def event_line(event: Event) -> str:
    """`17:05:00  participant.left  {"identity":"bob"}  3f9a1c0d-1042`"""
    text = msgspec.json.encode(event.data).decode()
    return f"{event.ts[11:19]}  {event.type.ljust(20)}  {text}  {event.cursor}"
