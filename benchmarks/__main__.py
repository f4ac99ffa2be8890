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

from benchmarks import events, load, mix_loss, mix_report, mixer, mixer_quality, namespace, page, requests, results
from benchmarks.compare import compare
from benchmarks.registry import SERVERS, bears
from benchmarks.run import Settings, ceilings, run_scenario
from benchmarks.scenarios import SETS, Scenario
from benchmarks.screen import Screen
from benchmarks.servers import Server

RESULTS = Path(__file__).parent / "results"
INSIDE = "PALCO_BENCH_INSIDE"

EPILOG = """examples:
  python -m benchmarks run                                the first table: latency and CPU, next to a plain aiortc relay
  python -m benchmarks run --set full --peers all         everything, next to every peer that is installed
  python -m benchmarks run --only "10 x 3 000" --peers none
  python -m benchmarks run --set mix --peers janus-audiobridge
  python -m benchmarks mixer --save benchmarks/results/mix.json
  python -m benchmarks mix-quality --save benchmarks/results/mix.json
  python -m benchmarks events                             delivery to 10,000 event streams, beside 1,000 that stall
  python -m benchmarks requests                           500 requests a second, and mutes at the packet
  python -m benchmarks page                               how long a listener waits for sound, in a real browser
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
        case "mixer" | "mix-quality" | "mix-loss":
            return _mix(arguments)
        case "events" | "requests":
            return _signalling(arguments)
        case "compare":
            print(compare(results.decode(arguments.before.read_bytes()), results.decode(arguments.after.read_bytes())))
            return 0
        case "page":
            save = arguments.save or RESULTS / f"page-{dt.datetime.now(dt.UTC):%Y-%m-%dT%H%M}.json"
            return page.measure(visits=arguments.visits, machine=_machine(), save=save)
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
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="run|events|requests|mixer|mix-quality|mix-loss|report|compare"
    )
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
    mixing = commands.add_parser("mixer", help="one mixer process: spaces per core, latency")
    mixing.add_argument("--seconds", type=float, default=15.0, help="measured, after 8 s of warming up (default: 15)")
    mixing.add_argument("--only", default="", metavar="NAME", help="only jobs whose name has this")
    mixing.add_argument("--spaces", type=int, help="instead of each job's own number")
    quality = commands.add_parser("mix-quality", help="PESQ of the mix (needs the `bench` extra)")
    quality.add_argument("--bitrates", type=int, nargs="+", default=[32_000, 48_000, 64_000], metavar="BITS_PER_S")
    loss = commands.add_parser("mix-loss", help="PESQ at listeners under loss, with RED and without")
    loss.add_argument("--servers", default="palco,palco-mix", metavar="NAMES", help="default: palco,palco-mix")
    for each in (mixing, quality, loss):
        each.add_argument("--save", type=Path, help="where the JSON goes; what else a file there has is kept")
    visiting = commands.add_parser("page", help="from opening a link to audible sound, in Chromium")
    visiting.add_argument("--visits", type=int, default=20, help="how many, each with an empty cache (default: 20)")
    visiting.add_argument("--save", type=Path, help="where the JSON goes (default: results/page-<time>.json)")
    about = {events: "a space with ten thousand event streams", requests: "requests a second, and mutes at the packet"}
    for part, name in ((events, "events"), (requests, "requests")):
        part.add_options(commands.add_parser(name, help=about[part]))
    report = commands.add_parser("report", help="tables and plots of a saved run")
    report.add_argument("run", type=Path)
    report.add_argument("--plots", type=Path, help="write SVG plots into this folder (needs the `bench` extra)")
    comparing = commands.add_parser("compare", help="two saved runs")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    return parser


def _signalling(arguments: argparse.Namespace) -> int:
    started = dt.datetime.now(dt.UTC)
    save = arguments.save or RESULTS / f"{arguments.command}-{started:%Y-%m-%dT%H%M}.json"
    measure = events.main if arguments.command == "events" else requests.main
    return measure(arguments, started=started.isoformat(timespec="seconds"), machine=_machine(), save=save)


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
    jobs = [(server, each) for each in scenarios for server in servers if bears(server, each)] * arguments.repeat
    if not jobs:
        raise SystemExit("no server that is installed bears any of these scenarios; see --set, --only and --peers")
    screen = Screen(len(jobs))
    for name, way in missing.items():
        screen.say(f"{name} is not installed and not measured; to have it: {way}")
    started = dt.datetime.now(dt.UTC)
    has_limits = arguments.set in {"full", "beside"}
    limits = await ceilings(settings, _shapes(scenarios), packet_bytes=100) if has_limits else []
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
    return [server for name, server in SERVERS.items() if name in names or name.startswith("palco")]


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


def _mix(arguments: argparse.Namespace) -> int:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    if arguments.command == "mixer":
        capacity = asyncio.run(mixer.run(arguments.only, seconds=arguments.seconds, spaces=arguments.spaces))
        run = mix_report.MixRun(started=now, machine=_machine(), capacity=capacity)
    elif arguments.command == "mix-quality":
        quality = mixer_quality.measure_all(arguments.bitrates, mixer_quality.pesq_wideband)
        run = mix_report.MixRun(started=now, machine=_machine(), quality=quality)
    else:
        run = mix_report.MixRun(started=now, machine=_machine(), loss=asyncio.run(_losses(arguments.servers)))
    print(mix_report.tables(run))
    if arguments.save:
        before = mix_report.decode(arguments.save.read_bytes()) if arguments.save.exists() else None
        arguments.save.write_bytes(mix_report.encode(mix_report.merge(before, run)))
    return 0


async def _losses(names: str) -> list[mix_loss.LossScore]:
    scores = []
    for name in names.split(","):
        if (server := SERVERS.get(name)) is None:
            raise SystemExit(f"unknown server {name}; there are {', '.join(SERVERS)}")
        scores += await mix_loss.measure(server, cpu=0, pesq=mixer_quality.pesq_wideband)
    return scores


def _report(arguments: argparse.Namespace) -> int:
    document = arguments.run.read_bytes()
    if mix_report.is_mix(document):
        mixed = mix_report.decode(document)
        print(mix_report.tables(mixed))
        for path in mix_report.draw(mixed, arguments.plots) if arguments.plots else ():
            print(f"drawn: {path}")
        return 0
    run = results.decode(document)
    print(results.table(run))
    if arguments.plots:
        from benchmarks.plots import draw  # noqa: PLC0415  (matplotlib is an extra)

        for path in draw(run, arguments.plots):
            print(f"drawn: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
