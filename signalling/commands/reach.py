"""What Palco leans on that is not of it: the proxy's certificate, relay, STUN server, database. Edge (sockets).

Every check returns findings and raises nothing; `doctor` prints them.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aioice import stun, turn
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from sfu.contract.config import Config, TurnServer
from signalling.commands.checks import UDP_SEGMENT, Finding, Level, sqlite_path
from signalling.ice_servers import turn_credentials, turn_url
from signalling.store import migrations

WITHIN_S: Final = 5.0

EXPIRES_SOON_DAYS: Final = 14
"""What renews itself is renewed a month before (Let's Encrypt's clients); two weeks before, it was not."""

SEGMENT_BYTES: Final = 200
SEGMENTS: Final = 4


def check_gso() -> Iterator[Finding]:
    """Sends to ourselves, in one call, what must arrive as several datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(1.0)
        try:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SEGMENT_BYTES)
            sender.sendto(bytes(SEGMENTS * SEGMENT_BYTES), receiver.getsockname())
            sizes = [len(receiver.recv(65_536)) for _ in range(SEGMENTS)]
        except OSError as error:
            remedy = "Palco sends each datagram by itself then, at several times the cost; Linux 4.18 or newer has it"
            yield Finding("warn", "UDP GSO", f"sending segments failed ({error})", remedy)
            return
    if sizes == [SEGMENT_BYTES] * SEGMENTS:
        yield Finding("ok", "UDP GSO", f"one call sent {SEGMENTS} datagrams")
    else:
        yield Finding("warn", "UDP GSO", f"one call sent {sizes} bytes instead of {SEGMENTS} x {SEGMENT_BYTES}")


def check_certificate(config: Config, *, trust: ssl.SSLContext | None = None) -> Iterator[Finding]:
    """Whether browsers will take the certificate at `public_url`, and for how long; `trust` by default the system's."""
    place = urlsplit(config.public_url)
    if place.scheme != "https" or place.hostname is None:
        return
    subject = f"Certificate of {place.hostname}"
    try:
        with (
            socket.create_connection((place.hostname, place.port or 443), WITHIN_S) as plain,
            (trust or ssl.create_default_context()).wrap_socket(plain, server_hostname=place.hostname) as secured,
        ):
            certificate = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        remedy = "give the proxy the whole chain of a certificate for this name, from an authority that browsers know"
        yield Finding("fail", subject, error.verify_message, remedy)
        return
    except OSError as error:
        remedy = (
            "start the proxy in front of Palco, or correct public_url; browsers give a microphone to secure pages only"
        )
        yield Finding("warn", subject, str(error) or "no answer", remedy)
        return
    until = str(certificate.get("notAfter", ""))
    days = int((ssl.cert_time_to_seconds(until) - time.time()) // 86_400)
    if days < EXPIRES_SOON_DAYS:
        yield Finding(
            "warn", subject, f"good for {days} more days, until {until}", "see why the proxy did not renew it"
        )
    else:
        yield Finding("ok", subject, f"good until {until}")


def check_relays(config: Config) -> Iterator[Finding]:
    """A real allocation on each relay, with credentials as a session gets them."""
    for server in config.rtc.turn_servers:
        subject = f"TURN {turn_url(server)}"
        try:
            relayed = asyncio.run(asyncio.wait_for(_allocate(server), WITHIN_S))
        except stun.TransactionFailed as failure:
            code, reason = failure.response.attributes.get("ERROR-CODE", (0, "refused"))
            remedy = "its secret and its clock must be ours: use-auth-secret and static-auth-secret in turnserver.conf"
            yield Finding("fail", subject, f"it refuses us: {code} {reason}", remedy)
        except (OSError, TimeoutError, stun.TransactionTimeout) as error:
            why = str(error) or "no answer"
            remedy = f"is it running, and may this machine reach {server.host} port {server.port} ({server.protocol})?"
            yield Finding("fail", subject, why, remedy)
        else:
            yield Finding("ok", subject, f"allocated {relayed}")


async def _allocate(server: TurnServer) -> str:
    """The address that the relay gave us, given back at once."""
    username, password = turn_credentials(server, label="doctor", now_s=time.time())
    host = server.host.strip("[]")
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol,
        server_addr=(host, server.port),
        username=username,
        password=password,
        ssl=ssl.create_default_context() if server.protocol == "tls" else None,
        transport="udp" if server.protocol == "udp" else "tcp",
    )
    try:
        address, port = transport.get_extra_info("sockname")[:2]
    finally:
        transport.close()
        await asyncio.sleep(0)
    return f"{address} port {port}"


def check_migrations(config: Config) -> Iterator[Finding]:
    """Whether the database can be reached, and whose tables it has; changes nothing."""
    url = make_url(config.store.url)
    if sqlite_path(config) is not None and not (url.database and Path(url.database).exists()):
        return  # made and migrated by the first start
    try:
        has, wants = asyncio.run(asyncio.wait_for(_revisions(url), WITHIN_S))
    except (OSError, TimeoutError, SQLAlchemyError) as error:
        where = url.render_as_string(hide_password=True)
        why = str(getattr(error, "orig", None) or error).splitlines() or ["no answer"]
        yield Finding("fail", "Database", f"{where}: {why[0]}", "start it, or correct store.url: user, password, name")
        return
    if has == wants:
        yield Finding("ok", "Database tables", f"of this release ({has})")
    else:
        yield Finding("ok", "Database tables", f"of {has or 'no release yet'}; the next start brings them to {wants}")


async def _revisions(url: URL) -> tuple[str | None, str | None]:
    """The revision that the database has, and the one that this program brings it to."""
    driver = "sqlite+aiosqlite" if url.get_backend_name() == "sqlite" else "postgresql+asyncpg"
    query = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}  # as the store has it
    engine = create_async_engine(url.set(drivername=driver, query=query))
    try:
        async with engine.connect() as connection:
            has = await connection.run_sync(lambda plain: MigrationContext.configure(plain).get_current_revision())
    finally:
        await engine.dispose()
    scripts = Path(migrations.__file__).parent
    return has, ScriptDirectory(str(scripts)).get_current_head()


def check_stun(config: Config) -> Iterator[Finding]:
    for server in config.rtc.stun_servers:
        host, _, port = server.rpartition(":")
        try:
            address = _ask(host.strip("[]"), int(port))
        except OSError as error:
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
            level: Level = "fail" if config.rtc.use_external_ip else "warn"
            yield Finding(level, f"STUN {server}", why, "check the address and the firewall, or name another")
        else:
            yield Finding("ok", f"STUN {server}", f"we are {address} to it")


def _ask(host: str, port: int) -> str:
    """What XOR-MAPPED-ADDRESS says. Raises OSError."""
    family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(WITHIN_S / 2)
        asking.connect(place)
        asking.send(bytes(request))
        try:
            answer = stun.parse_message(asking.recv(1500))
        except ValueError:
            raise OSError("what answers there is no STUN server") from None
    if answer.transaction_id != request.transaction_id or "XOR-MAPPED-ADDRESS" not in answer.attributes:
        raise OSError("its answer tells no address")
    return str(answer.attributes["XOR-MAPPED-ADDRESS"][0])
