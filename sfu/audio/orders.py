"""What the fleet wants done: with mixer processes by the supervisor, about spaces by the sfu. Pure."""

from typing import Literal

from msgspec import Struct

from sfu.audio.contract import ToMixer


class Spawn(Struct, frozen=True):
    process: int


class End(Struct, frozen=True):
    """Nobody needs it: it may go by itself."""

    process: int


class Kill(Struct, frozen=True):
    process: int


class Tell(Struct, frozen=True):
    process: int
    message: ToMixer


class Mixed(Struct, frozen=True):
    """The space's programs by whom they leave out (None: nobody), each an SSRC arriving at the sfu's tap. They are new
    with every process, so their sequence numbers need no continuing. Said again when a program is added."""

    space: str
    programs: dict[int | None, int]


Reason = Literal["died", "hung", "failed", "moved"]


class Unmixed(Struct, frozen=True):
    space: str
    reason: Reason


Effect = Spawn | End | Kill | Tell | Mixed | Unmixed
