"""Where a command goes and with which token: flags, environment, configuration, or the development server. Edge."""

import argparse
import os
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from sfu.contract.config import load_config
from signalling.addresses import server_url
from signalling.client.resource import Place
from signalling.commands.development import Note, find_note
from signalling.commands.failure import CommandFailedError
from signalling.tokens import Grants, PalcoGrants, mint

DEFAULT_URL = "http://127.0.0.1:7880"

CLIENT_TOKEN_TTL_S = 6 * 3600.0

ROLE_GRANTS = {
    "host": Grants(room_join=True, room_create=True, room_admin=True, can_publish=True, can_subscribe=True),
    "speaker": Grants(room_join=True, can_publish=True, can_subscribe=True),
    "listener": Grants(room_join=True, can_publish=False, can_subscribe=True),
}


class Issuer(Struct, frozen=True):
    """Who may sign tokens, and where they are good."""

    key: str
    secret: str
    url: str
    space: str | None = None
    """The space to go to when none is named; only a development server has one."""


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the YAML that the server runs with (else PALCO_CONFIG holds it)"
    )


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """`--url --space --token --identity --name --config`: where to go, and as whom."""
    place = parser.add_argument_group("where, and as whom")
    place.add_argument("--url", help="the server's address (PALCO_URL; default: the development server running here)")
    place.add_argument("--space", help="the space's id (default in development: demo)")
    place.add_argument("--token", help="an access token (PALCO_TOKEN; default: one is made with the keys found)")
    place.add_argument("--identity", help="who you are, in a token that is made (default: a new one each time)")
    place.add_argument("--name", help="your name as others see it, in a token that is made")
    add_config_option(parser)


def find_place(arguments: argparse.Namespace, role: str, environ: Mapping[str, str] = os.environ) -> Place:
    """The place that the options name, with a token of `role` made where none is given. Raises CommandFailedError."""
    token = arguments.token or environ.get("PALCO_TOKEN")
    url = arguments.url or environ.get("PALCO_URL")
    if token and arguments.space:
        note = None if url else find_note(environ)
        return Place(url=url or (note.url if note else DEFAULT_URL), space=arguments.space, token=token)
    issuer = find_issuer(arguments.config, environ, url=url, key=None)
    if issuer is None:
        raise CommandFailedError(_how_to_get_in(url))
    space = arguments.space or issuer.space
    if not space:
        raise CommandFailedError("Which space? Name it with --space.", exit_code=2)
    if not token:
        identity = arguments.identity or f"{role}-{secrets.token_hex(3)}"
        token = make_token(
            issuer, ROLE_GRANTS[role], space=space, identity=identity, name=arguments.name, ttl_s=CLIENT_TOKEN_TTL_S
        )
    return Place(url=url or issuer.url, space=space, token=token)


def find_issuer(
    config_path: Path | None, environ: Mapping[str, str], *, url: str | None, key: str | None
) -> Issuer | None:
    """The first that is there of: the configuration given, PALCO_KEY with PALCO_SECRET, the development server."""
    if config_path is not None or environ.get("PALCO_CONFIG"):
        config = load_config(config_path, environ)
        name = key or next(iter(config.keys))
        if name not in config.keys:
            known = ", ".join(config.keys)
            raise CommandFailedError(f"The configuration has no key {name!r}, only {known}.", exit_code=2)
        return Issuer(key=name, secret=config.keys[name], url=url or server_url(config))
    if environ.get("PALCO_KEY") and environ.get("PALCO_SECRET"):
        return Issuer(key=environ["PALCO_KEY"], secret=environ["PALCO_SECRET"], url=url or DEFAULT_URL)
    note = find_note(environ, url=url)
    return issuer_of(note) if note else None


def issuer_of(note: Note) -> Issuer:
    config = load_config(None, {"PALCO_CONFIG": note.config})
    key, secret = next(iter(config.keys.items()))
    return Issuer(key=key, secret=secret, url=note.url, space=note.space)


def make_token(
    issuer: Issuer,
    grants: Grants,
    *,
    space: str | None,
    identity: str,
    name: str | None,
    ttl_s: float,
    palco: PalcoGrants | None = None,
) -> str:
    """A token good from now for `ttl_s`, in `space` where one is named."""
    return mint(
        key=issuer.key,
        secret=issuer.secret,
        identity=identity,
        name=name or identity,
        grants=msgspec.structs.replace(grants, room=space or ""),
        now_s=time.time(),
        lifetime_s=ttl_s,
        palco=palco,
    )


def parse_duration_s(text: str) -> float:
    """`90`, `90s`, `30m`, `6h` or `7d` in seconds, for argparse."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write 90s, 30m, 6h or 7d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _how_to_get_in(url: str | None) -> str:
    where = f"at {url} " if url else ""
    return (
        f"No development server runs here {where}and no key or token was given. Start one with `palco up` in another "
        "terminal; or, for a server elsewhere, give --url, --space and --token (PALCO_URL, PALCO_TOKEN); or sign "
        "tokens yourself with --config FILE, or PALCO_KEY and PALCO_SECRET."
    )
