#!/usr/bin/env python3
"""The guide's sizing table, drawn from benchmarks/results; `--write` puts it into the guide, else it is printed."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent / "benchmarks/results"
GUIDE = HERE / "README.md"
FEWEST = 100
"""Listeners; with fewer the server's own idling is most of what is measured."""
BEGIN, END = "<!-- sizing -->\n", "<!-- /sizing -->\n"


def rows() -> list[dict[str, object]]:
    """Palco's own, the last run of each scenario, in the order of their size."""
    found: dict[str, tuple[str, dict[str, object]]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
            continue
        for row in document["rows"]:
            is_ours = str(row.get("server", "")).startswith("Palco") and row.get("delivered_packets")
            is_steady = not (row.get("refused") or row.get("failed") or row.get("late"))
            if is_ours and is_steady and row.get("server_cpu_s") and row.get("listeners", 0) >= FEWEST:
                begun, name = str(document.get("started", "")), f"{row['server']}, {row['scenario']}"
                if begun >= found.get(name, ("", {}))[0]:
                    found[name] = (begun, row)
    return sorted((row for _, row in found.values()), key=lambda row: (row["speakers"], row["listeners"]))  # type: ignore[arg-type, return-value]


def table() -> str:
    lines = [
        "| speakers x listeners | CPU µs a delivered packet | listeners per core at that cost | Mbit/s to 1,000 |",
        "| --- | --- | --- | --- |",
    ]
    for row in rows():
        keys = ("delivered_packets", "server_cpu_s", "measured_s")
        delivered, cpu_s, seconds = (float(str(row[key])) for key in keys)
        listeners = int(str(row["listeners"]))
        per_listener = delivered / seconds / listeners
        cpu_us = cpu_s / delivered * 1e6
        rate = per_listener * (float(str(row["bytes_per_packet"])) + 28) * 8 * 1000 / 1e6
        per_core = 1e6 / (cpu_us * per_listener)
        lines.append(f"| {row['server']}, {row['scenario']} | {cpu_us:.1f} | {per_core:,.0f} | {rate:,.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    if sys.argv[1:] != ["--write"]:
        sys.stdout.write(table())
        return
    before, rest = GUIDE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    GUIDE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
