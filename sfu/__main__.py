"""`python -m sfu --config FILE`: the media process. Edge, and the one place where its parts are put together."""

import argparse
import ipaddress
import os
import platform
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import structlog
import uvloop
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from sfu._dataplane import Dataplane
from sfu.audio.contract import Settings, Sound
from sfu.audio.metrics import MixerCollector
from sfu.audio.supervisor import Supervisor
from sfu.certificate import make_certificate
from sfu.contract.config import Config, ConfigError, load_config
from sfu.contract.log import set_up_logging
from sfu.contract.messages import Candidate
from sfu.contract.process import lag_observed, process_metrics
from sfu.contract.systemd import told_to_systemd
from sfu.contract.tracing import make_tracing
from sfu.control import Control
from sfu.errors import StartError
from sfu.external_ip import discover
from sfu.handshake import DtlsContexts
from sfu.handshakes import Handshakes
from sfu.join_watch import JoinWatch
from sfu.life import Life, limits_of
from sfu.metrics import SfuCollector, serve_metrics
from sfu.mixes import Mixes
from sfu.node import Node
from sfu.packing import Packing
from sfu.performer import Performer
from sfu.relay import Relay
from sfu.tally import Tally
from sfu.tap_folder import tap_folder

SOCKET_BUFFER_BYTES: Final = 8 << 20
"""Asked for in each direction; the kernel gives as much as net.core.rmem_max and wmem_max allow. One turn for 1,000
listeners with ten speakers sends 2 MB."""

log = structlog.get_logger("sfu")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 after a signal, 2 when the process cannot start as configured."""
    parser = argparse.ArgumentParser(
        prog="palco sfu",
        description="The media process: receives, selects and sends every packet. Signalling tells it what to do.",
        epilog="Without --config the YAML in PALCO_CONFIG is read. SIGTERM takes nobody new in and ends when all "
        "have gone, or at drain.deadline_s; a second one says goodbye to all peers and ends. SIGHUP reads keys, log "
        "level and limits again.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the YAML file that signalling reads too")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config, os.environ)
        set_up_logging(level=config.logging.level, format=config.logging.format, process="sfu")
        uvloop.run(run(config, lambda: load_config(options.config, os.environ)))
    except (ConfigError, StartError) as error:
        print(f"palco sfu: {error}", file=sys.stderr)  # noqa: T201 - the one thing to say on a terminal
        return 2
    return 0


async def run(config: Config, read_again: Callable[[], Config]) -> None:
    """Serves until SIGTERM or SIGINT and what follows from it. Raises StartError."""
    sockets = bind_udp(config.rtc.bind_address, config.rtc.udp_ports)
    listener = bind_tcp(config.rtc.bind_address, config.rtc.tcp_port)
    if config.rtc.use_external_ip:
        config = replace(config, rtc=replace(config.rtc, node_ips=discover(sockets, config.rtc.stun_servers)))
    dataplane = Dataplane([each.fileno() for each in sockets], tcp=listener.fileno() if listener else None)
    try:
        with tap_folder(config.control.socket) as taps:
            await _serve(config, dataplane, read_again, make_mixers(config, taps))
    finally:
        dataplane.close()
        for each in [*sockets, *([listener] if listener else [])]:
            each.close()


async def _serve(config: Config, dataplane: Dataplane, read_again: Callable[[], Config], mixers: Supervisor) -> None:
    local = make_certificate(datetime.now(UTC))
    name = f"{platform.node()}-{secrets.token_hex(4)}"
    node = Node(
        name,
        fingerprint=local.fingerprint,
        candidates=announced_candidates(config.rtc.node_ips, config.rtc.udp_ports, config.rtc.tcp_port),
        limits=limits_of(config),
        packing=Packing(packet_ms=config.spaces.packet_ms, large_audience=config.spaces.large_audience),
    )
    control, tally, handshakes = Control(config.control), Tally(), Handshakes(DtlsContexts(local))
    registry, tracing = CollectorRegistry(), make_tracing(config.tracing, "sfu")
    mixes = Mixes(dataplane, mixers, sound_of(config))
    relay = Relay(
        dataplane,
        node=node,
        handshakes=handshakes,
        performer=Performer(
            dataplane,
            handshakes,
            mixes=mixes,
            workers=len(config.rtc.udp_ports),
        ),
        tally=tally,
        watch=JoinWatch(registry, tracing),
        announce=control.announce,
    )
    build = {"version": installed_version(), "python": platform.python_version()}
    registry.register(SfuCollector(counters=dataplane.counters, census=node.census, tally=tally, build=build))
    registry.register(MixerCollector(mixers))
    lag = process_metrics(registry, "palco_sfu")
    life = Life(config, node, read_again, on_draining=lambda: control.announce(relay.load()))
    try:
        if config.metrics.sfu_port:
            await serve_metrics(registry, host=config.metrics.bind_address, port=config.metrics.sfu_port)
        mixers.start(mixes)
        await control.listen(relay)
        log.info("ready", node=name, udp_ports=config.rtc.udp_ports, node_ips=config.rtc.node_ips)
        async with told_to_systemd(os.environ) as tell_systemd, lag_observed(lag.observe):
            await life.until_over(tell_systemd)
        log.info("stopping", sessions=node.load().sessions)
    finally:
        await control.close()
        await mixers.stop()
        await relay.stop()
        tracing.close()


def make_mixers(config: Config, taps: Path) -> Supervisor:
    """None runs yet; at most as many as are configured, or as there are cores for us."""
    processes = config.mixer.processes
    log_as = ("--log-level", config.logging.level, "--log-format", config.logging.format)
    count = len(os.sched_getaffinity(0)) if processes == "auto" else processes
    return Supervisor(processes=count, directory=taps, arguments=log_as)


def sound_of(config: Config) -> Settings:
    """How every space's mix is made."""
    mixer = config.mixer
    sound = Sound(
        bitrate=mixer.bitrate,
        complexity=mixer.complexity,
        channels=mixer.channels,
        expected_loss_percent=mixer.expected_loss_percent,
    )
    return Settings(sound=sound, is_levelled=mixer.automatic_gain)


