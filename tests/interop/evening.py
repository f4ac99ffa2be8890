"""All stacks in one space: they speak in turn, the host muting all others, and each says what it hears. Edge.

Every client starts once, so that twelve processes make a matrix of dozens of pairs; and every turn is a mute and an
unmute that must reach foreign stacks as switched streams, without any of them negotiating again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.processes import Palco
from tests.harness.room import LISTENER, SPEAKER, Room, eventually
from tests.interop.clients import Client, Ear, Place

START_S = 60.0
"""A browser starts in two seconds alone, and in ten times that beside everything else."""

TURN_S = 15.0

TOLERANCE_HZ = 8.0
"""The coarsest analysis, half a second of PCM or 16,384 points, has bins of 3 Hz; a peak may be one bin off."""


@dataclass
class Evening:
    """Who heard what."""

    heard_hz: dict[str, float] = field(default_factory=dict)
    """`speaker by listener`: the loudest frequency in that turn, right or wrong."""
    faults: dict[str, str] = field(default_factory=dict)
    """Clients that did not come, and what they said."""


async def spend(
    palco: Palco,
    speakers: Mapping[str, tuple[Client, int]],
    listeners: Mapping[str, Client],
    *,
    page: str,
    directory: Path,
) -> Evening:
    """Speakers have a tone each."""
    evening, over = Evening(), asyncio.Event()
    ears: dict[str, Ear] = {}

    async def speak(name: str) -> None:
        client, tone_hz = speakers[name]
        async with client.speaks(_place(room, page, directory, f"{name}-speaker"), tone_hz):
            await over.wait()

    async def listen(name: str) -> None:
        async with listeners[name].hears(_place(room, page, directory, f"{name}-listener")) as ears[name]:
            await over.wait()

    async with Room(palco) as room, asyncio.TaskGroup() as group:
        try:
            for act, names in ((speak, speakers), (listen, listeners)):
                for name in names:
                    group.create_task(_noting(evening, act, name))
            await _gathered(room, speakers, ears, listeners, evening)
            await _in_turn(room, speakers, ears, evening)
        finally:
            over.set()
    return evening


async def _noting(evening: Evening, act: Callable[[str], Awaitable[None]], name: str) -> None:
    """A client that fails is missing from the matrix; the others go on."""
    try:
        await act(name)
    except Exception as error:  # noqa: BLE001 whatever a foreign client raises
        evening.faults[f"{act.__name__} {name}"] = repr(error)


async def _gathered(
    room: Room,
    speakers: Mapping[str, object],
    ears: Mapping[str, Ear],
    listeners: Mapping[str, object],
    evening: Evening,
) -> None:
    """Waits until all are there, or have failed, or have had their time."""

    async def are_all_here() -> bool:
        roster = await room.participants()
        here = [name for name in speakers if roster.get(f"{name}-speaker", {}).get("is_connected")]
        return len(here) + len(ears) + len(evening.faults) >= len(speakers) + len(listeners)

    with suppress(AssertionError):
        await eventually(are_all_here, what="everybody's arrival", within_s=START_S)


async def _in_turn(
    room: Room, speakers: Mapping[str, tuple[Client, int]], ears: Mapping[str, Ear], evening: Evening
) -> None:
    for name in speakers:
        await room.moderate("mute", f"{name}-speaker")
    for name, (_, tone_hz) in speakers.items():
        await room.moderate("unmute", f"{name}-speaker")
        listening = [ear.hears(tone_hz, tolerance_hz=TOLERANCE_HZ, within_s=TURN_S) for ear in ears.values()]
        heard = await asyncio.gather(*listening)
        evening.heard_hz |= {f"{name} by {who}": heard_hz for who, heard_hz in zip(ears, heard, strict=True)}
        await room.moderate("mute", f"{name}-speaker")


def _place(room: Room, page: str, directory: Path, identity: str) -> Place:
    own = directory / identity
    own.mkdir()
    token = room.token(identity, **(SPEAKER if identity.endswith("-speaker") else LISTENER))
    return Place(url=room.palco.url, space=room.space, token=token, page=page, directory=own)
