"""`palco spaces`: makes, lists, shows, changes, starts and ends spaces. Edge."""

import argparse
import datetime
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from signalling.client.calls import PalcoClient
from signalling.commands.access import parse_duration_s
from signalling.commands.calling import add_verb, call, say, say_json, say_table
from signalling.commands.failure import CommandFailedError
from signalling.resources import CreateSpace, EditSpace, SpaceResource

T = TypeVar("T")

EPILOG = """examples:
  palco spaces create "Town hall"                             live at once; prints its id and its link
  palco spaces create "Town hall" --id town-hall --as ada     ada is its host
  palco spaces create "Jazz night" --in 2h --topic music      scheduled; the link can be shared now
  palco spaces list                                           what is live
  palco spaces list --upcoming --search jazz
  palco spaces show town-hall
  palco spaces edit town-hall --title "Town hall, part two" --speak everyone
  palco spaces start jazz-night                               before its time
  palco spaces end town-hall                                  for everyone in it

`palco spaces create --help` lists what a space can be."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco spaces",
        description="Make, list, show, change, start and end spaces.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = add_verb(verbs, "create", "make a space, live at once or scheduled")
    create.add_argument("title", help="at most 70 characters")
    create.add_argument("--id", help="its name in addresses: lower-case letters, digits, hyphens (default: a new one)")
    _add_content(create)
    listing = add_verb(verbs, "list", "live spaces, or upcoming ones")
    listing.add_argument("--upcoming", action="store_true", help="those that are scheduled")
    listing.add_argument("--topic", help="only of this topic")
    listing.add_argument("--language", help="only in this language (en, pt-BR)")
    listing.add_argument("--host", help="only of this host")
    listing.add_argument("--search", metavar="WORDS", help="only with these words in the title")
    edit = add_verb(verbs, "edit", "change a space; what is not named stays as it is")
    edit.add_argument("space")
    edit.add_argument("--title", help="at most 70 characters")
    _add_content(edit)
    summaries = {
        "show": "everything about one space",
        "start": "begin a scheduled space now",
        "cancel": "call off a scheduled space",
        "end": "end a space for everyone in it",
    }
    for verb, summary in summaries.items():
        add_verb(verbs, verb, summary).add_argument("space")
    return parser


def _add_content(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--description", help="at most 1000 characters")
    parser.add_argument("--topic", action="append", metavar="TOPIC", help="up to three; repeat the option")
    parser.add_argument("--language", help="BCP 47: en, pt-BR")
    parser.add_argument("--audience", choices=["mix", "forward"], help="what listeners hear: one mix, or the loudest")
    parser.add_argument("--speak", choices=["everyone", "followed", "invited"], help="who may come on stage unasked")
    parser.add_argument("--entry", choices=["open", "muted"], help="muted: a host allows each microphone")
    parser.add_argument("--max-speakers", type=int, metavar="N", help="on stage beside host and cohosts")
    begins = parser.add_mutually_exclusive_group()
    begins.add_argument("--at", metavar="TIME", help="when it begins: 2026-12-01T20:00+01:00")
    begins.add_argument("--in", dest="delay_s", type=parse_duration_s, metavar="TIME", help="begins in 30m, 2h, 3d")


def run(arguments: argparse.Namespace) -> int:
    space = getattr(arguments, "space", None)
    if arguments.verb == "edit" and not _changes(arguments):
        raise CommandFailedError("Say what to change: `palco spaces edit --help` lists it.", exit_code=2)
    return call(arguments, lambda client: _VERBS[arguments.verb](client, arguments), space=space)


async def _create(client: PalcoClient, arguments: argparse.Namespace) -> None:
    wanted = {"title": arguments.title, "id": arguments.id, **_content(arguments)}
    _show(arguments, await client.create_space(_fitting(wanted, CreateSpace)), "Created")


async def _list(client: PalcoClient, arguments: argparse.Namespace) -> None:
    wished = {"topic": arguments.topic, "language": arguments.language, "host": arguments.host, "q": arguments.search}
    filters = {name: value for name, value in wished.items() if value}
    found = await client.spaces(state="upcoming" if arguments.upcoming else "live", **filters)
    if arguments.json:
        for space in found:
            say_json(space)
    elif found:
        say_table(["SPACE", "TITLE", "HOST", "SPEAKERS", "LISTENERS", "BEGINS"], [_row(space) for space in found])
    else:
        say("No space is scheduled." if arguments.upcoming else "No space is live.")


async def _show_one(client: PalcoClient, arguments: argparse.Namespace) -> None:
    _show(arguments, await client.space(arguments.space), "")


async def _edit(client: PalcoClient, arguments: argparse.Namespace) -> None:
    changes = _fitting(_changes(arguments), EditSpace)
    _show(arguments, await client.edit_space(arguments.space, changes), "Changed")


async def _start(client: PalcoClient, arguments: argparse.Namespace) -> None:
    _show(arguments, await client.start_space(arguments.space), "Started")


async def _cancel(client: PalcoClient, arguments: argparse.Namespace) -> None:
    _show(arguments, await client.cancel_space(arguments.space), "Cancelled")


async def _end(client: PalcoClient, arguments: argparse.Namespace) -> None:
    await client.end_space(arguments.space)
    say(f"{arguments.space} has ended for everyone in it.")


_VERBS: Mapping[str, Callable[[PalcoClient, argparse.Namespace], Awaitable[None]]] = {
    "create": _create,
    "list": _list,
    "show": _show_one,
    "edit": _edit,
    "start": _start,
    "cancel": _cancel,
    "end": _end,
}


def _content(arguments: argparse.Namespace) -> dict[str, object]:
    """What was said about the space, by the API's names."""
    said = {
        "description": arguments.description,
        "topics": arguments.topic,
        "language": arguments.language,
        "audience": arguments.audience,
        "speak": arguments.speak,
        "entry": arguments.entry,
        "max_speakers": arguments.max_speakers,
        "starts_at": _begins(arguments),
    }
    return {name: value for name, value in said.items() if value is not None}


