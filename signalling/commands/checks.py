"""What can be looked at before Palco starts: ports, limits, kernel, clock, keys, files. Edge.

Every check returns findings and raises nothing; `doctor` prints them.
"""

import ctypes
import errno
import ipaddress
import math
import os
import platform
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from sfu.contract.config import Config

Level = Literal["ok", "warn", "fail"]

UDP_SEGMENT = 103
"""linux/udp.h; Python's socket module does not name it."""

WANTED_FILES = 65_536
"""Ten thousand event streams and as many requests under way; media needs one socket a worker."""

WANTED_SOCKET_BUFFER_BYTES = 4 << 20
"""About 20 ms of the datagrams that a worker sends at its limit."""

TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronised."""

MIN_ENTROPY_BITS = 100.0


class Finding(Struct, frozen=True):
    level: Level
    subject: str
    detail: str
    remedy: str = ""


class PortProblem(Struct, frozen=True):
    """A configured port that cannot be bound now."""

    key: str
    variable: str
    protocol: Literal["UDP", "TCP"]
    address: str
    port: int
    why: str
    remedy: str


def check_python() -> Iterator[Finding]:
    yield Finding("ok", "Python", platform.python_version())  # an older one would not have come this far
    # In a process of its own: a native module that does not fit the machine ends the process that loads it.
    tried = subprocess.run([sys.executable, "-c", "import sfu._dataplane"], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        yield Finding("ok", "Native core", "sfu._dataplane loads")
    else:
        said = (tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"])[-1]
        yield Finding("fail", "Native core", said, "build it: `make run` in a checkout, else `pip install .`")


def check_ports(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """Free, or in use by the Palco that runs with this configuration."""
    problems = {(problem.key, problem.address, problem.port): problem for problem in port_problems(config)}
    for key, _, protocol, address, port in _ports(config):
        subject = f"Port {port} {protocol}"
        problem = problems.get((key, address, port))
        if problem is None:
            yield Finding("ok", subject, f"free ({key})")
        elif is_running:
            yield Finding("ok", subject, f"in use by Palco ({key})")
        else:
            yield Finding("fail", subject, f"{problem.why} ({key}, {address})", problem.remedy)


def port_problems(config: Config) -> list[PortProblem]:
    found = []
    for key, variable, protocol, address, port in _ports(config):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
        try:
            with socket.socket(family, kind) as probe:
                if protocol == "TCP":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            why, remedy = _why_not(error, port, variable)
            found.append(PortProblem(key, variable, protocol, address, port, why, remedy))
    return found


def _why_not(error: OSError, port: int, variable: str) -> tuple[str, str]:
    if error.errno == errno.EADDRINUSE:
        look = f"`ss -lunpt sport = :{port}` names the program"
        return "in use by another program", f"{look}; stop it, or set another port in the configuration or {variable}"
    if error.errno == errno.EACCES:
        return "not allowed", f"ports below 1024 need CAP_NET_BIND_SERVICE; set a higher one, here or by {variable}"
    if error.errno == errno.EADDRNOTAVAIL:
        return "no address of this machine", "`ip address` lists those; 0.0.0.0 or :: takes all"
    return error.strerror or str(error), f"set another address or port, here or by {variable}"


def _ports(config: Config) -> Iterator[tuple[str, str, Literal["UDP", "TCP"], str, int]]:
    for address in config.bind_addresses:
        yield "port", "PALCO_PORT", "TCP", address, config.port
    for port in config.rtc.udp_ports:
        yield "rtc.udp_ports", "PALCO_RTC__UDP_PORTS", "UDP", config.rtc.bind_address, port
    if config.rtc.tcp_port is not None:
        yield "rtc.tcp_port", "PALCO_RTC__TCP_PORT", "TCP", config.rtc.bind_address, config.rtc.tcp_port
    metrics = config.metrics
    if metrics.sfu_port:
        yield "metrics.sfu_port", "PALCO_METRICS__SFU_PORT", "TCP", metrics.bind_address, metrics.sfu_port
    if metrics.signalling_port:
        variable = "PALCO_METRICS__SIGNALLING_PORT"
        yield "metrics.signalling_port", variable, "TCP", metrics.bind_address, metrics.signalling_port


def check_limits() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= WANTED_FILES:
        yield Finding("ok", "Open files", f"{soft} allowed")
    else:
        remedy = f"every listener's event stream takes one: LimitNOFILE={WANTED_FILES} in the unit, or `ulimit -n`"
        yield Finding("warn", "Open files", f"{soft} allowed (at most {hard})", remedy)
    for name, direction in (("rmem_max", "receive"), ("wmem_max", "send")):
        try:
            size = int(Path(f"/proc/sys/net/core/{name}").read_text(encoding="ascii"))
        except (OSError, ValueError):
            yield Finding("warn", f"Socket buffer, {direction}", "unknown", f"look at net.core.{name}")
            continue
        if size >= WANTED_SOCKET_BUFFER_BYTES:
            yield Finding("ok", f"Socket buffer, {direction}", f"up to {size >> 10} KiB")
        else:
            remedy = f"bursts may be lost at high load: sysctl -w net.core.{name}={WANTED_SOCKET_BUFFER_BYTES}"
            yield Finding("warn", f"Socket buffer, {direction}", f"up to {size >> 10} KiB", remedy)


def check_address_families(config: Config) -> Iterator[Finding]:
    if ":" not in config.rtc.bind_address:
        return
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind((config.rtc.bind_address, 0))
    except OSError as error:
        remedy = "this machine has no IPv6 there; set rtc.bind_address: 0.0.0.0"
        yield Finding("fail", "IPv6", f"{config.rtc.bind_address}: {error.strerror}", remedy)
    else:
        yield Finding("ok", "IPv6", "the media ports take IPv4 and IPv6")


def check_clock() -> Iterator[Finding]:
    before = time.time() - time.monotonic()
    time.sleep(0.05)
    step_s = time.time() - time.monotonic() - before
    if abs(step_s) > 0.01:
        yield Finding(
            "warn", "Clock", f"stepped by {step_s * 1000:.0f} ms just now", "something sets it by force; slew it"
        )
    if time.time() < 1_700_000_000:
        yield Finding("fail", "Clock", "is years behind", "set it: tokens carry times and would be refused")
        return
    state = _kernel_clock_state()
    if state == TIME_ERROR:
        remedy = "tokens carry times and are refused when clocks differ: apt install chrony"
        yield Finding("warn", "Clock", "not synchronised, says the kernel", remedy)
    elif state is not None:
        yield Finding("ok", "Clock", "synchronised")


def _kernel_clock_state() -> int | None:
    """What adjtimex(2), asked to change nothing, says; None where it cannot be asked."""
    try:
        return int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return None


def check_keys(config: Config) -> Iterator[Finding]:
    for key, secret in config.keys.items():
        if entropy_bits(secret) < MIN_ENTROPY_BITS:
            remedy = "whoever guesses it signs tokens: take the output of `openssl rand -hex 32`"
            yield Finding("warn", f"Key {key}", "its secret is long enough but repeats itself", remedy)
        else:
            yield Finding("ok", f"Key {key}", f"a secret of {len(secret)} characters")


def entropy_bits(text: str) -> float:
    """Shannon's measure over the characters as they are used: an upper bound, low for patterns like aaaa or 1212."""
    counts = Counter(text).values()
    return -sum(count * math.log2(count / len(text)) for count in counts)


