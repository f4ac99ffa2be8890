"""What the commands that call the HTTP API share: where, as whom, and how answers are shown. Edge."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from signalling.client.calls import PalcoClient
from signalling.commands.access import (
    CLIENT_TOKEN_TTL_S,
    DEFAULT_URL,
    ROLE_GRANTS,
    Issuer,
    add_config_option,
    find_issuer,
    make_token,
)
from signalling.commands.development import find_note
from signalling.commands.failure import CommandFailedError
from signalling.tokens import Grants

OPERATOR = "operator"
"""Whose name stands in the record of acts when neither a host nor anybody else is named."""

AT_LARGE = Grants(room_create=True, room_list=True)


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """`--url --token --as --config --json`."""
    server = parser.add_argument_group("where, and as whom")
    server.add_argument("--url", help="the server's address (PALCO_URL; default: the development server running here)")
    server.add_argument("--token", help="an access token (PALCO_TOKEN; default: one is made with the keys found)")
    server.add_argument(
        "--as", dest="actor", metavar="IDENTITY", help="who acts, in a token that is made (default: the host)"
    )
    add_config_option(server)  # type: ignore[arg-type]
    server.add_argument("--json", action="store_true", help="print the server's answer as JSON")


def add_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    """A verb of a command, with the options that say where and as whom."""
    verb = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    add_server_options(verb)
    return verb


def call(
    arguments: argparse.Namespace, work: Callable[[PalcoClient], Awaitable[None]], *, space: str | None = None
) -> int:
    """Does `work` with a client that may act in `space`. Raises RefusedError, CommandFailedError."""
    asyncio.run(_call(arguments, work, space, os.environ))
    return 0


async def _call(
    arguments: argparse.Namespace,
    work: Callable[[PalcoClient], Awaitable[None]],
    space: str | None,
    environ: Mapping[str, str],
) -> None:
    url = arguments.url or environ.get("PALCO_URL")
    token = arguments.token or environ.get("PALCO_TOKEN")
    if token:
        note = None if url else find_note(environ)
        async with PalcoClient(url or (note.url if note else DEFAULT_URL), token) as client:
            await work(client)
        return
    issuer = find_issuer(arguments.config, environ, url=url, key=None)
    if issuer is None:
        raise CommandFailedError(_HOW_TO_GET_IN)
    actor = arguments.actor
    if space is not None and actor is None:
        actor = await _host_of(issuer, space)
    grants = AT_LARGE if space is None else msgspec.structs.replace(ROLE_GRANTS["host"], room_list=True)
    token = _token(issuer, grants, space=space, identity=actor or OPERATOR)
    async with PalcoClient(issuer.url, token) as client:
        await work(client)


async def _host_of(issuer: Issuer, space: str) -> str | None:
    """Whoever has the keys may act as the host, and the host may do everything in a space."""
    async with PalcoClient(issuer.url, _token(issuer, AT_LARGE, space=None, identity=OPERATOR)) as client:
        return (await client.space(space)).host or None


def _token(issuer: Issuer, grants: Grants, *, space: str | None, identity: str) -> str:
    return make_token(issuer, grants, space=space, identity=identity, name=None, ttl_s=CLIENT_TOKEN_TTL_S)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(value: object) -> None:
    say(msgspec.json.encode(value).decode())


def say_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be; control characters of others' names do not reach the terminal."""
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(headings), *cells]) for column in range(len(headings))]
    for row in [list(headings), *cells]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in text)


_HOW_TO_GET_IN = (
    "No development server runs here and no key or token was given. Start one with `palco up` in another terminal; or, "
    "for a server elsewhere, give --url and --token (PALCO_URL, PALCO_TOKEN), or sign tokens yourself with --config "
    "FILE, or PALCO_KEY and PALCO_SECRET."
)