def _fitting(said: dict[str, object], kind: type[T]) -> T:
    """Raises CommandFailedError where it cannot be of `kind`."""
    try:
        return msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        raise CommandFailedError(f"A space cannot be like that: {error}.", exit_code=2) from error


def _changes(arguments: argparse.Namespace) -> dict[str, object]:
    title = {} if arguments.title is None else {"title": arguments.title}
    return {**title, **_content(arguments)}


def _begins(arguments: argparse.Namespace) -> str | None:
    if arguments.delay_s is not None:
        moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=arguments.delay_s)
        return moment.isoformat(timespec="seconds")
    if arguments.at is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(arguments.at)
    except ValueError:
        raise CommandFailedError(f"{arguments.at!r} is no time; write 2026-12-01T20:00+01:00.", exit_code=2) from None
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def _row(space: SpaceResource) -> list[str]:
    counts = space.counts
    return [
        space.id,
        space.title,
        space.host or "-",
        str(counts.speakers),
        str(counts.listeners),
        space.starts_at or space.started_at or space.created_at,
    ]


def _show(arguments: argparse.Namespace, space: SpaceResource, done: str) -> None:
    if arguments.json:
        say_json(space)
        return
    if done:
        say(f"{done}: {space.id}")
    facts = {
        "title": space.title,
        "state": space.state,
        "host": space.host,
        "link": space.url,
        "description": space.description,
        "topics": ", ".join(space.topics),
        "language": space.language or "",
        "listeners hear": space.audience,
        "may speak": space.speak,
        "begins": space.starts_at or "",
        "started": space.started_at or "",
        "ended": space.ended_at or "",
        "speakers": str(space.counts.speakers),
        "listeners": str(space.counts.listeners),
    }
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        if value:
            say(f"  {name.ljust(width)}  {value if value.isprintable() else ascii(value)}")
