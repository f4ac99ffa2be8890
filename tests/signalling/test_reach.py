"""What `palco doctor` finds beyond this machine: a relay that lets us in, a STUN server, a database and its tables."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from sfu.contract.config import Config, Rtc, Store, TurnServer
from signalling.commands.checks import Finding
from signalling.commands.reach import check_gso, check_migrations, check_relays, check_stun
from signalling.store import Store as Database
from tests.harness.coturn import Coturn, coturn
from tests.harness.processes import take_port

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    with coturn(tmp_path_factory.mktemp("coturn")) as server:
        yield server


def relays(*servers: TurnServer) -> list[Finding]:
    return list(check_relays(Config(rtc=Rtc(turn_servers=list(servers)))))


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_relay_that_knows_our_secret_gives_us_an_address(protocol: Literal["udp", "tcp"], relay: Coturn) -> None:
    (finding,) = relays(TurnServer(host="127.0.0.1", port=relay.port, protocol=protocol, secret=relay.secret))
    assert (finding.level, finding.subject) == ("ok", f"TURN turn:127.0.0.1:{relay.port}?transport={protocol}")
    assert finding.detail.startswith("allocated 127.0.0.1 port ")


def test_another_secret_is_named_as_the_reason(relay: Coturn) -> None:
    (finding,) = relays(TurnServer(host="127.0.0.1", port=relay.port, secret="not-the-one"))
    assert finding.level == "fail"
    assert "401" in finding.detail
    assert "static-auth-secret" in finding.remedy
    assert "not-the-one" not in str(finding)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_nobody_there_is_said_so(protocol: Literal["udp", "tcp"]) -> None:
    port = take_port()
    (finding,) = relays(TurnServer(host="127.0.0.1", port=port, protocol=protocol, secret="secret"))
    assert finding.level == "fail"
    assert str(port) in finding.remedy


def test_a_stun_server_says_who_we_are(relay: Coturn) -> None:
    (finding,) = check_stun(Config(rtc=Rtc(stun_servers=[f"127.0.0.1:{relay.port}"])))
    assert (finding.level, finding.detail) == ("ok", "we are 127.0.0.1 to it")


@pytest.mark.parametrize(("use_external_ip", "level"), [(True, "fail"), (False, "warn")])
def test_a_stun_server_that_is_silent_is_worse_where_we_lean_on_it(use_external_ip: bool, level: str) -> None:
    rtc = Rtc(stun_servers=[f"127.0.0.1:{take_port()}"], use_external_ip=use_external_ip)
    (finding,) = check_stun(Config(rtc=rtc))
    assert finding.level == level


def test_segments_really_arrive_one_by_one() -> None:
    (finding,) = check_gso()
    assert (finding.level, finding.detail) == ("ok", "one call sent 4 datagrams")


def test_a_database_that_does_not_exist_yet_is_left_to_the_first_start(tmp_path: Path) -> None:
    config = Config(store=Store(url=f"sqlite:///{tmp_path}/palco.db"))
    assert list(check_migrations(config)) == []
    assert list(tmp_path.iterdir()) == []


def test_the_tables_of_a_store_are_of_this_release(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/palco.db"

    async def make() -> None:
        store = Database(url)
        await store.open()
        await store.close()

    asyncio.run(make())
    (finding,) = check_migrations(Config(store=Store(url=url)))
    assert finding.detail.startswith("of this release (")


def test_older_tables_are_told_apart(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "palco.db") as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0001')")
    database.close()
    (finding,) = check_migrations(Config(store=Store(url=f"sqlite:///{tmp_path}/palco.db")))
    assert finding.detail.startswith("of 0001; the next start brings them to ")


def test_a_database_server_that_is_away_is_named_without_its_password() -> None:
    url = f"postgresql://palco:hunter2@127.0.0.1:{take_port()}/palco"
    (finding,) = check_migrations(Config(store=Store(url=url)))
    assert finding.level == "fail"
    assert "hunter2" not in str(finding)
