"""`palco hands`: who asks to speak in a space, and the answer. Edge."""

import argparse

from signalling.client.calls import PalcoClient
from signalling.commands.calling import add_verb, call, say, say_json, say_table

EPILOG = """examples:
  palco hands list town-hall                 who asks to speak, first raised first
  palco hands accept town-hall bob           bob comes on stage, with the microphone off
  palco hands decline town-hall bob cleo

The token is made for the space's host where the server's keys are at hand; --as and --token say otherwise."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco hands",
        description="See who asks to speak, and answer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_verb(verbs, "list", "raised hands, first raised first").add_argument("space")
    for verb, summary in (("accept", "bring on stage"), ("decline", "take the hand down again")):
        answer = add_verb(verbs, verb, summary)
        answer.add_argument("space")
        answer.add_argument("identity", nargs="+")
    return parser


def run(arguments: argparse.Namespace) -> int:
    work = _list if arguments.verb == "list" else _answer
    return call(arguments, lambda client: work(client, arguments), space=arguments.space)


async def _list(client: PalcoClient, arguments: argparse.Namespace) -> None:
    hands = await client.hands(arguments.space)
    if arguments.json:
        for hand in hands:
            say_json(hand)
    elif hands:
        say_table(["IDENTITY", "NAME", "SINCE"], [[hand.identity, hand.name, hand.raised_at] for hand in hands])
    else:
        say("No hand is up.")


async def _answer(client: PalcoClient, arguments: argparse.Namespace) -> None:
    for identity in arguments.identity:
        if arguments.verb == "accept":
            person = await client.accept_hand(arguments.space, identity)
        else:
            person = await client.decline_hand(arguments.space, identity)
        if arguments.json:
            say_json(person)
        else:
            say(f"{identity} is on stage." if arguments.verb == "accept" else f"{identity} stays in the audience.")
