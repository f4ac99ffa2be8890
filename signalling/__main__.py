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
    "doctor": "check this machine and say what to do",
}

EPILOG = """examples:
  palco up                                 try it on this machine; prints what to open and type next
  palco up --config /etc/palco/palco.yaml  run it for others
  palco publish talk.mp3                   speak into the running development server
  palco listen -o heard.wav --duration 10  record what its listeners hear

`palco COMMAND --help` explains each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        _parser().print_help()
        return 2
    chosen = _parser().parse_args(arguments[:1])
    part = importlib.import_module(f"signalling.commands.{chosen.command}")
    try:
        return int(part.run(part.build_parser().parse_args(arguments[1:])))
    except ConfigError as error:
        return _fail(f"the configuration cannot be used: {error}", 2)
    except CommandFailedError as error:
        return _fail(str(error), error.exit_code)
    except RefusedError as error:
        return _fail(str(error), 1)
    except (KeyboardInterrupt, asyncio.CancelledError):  # a second signal cancels what the first asked to end
        return 130


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
