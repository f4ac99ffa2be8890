"""The address that the world sees this machine's media ports under, asked of a STUN server (RFC 8489). Edge (sockets).

Asked from the very ports that media will use, so that a router which would hand out other ports is found at the start
and not by the first listener.
"""

import ipaddress
import socket
import time
from collections.abc import Sequence
from typing import Final

import structlog
from aioice import stun

from sfu.errors import StartError

TRIES: Final = 4
FIRST_WAIT_S: Final = 0.5
"""RFC 8489 §6.2.1: each wait is twice the one before."""

log = structlog.get_logger("sfu")


def discover(sockets: Sequence[socket.socket], servers: Sequence[str]) -> list[str]:
    """The external addresses of the bound `sockets`, each once. Raises StartError. Blocks for seconds at the worst."""
    found: list[str] = []
    for bound in sockets:
        address, port = _ask_any(bound, servers)
        if port != bound.getsockname()[1]:
            raise StartError(
                f"UDP port {bound.getsockname()[1]} leaves this network as port {port}: the router must forward each "
                "port to the same one (one to one); then set rtc.node_ip, or leave rtc.use_external_ip as it is"
            )
        if address not in found:
            found.append(address)
    log.info("external_address", addresses=found)
    return found


def _ask_any(bound: socket.socket, servers: Sequence[str]) -> tuple[str, int]:
    for server in servers:
        for place in _places(bound, server):
            if (mapped := _ask(bound, place)) is not None:
                return mapped
    raise StartError(
        f"none of rtc.stun_servers ({', '.join(servers)}) answered, so the external address is not known: check them "
        "and the firewall, or set rtc.node_ip"
    )


def _places(bound: socket.socket, server: str) -> list[tuple[str, int]]:
    """The server's addresses that the socket can send to; IPv4 ones in IPv6 form for a socket that takes both."""
    host, _, port = server.rpartition(":")
    family = bound.family
    try:
        known = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    except socket.gaierror:
        return []
    places = []
    for kind, _, _, _, address in known:
        host = str(address[0])
        if kind == socket.AF_INET and family == socket.AF_INET6:
            host = f"::ffff:{host}"
        elif kind != family:
            continue
        places.append((host, int(address[1])))
    return places


def _ask(bound: socket.socket, place: tuple[str, int]) -> tuple[str, int] | None:
    """What XOR-MAPPED-ADDRESS says; None where nobody answers."""
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    blocking = bound.gettimeout()
    wait_s = FIRST_WAIT_S
    try:
        for _ in range(TRIES):
            bound.sendto(bytes(request), place)
            if (mapped := _hear(bound, request, time.monotonic() + wait_s)) is not None:
                return mapped
            wait_s *= 2
    except OSError:
        return None  # no route, or a port unreachable: the next server may do
    finally:
        bound.settimeout(blocking)
    return None


def _hear(bound: socket.socket, request: stun.Message, until_s: float) -> tuple[str, int] | None:
    """The answer with our transaction's 96 random bits; what else comes to the port meanwhile is not ours to answer."""
    while (left_s := until_s - time.monotonic()) > 0:
        bound.settimeout(left_s)
        try:
            datagram = bound.recv(1500)
            answer = stun.parse_message(datagram)
        except TimeoutError:
            return None
        except ValueError:
            continue
        is_ours = answer.transaction_id == request.transaction_id and answer.message_class == stun.Class.RESPONSE
        if is_ours and (mapped := answer.attributes.get("XOR-MAPPED-ADDRESS")):
            address = ipaddress.ip_address(mapped[0])
            plain = getattr(address, "ipv4_mapped", None) or address
            return str(plain), int(mapped[1])
    return None
