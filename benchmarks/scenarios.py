"""The scenarios, as data: who speaks, who listens, how they join, what is measured. Pure."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One job of a server: `spaces` × (`speakers`, `listeners`), each speaker sending 50 packets a second."""

    name: str
    speakers: int
    listeners: int
    spaces: int = 1
    payload_bytes: int = 80
    """Opus bytes in a packet: 32 kbit/s at 20 ms."""
    joins_per_s: float = 0
    """0: as fast as the server answers."""
    aligned: bool = False
    """Whether the speakers send at the same instant (as a stage behind one clock would) or spread over the 20 ms."""
    late: int = 0
    """Listeners that join while measuring, as a storm upon the live space."""
    late_per_s: float = 0
    churn_per_s: float = 0
    lasts_s: float = 0
    """Measured at least so long."""
    kind: Literal["fan-out", "mix", "storm", "churn", "half-open"] = "fan-out"
    """`mix`: speakers say real speech, and the audience has one section for all of them."""

    @property
    def packets_per_s(self) -> int:
        """RTP packets that the audience should receive each second."""
        return self.spaces * self.speakers * self.listeners * 50


CAPACITY_JOINS_PER_S = 100
"""At which an audience of a thousand or more assembles: joining is the storm's subject, and would take the core that
these scenarios measure."""


def fan_out(speakers: int, listeners: int) -> Scenario:
    name = f"{speakers} x {listeners:,}".replace(",", " ")
    pace = CAPACITY_JOINS_PER_S if listeners >= 1000 else 0
    return Scenario(name=name, speakers=speakers, listeners=listeners, joins_per_s=pace)


def mixed(speakers: int, listeners: int) -> Scenario:
    name = f"mix {speakers} x {listeners:,}".replace(",", " ")
    return Scenario(name=name, speakers=speakers, listeners=listeners, kind="mix")


FIRST = (fan_out(1, 1), fan_out(1, 10), fan_out(1, 100), fan_out(1, 1000))
"""Small enough for every peer, the plain Python relay among them."""

LARGE = (fan_out(1, 5000), fan_out(1, 10_000), fan_out(10, 100), fan_out(10, 1000), fan_out(10, 3000))

SIXTY = (fan_out(1, 1000), fan_out(10, 1000))
"""For audio of 60 ms in a packet, next to 20."""

TWO_CORES = (fan_out(1, 8000),)
"""Twice what one core carries with room to spare."""

CORES = (fan_out(1, 4000), *TWO_CORES)
"""That, next to what one core carries."""

BESIDE = (fan_out(1, 10), fan_out(1, 100), fan_out(1, 1000), fan_out(10, 100))
"""What every peer can be asked for in a few minutes."""

SMALL_MIXES = (mixed(10, 20), mixed(10, 60))
"""For a server that decodes and encodes for each listener."""

MIXES = (*SMALL_MIXES, mixed(10, 1000), mixed(10, 5000), mixed(10, 7000))

MANY_SPACES = Scenario(
    name="100 spaces x (2, 50)", spaces=100, speakers=2, listeners=50, joins_per_s=CAPACITY_JOINS_PER_S
)

HALF_LOAD = Scenario(
    name="half load: 20 spaces x (2, 50)", spaces=20, speakers=2, listeners=50, joins_per_s=CAPACITY_JOINS_PER_S
)
"""100,000 packets a second, near half of what a core sends one by one: for the latency that is added there."""

STORM = Scenario(name="storm: 2 000 join in 10 s", kind="storm", speakers=2, listeners=200, late=2000, late_per_s=200)

CHURN = Scenario(name="churn: 5 % a second", kind="churn", speakers=2, listeners=1000, churn_per_s=50)

HALF_OPEN = Scenario(name="half-open: 2 000 never connect", kind="half-open", speakers=1, listeners=2000)
"""Offers answered and nothing more: what a stranger with a token can make the server keep."""

SOAK = Scenario(name="soak", speakers=10, listeners=500, churn_per_s=2, kind="churn", lasts_s=60)
"""An hour with `--seconds 3600`: what does not come back grows the memory, listener by listener."""

SETS = {
    "quick": FIRST,
    "full": (*FIRST, *LARGE, HALF_LOAD, MANY_SPACES, STORM, CHURN, HALF_OPEN),
    "beside": BESIDE,
    "cores": CORES,
    "soak": (SOAK,),
    "mix": MIXES,
}
