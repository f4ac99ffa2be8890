"""`palco sfu`: becomes the sfu process. Edge.

Signalling's code knows nothing of the sfu but its contract, so this starts the other program instead of importing it.
"""

import argparse
import os
import sys

from sfu.contract.config import load_config
from signalling.commands.access import add_config_option
from signalling.commands.folders import prepare

EPILOG = """examples:
  palco sfu --config /etc/palco/palco.yaml
  PALCO_CONFIG="$(cat palco.yaml)" palco sfu

The sfu receives and sends the media. It needs signalling beside it, which reads the same configuration:
`palco signalling`; `palco up` starts both."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco sfu",
        description="Start the sfu, Palco's media process, alone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_option(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    prepare(load_config(arguments.config, os.environ))
    config = [] if arguments.config is None else ["--config", str(arguments.config)]
    os.execv(sys.executable, [sys.executable, "-m", "sfu", *config])  # noqa: S606 our own program, no shell
