"""`palco mute`, `unmute`, `mute-all`, `remove`, `block`, `unblock`, `promote`, `demote`, `invite`. Edge."""

import argparse
from collections.abc import Mapping

from msgspec import Struct

from signalling.client.calls import PalcoClient
from signalling.commands.calling import add_server_options, call, say, say_json


class Act(Struct, frozen=True):
    """What one does to somebody, in words."""

    summary: str
    done: str
    example: str


ACTS: Mapping[str, Act] = {
    "mute": Act("silence somebody on stage", "{who} is muted: no packet is forwarded.", "palco mute town-hall bob"),
    "unmute": Act("lift a mute", "{who} may be heard again.", "palco unmute town-hall bob"),
    "promote": Act("bring somebody on stage", "{who} is on stage.", "palco promote town-hall bob --cohost"),
    "demote": Act("move somebody back to the audience", "{who} is in the audience.", "palco demote town-hall bob"),
    "invite": Act("invite somebody to speak", "{who} has been invited.", "palco invite town-hall cleo"),
    "remove": Act(
        "put somebody out until they get a new token", "{who} is out of the space.", "palco remove town-hall bob"
    ),
    "block": Act("put somebody out for good", "{who} is out and stays out.", "palco block town-hall bob"),
    "unblock": Act("lift a block", "{who} may come in again.", "palco unblock town-hall bob"),
}

EPILOG = """examples:
  {example}
  {example} --as ada                  as the host or cohost ada
  {example} --url https://palco.example --token "$TOKEN"

The token is made for the space's host where the server's keys are at hand. When the command returns, it is in force."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="palco")
    acts = parser.add_subparsers(dest="act", required=True)
    for name, act in ACTS.items():
        one = _add(acts, name, act.summary, act.example)
        one.add_argument("identity", nargs="+", help="whom")
        if name == "promote":
            one.add_argument("--cohost", action="store_true", help="as a cohost, who may moderate too")
    _add(acts, "mute-all", "silence everybody on stage but the host", "palco mute-all town-hall")
    return parser


def _add(
    acts: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    one = acts.add_parser(
        name,
        description=f"{summary.capitalize()}.",
        epilog=EPILOG.format(example=example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("space", help="the space's id")
    add_server_options(one)
    return one


def run(arguments: argparse.Namespace) -> int:
    return call(arguments, lambda client: _act(client, arguments), space=arguments.space)


async def _act(client: PalcoClient, arguments: argparse.Namespace) -> None:
    if arguments.act == "mute-all":
        muted = await client.mute_all(arguments.space)
        if arguments.json:
            say_json(muted)
        else:
            say(f"Muted: {', '.join(muted)}." if muted else "Nobody was on stage whom this could mute.")
        return
    for identity in arguments.identity:
        answer = await _upon(client, arguments, identity)
        if arguments.json:
            say_json(answer)
        else:
            say(ACTS[arguments.act].done.format(who=identity))


async def _upon(client: PalcoClient, arguments: argparse.Namespace, identity: str) -> object:
    """The server's answer, if it has one."""
    space = arguments.space
    match arguments.act:
        case "promote":
            return await client.promote(space, identity, role="cohost" if arguments.cohost else "speaker")
        case "remove":
            await client.remove(space, identity)
        case "block":
            await client.block(space, identity)
        case "unblock":
            await client.unblock(space, identity)
        case "mute":
            return await client.mute(space, identity)
        case "unmute":
            return await client.unmute(space, identity)
        case "demote":
            return await client.demote(space, identity)
        case _:
            return await client.invite(space, identity)
    return None