def installed_version() -> str:
    """Of the package; a checkout that was never installed has none."""
    try:
        return version("palco")
    except PackageNotFoundError:
        return "checkout"


def announced_candidates(
    node_ips: Sequence[str], udp_ports: Sequence[int], tcp_port: int | None = None
) -> list[list[Candidate]]:
    """For each worker, in the order of its ports: where its peers find it. By TCP they find them all at one port."""
    by_tcp = [Candidate(address, tcp_port, "tcp") for address in node_ips] if tcp_port else []
    return [[Candidate(address=address, port=port) for address in node_ips] + by_tcp for port in udp_ports]


def bind_udp(address: str, ports: Sequence[int]) -> list[socket.socket]:
    """One non-blocking socket for each port; `::` takes IPv4 too. Raises StartError, and then none is left open."""
    sockets: list[socket.socket] = []
    try:
        for port in ports:
            sockets.append(_bind_one(address, port))
    except OSError as error:
        for each in sockets:
            each.close()
        remedy = (
            "choose other rtc.udp_ports, or end the process that has it"
            if error.errno == 98
            else "see rtc.bind_address"
        )
        raise StartError(f"UDP port {port} on {address} cannot be had ({error.strerror}); {remedy}") from error
    return sockets


def bind_tcp(address: str, port: int | None) -> socket.socket | None:
    """A non-blocking listening socket, if there is to be one. Raises StartError."""
    if port is None:
        return None
    is_ipv6 = ipaddress.ip_address(address).version == 6
    family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=512, dualstack_ipv6=address == "::")
    except OSError as error:
        remedy = (
            "choose another rtc.tcp_port, or end the process that has it"
            if error.errno == 98
            else "see rtc.bind_address"
        )
        raise StartError(f"TCP port {port} on {address} cannot be had ({error.strerror}); {remedy}") from error


def _bind_one(address: str, port: int) -> socket.socket:
    is_ipv6 = ipaddress.ip_address(address).version == 6
    udp = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if is_ipv6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        udp.setblocking(False)
        udp.bind((address, port))
    except OSError:
        udp.close()
        raise
    return udp


if __name__ == "__main__":
    sys.exit(main())
