"""`palco token`: makes an access token and prints it, alone, on standard output. Edge."""

import argparse
import os
import secrets
import sys

import msgspec

from signalling.commands.access import ROLE_GRANTS, add_config_option, find_issuer, make_token, parse_duration_s
from signalling.commands.failure import CommandFailedError
from signalling.tokens import Grants, PalcoGrants

GRANT_FLAGS = {
    "room-join": "enter the space",
    "room-create": "create spaces",
    "room-list": "see all spaces",
    "room-admin": "moderate the space: mute, remove, promote",
    "can-publish": "speak: on stage at once",
    "can-subscribe": "hear",
    "hidden": "be left out of the roster",
    "recorder": "record: while its session stands, everybody is told that the space is recorded",
}

PALCO_FLAGS = {
    "operator": "act for the operator: end any space, ban, read reports, webhooks and the audit trail",
    "captions": "publish captions of the space",
}

EPILOG = """examples:
  palco token --space demo --role host --identity anna
  palco token --space demo --role speaker --identity ben --ttl 2h
  palco token --room-create --room-list --identity backend
  palco token --operator --identity on-duty --ttl 1h
  curl -H "Authorization: Bearer $(palco token --room-list)" http://127.0.0.1:7880/v1/spaces

The keys come from --config or PALCO_CONFIG, from PALCO_KEY and PALCO_SECRET, or from the development server that
runs on this machine (`palco up`). LiveKit's server SDKs make the same tokens."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco token",
        description="Make an access token: a JWT that says who may do what in which space.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--space", help="the space it is good for (default in development: demo)")
    parser.add_argument("--identity", help="who it is for; one identity is one person (default: a new one)")
    parser.add_argument("--name", help="the name that others see (default: the identity)")
    parser.add_argument(
        "--role",
        choices=list(ROLE_GRANTS),
        help="host: all in the space; speaker: speak and hear; listener: hear (default without grant flags)",
    )
    parser.add_argument(
        "--ttl",
        type=parse_duration_s,
        default=6 * 3600.0,
        metavar="TIME",
        help="how long it is good: 30m, 6h (default), 7d",
    )
    parser.add_argument("--key", help="which of the configuration's keys signs (default: the first)")
    add_config_option(parser)
    grants = parser.add_argument_group("grants, in addition to the role's")
    for flag, meaning in {**GRANT_FLAGS, **PALCO_FLAGS}.items():
        grants.add_argument(f"--{flag}", action="store_true", help=meaning)
    return parser


def run(arguments: argparse.Namespace) -> int:
    issuer = find_issuer(arguments.config, os.environ, url=None, key=arguments.key)
    if issuer is None:
        raise CommandFailedError(
            "No keys to sign with: give --config FILE, set PALCO_KEY and PALCO_SECRET, or start a development server "
            "with `palco up`."
        )
    grants = chosen_grants(arguments)
    space = arguments.space or issuer.space
    if not space and (grants.room_join or grants.room_admin):
        raise CommandFailedError("Which space is it good for? Name it with --space.", exit_code=2)
    identity = arguments.identity or f"{arguments.role or 'guest'}-{secrets.token_hex(3)}"
    token = make_token(
        issuer,
        grants,
        space=space,
        identity=identity,
        name=arguments.name,
        ttl_s=arguments.ttl,
        palco=chosen_palco_grants(arguments),
    )
    sys.stdout.write(f"{token}\n")
    return 0


def chosen_palco_grants(arguments: argparse.Namespace) -> PalcoGrants | None:
    """None where no flag asks for any, so that the token has no such claim."""
    if not (arguments.operator or arguments.captions):
        return None
    return PalcoGrants(operator=arguments.operator, captions=arguments.captions)


def chosen_grants(arguments: argparse.Namespace) -> Grants:
    """The role's grants and those of the flags; a listener's where neither is given."""
    flagged = {
        name: getattr(arguments, name) for flag in GRANT_FLAGS if getattr(arguments, name := flag.replace("-", "_"))
    }
    role = arguments.role or (None if flagged or arguments.operator else "listener")
    granted = ROLE_GRANTS[role] if role else Grants(can_subscribe=False)
    return msgspec.structs.replace(granted, **flagged)
