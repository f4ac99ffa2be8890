"""What a server costs: CPU seconds and memory of its processes, read from /proc. Edge."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """Of a set of processes: CPU seconds since their start, resident bytes now."""

    cpu_s: float
    resident_bytes: int


def usage(pids: list[int]) -> Usage:
    """Of these processes, all their threads, and the children that they started."""
    whole = [pid for root in pids for pid in with_descendants(root)]
    return Usage(cpu_s=sum(_cpu_s(pid) for pid in whole), resident_bytes=sum(_resident_bytes(pid) for pid in whole))


def with_descendants(pid: int) -> list[int]:
    found = [pid]
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []
    for task in tasks:
        children = _read(task / "children").split()
        found.extend(each for child in children for each in with_descendants(int(child)))
    return found


def core_busy_s(cpu: int) -> float:
    """Seconds that this CPU was not idle since boot, interrupts included."""
    for line in _read(Path("/proc/stat")).splitlines():
        name, *ticks = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _wait, irq, soft, *_ = (int(tick) for tick in ticks)
            return (user + nice + system + irq + soft) / TICKS_PER_S
    raise LookupError(f"no CPU {cpu} on this machine")


def _cpu_s(pid: int) -> float:
    """Of its threads, as the scheduler booked it; the ticks of /proc/<pid>/stat miss short bursts."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return 0.0
    return sum(int((_read(task / "schedstat") or "0").split()[0]) for task in tasks) / 1e9


def _resident_bytes(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * PAGE_BYTES if fields else 0


def _read(path: Path) -> str:
    """The text, or nothing where the process has ended meanwhile."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
