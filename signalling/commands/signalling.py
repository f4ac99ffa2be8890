"""`palco signalling`: the HTTP process, alone. Edge."""

import argparse
import os

from sfu.contract.config import load_config
from signalling.commands.access import add_config_option
from signalling.commands.failure import CommandFailedError
from signalling.commands.folders import prepare
from signalling.server import main

EPILOG = """examples:
  palco signalling --config /etc/palco/palco.yaml
  PALCO_CONFIG="$(cat palco.yaml)" palco signalling

Signalling decides: tokens, spaces, WHIP and WHEP, moderation, events. It needs the sfu beside it, which reads the same
configuration: `palco sfu`; `palco up` starts both. It may be restarted at any time: whoever speaks goes on speaking."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco signalling",
        description="Start signalling, Palco's HTTP process, alone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_option(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, os.environ)
    prepare(config)
    try:
        main(config, lambda: load_config(arguments.config, os.environ))
    except OSError as error:
        where = ", ".join(f"{address} port {config.port}" for address in config.bind_addresses)
        raise CommandFailedError(
            f"signalling cannot serve {where} ({error.strerror or error}); `palco doctor` says what stands in the way."
        ) from error
    return 0
