"""People whose network lets no UDP through speak and listen by TCP (RFC 6544), end to end."""

from pathlib import Path
from typing import Any

import pytest

from sfu.contract.messages import Candidate, SessionOpened
from tests.harness.processes import take_port
from tests.harness.wire import Manner, WirePeer
from tests.sfu.live_sfu import LiveSfu, answer_of
from tests.sfu.sessions import Kind

pytestmark = pytest.mark.live


async def join_by_tcp(sfu: LiveSfu, identity: str, kind: Kind, **manner: Any) -> WirePeer:
    directions = {"whip": "sendonly", "whep": "recvonly"}
    peer = await sfu.peer(identity, Manner(sections=[directions[kind]], **manner))  # type: ignore[list-item]
    opened = await sfu.open(peer, kind)
    assert isinstance(opened, SessionOpened), opened
    (by_tcp,) = [candidate for candidate in opened.candidates if candidate.protocol == "tcp"]
    await peer.open_tcp_path(by_tcp.address, by_tcp.port)
    await peer.connect(answer_of(opened, peer))
    return peer


async def hears(listener: WirePeer, speaker: WirePeer, *, packets: int) -> None:
    await listener.until(lambda: len(listener.numbers(speaker)) >= packets, what=f"hearing {speaker.name}")


async def test_a_speaker_and_a_listener_by_tcp_are_in_the_same_space_as_those_by_udp(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path, workers=2, rtc={"tcp_port": take_port()}) as sfu:
        by_tcp, by_udp = await join_by_tcp(sfu, "ana", "whip"), await sfu.join("ben", "whip")
        listeners = [await join_by_tcp(sfu, "eve", "whep"), await sfu.join("kai", "whep")]
        for speaker in (by_tcp, by_udp):
            for listener in listeners:
                async with speaker.speaking():
                    await hears(listener, speaker, packets=20)
        assert all(not listener.dropped for listener in listeners)


async def test_candidates_by_tcp_come_after_those_by_udp(tmp_path: Path) -> None:
    port = take_port()
    async with LiveSfu(tmp_path, rtc={"tcp_port": port}) as sfu:
        opened = await sfu.open(await sfu.peer("ana", Manner(sections=["sendonly"])), "whip")
        assert isinstance(opened, SessionOpened)
        assert opened.candidates == [
            Candidate("127.0.0.1", sfu.udp_ports[0]),
            Candidate("127.0.0.1", port, "tcp"),
        ]


async def test_a_listener_whose_connection_breaks_comes_back_by_another(tmp_path: Path) -> None:
    async with LiveSfu(tmp_path, rtc={"tcp_port": take_port()}) as sfu:
        ana = await sfu.join("ana", "whip")
        eve = await join_by_tcp(sfu, "eve", "whep")
        first = eve.path
        await eve.hears(await ana.talk(5))
        host, port = first.stream.get_extra_info("peername")[:2]  # type: ignore[attr-defined]
        await first.close()
        eve.paths.remove(first)
        await eve.open_tcp_path(host, port)
        await eve.check(nominates=True)
        eve.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01")  # authentic, from the new connection: so media follows
        await eve.hears(await ana.talk(5))
