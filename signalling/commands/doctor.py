"""`palco doctor`: looks at this machine and says what to do. Edge."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
from rich.console import Console
from rich.text import Text

from sfu.contract.config import Config, ConfigError, load_config
from signalling.addresses import server_url
from signalling.commands import checks, reach
from signalling.commands.access import add_config_option
from signalling.commands.checks import Finding
from signalling.commands.development import development_config, find_note

EPILOG = """examples:
  palco doctor                                  the development server, running or not
  palco doctor --config /etc/palco/palco.yaml   before the first start, and when something is wrong

Exit code 1 if anything fails; warnings do not count."""

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palco doctor",
        description="Check this machine for Palco: ports, limits, kernel, clock, keys, files, certificate, database, "
        "relays.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_config_option(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    console = Console(highlight=False, soft_wrap=True)
    worst = 0
    for finding in examine(arguments.config):
        console.print(render(finding))
        worst = max(worst, int(finding.level == "fail"))
    console.print("Something must be done before Palco can run." if worst else "Palco can run here.")
    return worst


def examine(config_path: Path | None) -> Iterator[Finding]:
    """Every finding, as it is made."""
    yield from checks.check_python()
    try:
        config, origin = _find_config(config_path)
    except ConfigError as error:
        yield Finding("fail", "Configuration", str(error), "deploy/palco.example.yaml explains every key")
        return
    yield Finding("ok", "Configuration", origin)
    is_running, running = _check_running(config)
    yield running
    yield from checks.check_ports(config, is_running=is_running)
    yield from checks.check_address_families(config)
    yield from checks.check_limits()
    yield from reach.check_gso()
    yield from checks.check_clock()
    yield from checks.check_keys(config)
    yield from checks.check_control(config)
    yield from checks.check_node_ip(config)
    yield from checks.check_store(config)
    yield from reach.check_migrations(config)
    yield from reach.check_stun(config)
    yield from reach.check_certificate(config)
    yield from reach.check_relays(config)


def render(finding: Finding) -> Text:
    """`  ok  Port 7880 TCP: free`, with the remedy on a line of its own."""
    text = Text.assemble((f"{finding.level:>4}", STYLES[finding.level]), f"  {finding.subject}: {finding.detail}")
    if finding.remedy:
        text.append(f"\n      → {finding.remedy}")
    return text


def _find_config(path: Path | None) -> tuple[Config, str]:
    if path is not None or "PALCO_CONFIG" in os.environ:
        return load_config(path, os.environ), str(path or "PALCO_CONFIG")
    if note := find_note(os.environ):
        return load_config(None, {"PALCO_CONFIG": note.config}), f"of the development server at {note.url}"
    config = development_config(Path(tempfile.gettempdir()), os.environ)
    return config, "what `palco up` would use in development (none given by --config)"


def _check_running(config: Config) -> tuple[bool, Finding]:
    url = server_url(config)
    try:
        alive = httpx2.get(f"{url}/livez", timeout=2.0, trust_env=False)
        ready = httpx2.get(f"{url}/readyz", timeout=2.0, trust_env=False)
    except httpx2.TransportError:
        return False, Finding("ok", "Palco", f"does not run at {url}")
    if not alive.is_success:
        return False, Finding("warn", "Palco", f"something else answers at {url} ({alive.status_code} on /livez)")
    if not ready.is_success:
        remedy = "its log says why; the sfu may be down, draining or full"
        return True, Finding("warn", "Palco", f"runs at {url} but takes nobody in ({ready.status_code})", remedy)
    return True, Finding("ok", "Palco", f"runs at {url}")
