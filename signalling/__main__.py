"""The `palco` command: finds the part that was asked for, runs it, and tells people what went wrong.

Exit codes: 0 done · 1 it did not work · 2 wrong usage or configuration · 130 interrupted.
"""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Sequence

from sfu.contract.config import ConfigError
from signalling.client.problem import RefusedError
from signalling.commands.failure import CommandFailedError

COMMANDS = {
    "up": "start Palco: sfu and signalling together",
    "signalling": "start signalling alone (HTTP: tokens, spaces, WHIP, WHEP)",
    "sfu": "start the sfu alone (media)",
    "token": "make an access token",
    "publish": "speak a file, a pipe or a tone into a space",
    "listen": "hear a space and record it",
    "spaces": "make, list, show, change, start and end spaces",
    "hands": "see who asks to speak, and answer",
    "mute": "silence somebody on stage",
    "unmute": "lift a mute",
    "mute-all": "silence everybody on stage but the host",
    "promote": "bring somebody on stage",
    "demote": "move somebody back to the audience",
    "invite": "invite somebody to speak",
    "remove": "put somebody out until they get a new token",
    "block": "put somebody out for good",
    "unblock": "lift a block",
    "events": "follow what happens in a space",
    "doctor": "check this machine and say what to do",
}

ACTS = frozenset({"mute", "unmute", "mute-all", "promote", "demote", "invite", "remove", "block", "unblock"})
"""They are one part of the program, `signalling.commands.acts`."""

EPILOG = """examples:
  palco up                                 try it on this machine; prints what to open and type next
  palco up --config /etc/palco/palco.yaml  run it for others
  palco publish talk.mp3                   speak into the running development server
  palco listen -o heard.wav --duration 10  record what its listeners hear
  palco spaces list                        what is live; `palco hands`, `palco mute` … moderate it

`palco COMMAND --help` explains each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        _parser().print_help()
        return 2
    chosen = _parser().parse_args(arguments[:1])
    part = importlib.import_module(f"signalling.commands.{module_of(chosen.command)}")
    try:
        own = arguments if chosen.command in ACTS else arguments[1:]
        return int(part.run(part.build_parser().parse_args(own)))
    except ConfigError as error:
        return _fail(f"the configuration cannot be used: {error}", 2)
    except CommandFailedError as error:
        return _fail(str(error), error.exit_code)
    except RefusedError as error:
        return _fail(str(error), 1)
    except (KeyboardInterrupt, asyncio.CancelledError):  # a second signal cancels what the first asked to end
        return 130


def module_of(command: str) -> str:
    return "acts" if command in ACTS else command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco",
        description="Palco: a self-hosted server for live audio spaces.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, add_help=False)
    return parser


def _fail(text: str, exit_code: int) -> int:
    sys.stderr.write(f"palco: {text}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
