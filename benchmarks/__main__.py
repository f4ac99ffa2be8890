"""`python -m benchmarks`: runs scenarios on Palco and its peers, side by side, and draws the tables."""

import argparse
import asyncio
import datetime as dt
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks import load, namespace, results
from benchmarks.compare import compare
from benchmarks.registry import SERVERS
from benchmarks.run import Settings, ceilings, run_scenario
from benchmarks.scenarios import FIRST, SETS, Scenario
from benchmarks.screen import Screen
from benchmarks.servers import Server

RESULTS = Path(__file__).parent / "results"
INSIDE = "PALCO_BENCH_INSIDE"

EPILOG = """examples:
  python -m benchmarks run                                the first table: latency and CPU, next to a plain aiortc relay
  python -m benchmarks run --set full --peers all         everything, next to every peer that is installed
  python -m benchmarks run --only "10 x 3 000" --peers none
  python -m benchmarks report benchmarks/results/first.json
  python -m benchmarks compare old.json new.json          faster, slower or noise

As root, with nftables and iproute2, the run moves into a network namespace of its own and the kernel drops what
listeners need not open; otherwise each listener's socket counts and drops."""


def main() -> int:
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that servers and namespaces end with us
    match arguments.command:
        case "report":
            return _report(arguments)
        case "compare":
            print(compare(results.decode(arguments.before.read_bytes()), results.decode(arguments.after.read_bytes())))
            return 0
    if not arguments.no_namespace and INSIDE not in os.environ and namespace.can_be_made():
        os.environ[INSIDE] = "1"
        load.build()  # the registry is out of reach in there
        return namespace.enter(sys.argv[1:])
    return asyncio.run(_run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Palco next to its peers and to the raw limit of the kernel, in one run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|report|compare")
    run = commands.add_parser("run", help="measure")
    run.add_argument("--set", choices=list(SETS), default="quick", help="which scenarios (default: quick)")
    run.add_argument("--only", action="append", default=[], metavar="NAME", help="only scenarios whose name has this")
    run.add_argument("--peers", default="aiortc", help="all, none, or names with commas (default: aiortc)")
    run.add_argument("--seconds", type=float, default=8.0, help="measured time of each scenario (default: 8)")
    run.add_argument("--repeat", type=int, default=1, help="how often each scenario is measured (default: once)")
    run.add_argument("--server-cpu", type=int, default=0, help="the core that servers are pinned to (default: 0)")
    run.add_argument("--load-cpu", type=int, default=1, help="the core that the load is pinned to (default: 1)")
    run.add_argument("--no-namespace", action="store_true", help="stay on the machine's own loopback")
    run.add_argument("--save", type=Path, help="where the JSON goes (default: benchmarks/results/<time>.json)")
    report = commands.add_parser("report", help="tables and plots of a saved run")
    report.add_argument("run", type=Path)
    report.add_argument("--plots", type=Path, help="write SVG plots into this folder (needs the `bench` extra)")
    comparing = commands.add_parser("compare", help="two saved runs")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    return parser


async def _run(arguments: argparse.Namespace) -> int:
    scenarios = [
        scenario
        for scenario in SETS[arguments.set]
        if not arguments.only or any(part in scenario.name for part in arguments.only)
    ]
    wanted = _wanted(arguments.peers)
    missing = {server.name: server.how_to_install for server in wanted if server.version() is None}
    servers = [server for server in wanted if server.version() is not None]
    settings = Settings(
        program=load.build(),
        server_cpu=arguments.server_cpu,
        load_cpu=arguments.load_cpu,
        measure_s=arguments.seconds,
        is_counted_at_ingress=INSIDE in os.environ,
    )
    jobs = [(server, each) for each in scenarios for server in servers if _bears(server, each)] * arguments.repeat
    screen = Screen(len(jobs))
    for name, way in missing.items():
        screen.say(f"{name} is not installed and not measured; to have it: {way}")
    started = dt.datetime.now(dt.UTC)
    limits = await ceilings(settings, _shapes(scenarios), packet_bytes=100) if arguments.set == "full" else []
    stated = {"set": arguments.set, "seconds": arguments.seconds, "repeat": arguments.repeat}
    rows: list[results.Row] = []
    run = results.Run(started.isoformat(timespec="seconds"), stated, _machine(), limits, rows, missing)
    path = arguments.save or RESULTS / f"{started:%Y-%m-%dT%H%M}.json"
    path.parent.mkdir(exist_ok=True)
    for server, scenario in jobs:
        screen.begin(server.name, scenario.name)
        try:
            rows.append(await run_scenario(server, scenario, settings, screen))
        except (load.LoadFailedError, RuntimeError, OSError) as error:
            screen.say(f"{server.name}, {scenario.name}: not measured: {error}")
        path.write_bytes(results.encode(run))  # what was measured stays, however the rest ends
    print(f"\n{results.table(run)}\n\nsaved: {path}")
    return 0 if len(rows) == len(jobs) else 1


def _wanted(peers: str) -> list[Server]:
    names = set() if peers == "none" else set(SERVERS) if peers == "all" else set(peers.split(","))
    if unknown := names - set(SERVERS):
        raise SystemExit(f"unknown peer {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    return [server for name, server in SERVERS.items() if name in names or name == "palco"]


def _bears(server: Server, scenario: Scenario) -> bool:
    """The plain Python relay is asked only for what it can be asked for."""
    return server.name != "aiortc" or scenario in FIRST


def _shapes(scenarios: list[Scenario]) -> list[tuple[int, int]]:
    return sorted(
        {(each.listeners, each.speakers) for each in scenarios if each.kind == "fan-out" and each.listeners >= 100}
    )


def _machine() -> results.Machine:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return results.Machine(
        cpu=model,
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        commit=commit.stdout.strip(),
        is_counted_at_ingress=INSIDE in os.environ,
    )


def _report(arguments: argparse.Namespace) -> int:
    run = results.decode(arguments.run.read_bytes())
    print(results.table(run))
    if arguments.plots:
        from benchmarks.plots import draw  # noqa: PLC0415  (matplotlib is an extra)

        for path in draw(run, arguments.plots):
            print(f"drawn: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
