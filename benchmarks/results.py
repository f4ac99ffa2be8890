"""What a run produced: one JSON document, and the tables drawn from it. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct


class Machine(Struct, frozen=True):
    cpu: str
    cores: int
    kernel: str
    python: str
    commit: str
    is_counted_at_ingress: bool
    """Whether the kernel dropped unsampled media at the ingress of a namespace (else in each listener's socket)."""


class Row(Struct, frozen=True, kw_only=True):
    """One server in one scenario; times in seconds unless the name says otherwise."""

    server: str
    version: str
    scenario: str
    speakers: int
    """In each space."""
    listeners: int
    """In all spaces."""
    spaces: int = 1
    joined: int
    failed: int
    measured_s: float
    sent_packets: int
    delivered_packets: int
    server_cpu_s: float
    core_busy_s: float
    """Of the server's CPU, everything that ran there included."""
    bytes_per_packet: float
    resident_bytes_idle: int
    resident_bytes: int
    resident_bytes_before: int = 0
    """When measuring began, everybody having joined."""
    sample_expected: int
    sample_lost: int
    sample_duplicates: int
    sample_wrong: int
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    join_p50_s: float
    join_p99_s: float
    first_audio_p99_s: float
    joins_per_s: float
    late: dict[str, Any] | None = None
    retried: int = 0
    """Sessions that were told to come later (503 with Retry-After) at least once."""
    retries: int = 0
    """Requests made again for that reason."""
    refused: int = 0
    """Sessions still told so when they gave up; in neither `joined` nor `failed`."""
    is_mixed: bool = False
    """Whether a listener gets one stream of all speakers. It carries no stamps: its latency is not measured here."""
    failures: dict[str, int] = {}

    @property
    def cpu_us_per_packet(self) -> float:
        """Processor time of the server's processes for each packet that reached a listener."""
        return self.server_cpu_s * 1e6 / self.delivered_packets if self.delivered_packets else float("nan")

    @property
    def delivery(self) -> float:
        """Packets that reached listeners, of those that should have; below one where the server repacked, too."""
        due = self.sent_packets * self.listeners / self.spaces
        return self.delivered_packets / due if due else 0.0

    @property
    def loss(self) -> float:
        """Of the packets that sampled listeners should have had."""
        return self.sample_lost / self.sample_expected if self.sample_expected else 0.0

    @property
    def bytes_per_listener(self) -> float:
        return (self.resident_bytes - self.resident_bytes_idle) / max(1, self.listeners)

    @property
    def listeners_per_core(self) -> float:
        return self.listeners / self.load if self.load else float("nan")

    @property
    def load(self) -> float:
        """Share of its one core that the server used."""
        return self.server_cpu_s / self.measured_s if self.measured_s else 0.0


class Ceiling(Struct, frozen=True):
    """The raw cost of sending the same datagrams with nothing else to do, microseconds of CPU for each."""

    listeners: int
    packets_per_message: int
    is_sealed: bool
    is_gso: bool
    cpu_us_per_packet: float
    is_paced: bool = False
    """In bursts, one each 20 ms, with sleep between them; else without a pause."""


class Run(Struct, frozen=True):
    started: str
    settings: dict[str, Any]
    machine: Machine
    ceilings: list[Ceiling]
    rows: list[Row]
    missing: dict[str, str] = {}
    """Peers that are not installed here, with the way to get them."""


def encode(run: Run) -> bytes:
    return msgspec.json.format(msgspec.json.encode(run), indent=1)


def decode(document: bytes) -> Run:
    return msgspec.json.decode(document, type=Run)


def ceiling_for(run: Run, row: Row) -> Ceiling | None:
    """The sealed ceiling that this row is compared with.

    One speaker: bursts in the rhythm of speech, as the server has it. Several: their packets in one GSO message to each
    listener, without a pause.
    """
    fitting = [
        each
        for each in run.ceilings
        if each.is_sealed
        and each.packets_per_message == row.speakers
        and each.is_gso == (row.speakers > 1)
        and each.is_paced == (row.speakers == 1)
    ]
    return min(fitting, key=lambda each: abs(each.listeners - row.listeners), default=None)


HEADINGS = (
    "server",
    "scenario",
    "joined",
    "CPU µs/packet",
    "× ceiling",
    "core",
    "delivered",
    "sample lost",
    "p50 ms",
    "p99 ms",
    "max ms",
    "kB/listener",
    "grew MB",
)

STORM_HEADINGS = (
    "server",
    "scenario",
    "joined",
    "failed",
    "told to retry",
    "refused for good",
    "joins/s",
    "keys p50 / p99 s",
    "first audio p50 / p99 s",
    "loss of those in",
)


def cells(run: Run, row: Row) -> tuple[str, ...]:
    ceiling = ceiling_for(run, row)
    ratio = f"{row.cpu_us_per_packet / ceiling.cpu_us_per_packet:.2f}" if ceiling else "–"
    return (
        row.server,
        row.scenario,
        joined(row),
        f"{row.cpu_us_per_packet:.2f}",
        ratio,
        f"{row.load:.0%}",
        f"{row.delivery:.1%}" if row.late is None else "–",
        f"{row.loss:.3%}" if row.sample_expected else "–",
        f"{row.latency_p50_s * 1e3:.2f}",
        f"{row.latency_p99_s * 1e3:.2f}",
        f"{row.latency_max_s * 1e3:.2f}",
        f"{row.bytes_per_listener / 1e3:.0f}" if row.listeners >= 100 else "–",
        f"{(row.resident_bytes - row.resident_bytes_before) / 1e6:.1f}" if row.resident_bytes_before else "–",
    )


def joined(row: Row) -> str:
    """Of how many, where somebody is missing: those refused for good (503) and those who failed."""
    asked = row.joined + row.failed + row.refused
    if row.joined == asked:
        return f"{row.joined}"
    return f"{row.joined} of {asked} ({row.refused} refused, {row.failed} failed)"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(run: Run) -> str:
    """The figures of a run as Markdown."""
    forwarded = [row for row in run.rows if not row.is_mixed]
    mixes = [row for row in run.rows if row.is_mixed]
    parts = [markdown(HEADINGS, [cells(run, row) for row in forwarded])] if forwarded else []
    if mixes:
        parts.append(markdown(MIX_HEADINGS, [_mix_cells(row) for row in mixes]))
    storms = [row for row in run.rows if row.late]
    if storms:
        parts.append(markdown(STORM_HEADINGS, [_storm_cells(row) for row in storms]))
    if run.ceilings:
        ceilings = [
            (f"{each.listeners:,}", str(each.packets_per_message), "AES-128-GCM" if each.is_sealed else "plain",
             "GSO" if each.is_gso else "datagrams", "bursts" if each.is_paced else "without a pause",
             f"{each.cpu_us_per_packet:.2f}")
            for each in run.ceilings
        ]  # fmt: skip
        headings = ("listeners", "packets each", "cipher", "sent as", "rhythm", "ceiling CPU µs/packet")
        parts.append(markdown(headings, ceilings))
    return "\n\n".join(parts)


MIX_HEADINGS = (
    "server",
    "scenario",
    "packets/s to each",
    "core",
    "listeners per core",
    "CPU µs/packet",
    "loss",
    "kB/listener",
)


def _mix_cells(row: Row) -> tuple[str, ...]:
    return (
        row.server,
        row.scenario,
        f"{row.delivered_packets / row.measured_s / max(1, row.listeners):.1f}",
        f"{row.load:.0%}",
        f"{row.listeners_per_core:,.0f}".replace(",", " "),
        f"{row.cpu_us_per_packet:.2f}",
        f"{row.loss:.3%}" if row.sample_expected else "–",
        f"{row.bytes_per_listener / 1e3:.0f}" if row.listeners >= 100 else "–",
    )


def _storm_cells(row: Row) -> tuple[str, ...]:
    late = row.late or {}
    join, audio = late["join_s"], late["first_audio_s"]
    return (
        row.server, row.scenario, str(late["joined"]), str(late["failed"]),
        str(late.get("retried", 0)), str(late.get("refused", 0)), f"{late['joins_per_s']:.0f}",
        f"{join['p50']:.2f} / {join['p99']:.2f}", f"{audio['p50']:.2f} / {audio['p99']:.2f}", f"{row.loss:.3%}",
    )  # fmt: skip
