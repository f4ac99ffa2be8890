"""How much audio a packet carries to those who only listen: more for larger audiences. Pure.

A server's audience is limited by the packets that it can send, not by their bytes. The data plane merges a speaker's
packets once for all listeners (RFC 6716 §3.2); what it costs is that much delay, which an audience does not notice and
a conversation does.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

AS_SPOKEN_MS = 20
LONGEST_MS = 60

PacketMs = Literal[20, 40, 60]


class Packing(Struct, frozen=True):
    packet_ms: PacketMs | Literal["auto"] = 20
    large_audience: int = 3000
    """Listening sessions from which on `auto` packs, until a tenth of them are gone: no to and fro at the border."""

    def choose(self, listening: int, *, current_ms: int) -> int:
        """Milliseconds in a packet for an audience of `listening` that gets `current_ms` now."""
        if self.packet_ms != "auto":
            return self.packet_ms
        enough = self.large_audience if current_ms == AS_SPOKEN_MS else self.large_audience * 9 // 10
        return LONGEST_MS if listening >= enough else AS_SPOKEN_MS


AS_SPOKEN = Packing()


def bounded_ms(wanted_ms: int, bounds_ms: Iterable[int | None]) -> int:
    """The longest packet up to `wanted_ms` within all bounds; as spoken if there is none. A bound of None is none."""
    bound_ms = min((bound for bound in bounds_ms if bound is not None), default=wanted_ms)
    return max((ms for ms in (40, LONGEST_MS) if ms <= min(wanted_ms, bound_ms)), default=AS_SPOKEN_MS)