def check_control(config: Config) -> Iterator[Finding]:
    if config.control.tcp:
        yield Finding("ok", "Control connection", f"TCP {config.control.address}, with a secret")
        return
    path = Path(config.control.socket)
    if path.is_socket():
        yield Finding("ok", "Control socket", str(path))
        return
    if can_make(path.parent):
        yield Finding("ok", "Control socket", f"{path} can be made")
    else:
        remedy = f"give this user {path.parent} (RuntimeDirectory=palco in the unit), or set control.socket"
        yield Finding("fail", "Control socket", f"{path.parent} is not writable", remedy)


def check_node_ip(config: Config) -> Iterator[Finding]:
    for text in config.rtc.node_ips:
        address = ipaddress.ip_address(text)
        if address.is_loopback:
            yield Finding("ok" if config.development else "warn", "Node IP", f"{text}: only this machine can take part")
        elif address.is_private or address.is_link_local:
            yield Finding("warn", "Node IP", f"{text}: only its own network can take part", "set the public address")
        else:
            yield Finding("ok", "Node IP", text)
        if not address.is_loopback and not _is_own(text):
            remedy = f"the router in front must forward UDP {config.rtc.udp_ports} to this machine"
            yield Finding("warn", "Node IP", f"{text} is no address of this machine", remedy)


def _is_own(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def check_store(config: Config) -> Iterator[Finding]:
    """The file of SQLite; `reach.check_migrations` looks into either database."""
    path = sqlite_path(config)
    if path is not None:
        yield _check_sqlite(path)


def _check_sqlite(path: Path) -> Finding:
    if str(path) == ":memory:":
        return Finding("warn", "Database", "in memory", "who was removed may come back after a restart; name a file")
    if not path.exists():
        if can_make(path.parent):
            return Finding("ok", "Database", f"{path} can be made")
        remedy = f"give this user {path.parent} (StateDirectory=palco in the unit), or set store.url"
        return Finding("fail", "Database", f"{path.parent} is not writable", remedy)
    try:
        with sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=2) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except sqlite3.Error as error:
        return Finding("fail", "Database", f"{path}: {error}", "check its owner, the disk, and who holds it open")
    return Finding("ok", "Database", f"{path} is writable")


def sqlite_path(config: Config) -> Path | None:
    """The database's file; None where it is no SQLite."""
    url = urlsplit(config.store.url)
    return Path(url.path[1:] or ":memory:") if url.scheme.startswith("sqlite") else None


def can_make(folder: Path) -> bool:
    """Whether files can be made in a folder that is there or would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
