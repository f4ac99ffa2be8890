"""Which commands to the sfu may go before what they decide is written, and which keep their order. Pure.

A restriction that is in force and not written when the process dies is either taken over from the sfu by the next one
(a mute, a demotion: `signalling.spaces`) or was never acknowledged (a removal, an end). A permission never goes first:
nobody would know of it any more.
"""

from collections.abc import Iterable

from sfu.contract.messages import (
    CloseSession,
    CloseSpace,
    Command,
    RemoveParticipant,
    SetMuted,
    SetOnStage,
)


def only_restrict(commands: Iterable[Command]) -> bool:
    """Whether `commands` do nothing but take away: sound, the stage, a session, the space."""
    return all(_restricts(command) for command in commands)


def commute(one: Iterable[Command], other: Iterable[Command]) -> bool:
    """Whether the sfu ends the same in either order: no two of them are about the same person, or about a space."""
    ours, theirs = _people(one), _people(other)
    return ours is not None and theirs is not None and not ours & theirs


def _restricts(command: Command) -> bool:
    match command:
        case SetMuted(is_muted=is_muted):
            return is_muted
        case SetOnStage(is_on_stage=is_on_stage):
            return not is_on_stage
        case RemoveParticipant() | CloseSession() | CloseSpace():
            return True
    return False


def _people(commands: Iterable[Command]) -> frozenset[str] | None:
    """Whom they name; None where one is about more than people who can be named."""
    people: set[str] = set()
    for command in commands:
        match command:
            case SetMuted(identities=identities):
                people.update(identities)
            case SetOnStage(identity=identity) | RemoveParticipant(identity=identity):
                people.add(identity)
            case _:
                return None
    return frozenset(people)
