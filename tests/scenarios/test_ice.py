"""A participant's address and names may change while it speaks; one that is gone is forgotten."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sfu._dataplane import Dataplane
from tests.harness import ice, rtp
from tests.harness.path import open_path
from tests.harness.room import Room
from tests.harness.wire import WITHIN_S, meet

pytestmark = pytest.mark.live


async def test_an_ice_restart_loses_no_packet_and_ends_the_old_names(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    first = ana.peer.said + 1
    etags = {ana.etag, bob.etag}
    async with ana.peer.speaking():
        for guest in (ana, bob):
            await room.restart_ice(guest)
            await guest.peer.check(nominates=True)
    last = ana.peer.say()
    await bob.peer.hears(last)
    heard = [number for number in bob.peer.numbers(ana.peer) if number >= first]
    assert heard == list(range(first, last.number + 1))
    assert not etags & {ana.etag, bob.etag}


async def test_a_restart_and_a_new_address_at_once_lose_no_packet(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    first = ana.peer.said + 1
    await room.restart_ice(ana)
    await ana.peer.move()
    last = await ana.peer.talk(10)
    await bob.peer.hears(last)
    heard = [number for number in bob.peer.numbers(ana.peer) if number >= first]
    assert heard == list(range(first, last.number + 1))


async def test_a_speaker_whose_address_changes_is_heard_without_a_gap(room: Room) -> None:
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    first = ana.peer.said + 1
    for _ in range(3):
        await ana.peer.talk(5)
        await ana.peer.move()
    last = await ana.peer.talk(5)
    await bob.peer.hears(last)
    heard = [number for number in bob.peer.numbers(ana.peer) if number >= first]
    assert heard == list(range(first, last.number + 1))


async def test_a_listener_whose_address_changes_is_followed_once_it_proves_itself(room: Room) -> None:
    """The new path gets media after a nominating check and an authentic packet from it (here a receiver report)."""
    ana, bob = await room.speaker("ana"), await room.listener("bob")
    await meet(ana.peer, bob.peer)
    path = await bob.peer.move()
    bob.peer.send_rtcp(rtp.build_receiver_report(bob.peer.ssrc, []))
    async with ana.peer.speaking():
        await bob.peer.until(
            lambda: any(128 <= datagram[0] < 192 for datagram in path.received), what="media on the new path"
        )
    assert not bob.peer.ledger.breaks()
    assert not bob.peer.dropped


async def test_a_peer_that_falls_silent_is_forgotten_after_its_consent_ran_out() -> None:
    """RFC 7675 §5.1, with a timeout short enough to wait for."""
    async with dataplane(consent_timeout_s=1.0) as (plane, port):
        local, remote = ice.make_credentials(), ice.make_credentials()
        peer = plane.create_peer(0, ufrag=remote.ufrag, pwd=remote.pwd)
        path = await open_path("127.0.0.1")
        path.send(ice.build_check(local, remote, nominates=True), ("127.0.0.1", port))
        nominated = await event(plane, "nominated")
        assert nominated == ("nominated", peer, *path.address)
        assert await event(plane, "expired") == ("expired", peer)
        answers = len(path.received)
        # Whatever comes now is a stranger's. A second peer's answer shows that the worker has served what came before.
        path.send(ice.build_check(local, remote, nominates=True), ("127.0.0.1", port))
        plane.create_peer(0, ufrag="other", pwd=remote.pwd)
        other = await open_path("127.0.0.1")
        check = ice.build_check(local, ice.Credentials("other", remote.pwd), nominates=True)
        other.send(check, ("127.0.0.1", port))
        await event(plane, "nominated")
        assert len(path.received) == answers
        await path.close()
        await other.close()


async def test_a_peer_that_never_comes_is_forgotten() -> None:
    async with dataplane(join_timeout_s=0.5) as (plane, _):
        peer = plane.create_peer(0, ufrag="absent", pwd="x" * 24)
        assert await event(plane, "expired") == ("expired", peer)


@asynccontextmanager
async def dataplane(
    *, consent_timeout_s: float = 30.0, join_timeout_s: float = 30.0
) -> AsyncIterator[tuple[Dataplane, int]]:
    """The native core alone, with one worker on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        plane = Dataplane([server.fileno()], consent_timeout_s=consent_timeout_s, join_timeout_s=join_timeout_s)
        try:
            yield plane, server.getsockname()[1]
        finally:
            plane.close()


async def event(plane: Dataplane, kind: str) -> tuple[object, ...]:
    """The next event of this kind; earlier ones of other kinds are passed over."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[tuple[object, ...]] = loop.create_future()

    def read() -> None:
        for one in plane.events():
            if one[0] == kind and not found.done():
                found.set_result(one)

    loop.add_reader(plane.fileno(), read)
    try:
        async with asyncio.timeout(WITHIN_S):
            return await found
    finally:
        loop.remove_reader(plane.fileno())
