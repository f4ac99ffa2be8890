"""The process as signalling and clients meet it: `python -m sfu`, its control socket, its UDP ports."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sfu.contract.messages import (
    CloseSession,
    Describe,
    Done,
    IceRestarted,
    Load,
    OpenSpace,
    Refused,
    RemoveParticipant,
    RestartIce,
    SessionClosed,
    SessionConnected,
    SessionOpened,
    SetMuted,
    SetOnStage,
    Snapshot,
    Speaking,
)
from tests.harness.dtls import PROFILES, make_certificate
from tests.harness.processes import poll, read_metric
from tests.harness.wire import Manner, WirePeer
from tests.sfu.live_sfu import LiveSfu, answer_of

pytestmark = pytest.mark.live


@pytest.fixture
async def sfu(tmp_path: Path) -> AsyncIterator[LiveSfu]:
    async with LiveSfu(tmp_path) as sfu:
        yield sfu


async def heard_by(speaker: WirePeer, listener: WirePeer) -> None:
    """Until one of the speaker's packets has come through."""
    async with speaker.speaking():
        await listener.until(lambda: bool(listener.numbers(speaker)), what=f"hearing {speaker.name}")


async def hears_goodbye(peer: WirePeer) -> None:
    handshake = peer.handshake
    assert handshake is not None
    await peer.until(lambda: "close_notify" in handshake.alerts, what="the server's close_notify")


class TestMedia:
    @pytest.mark.parametrize("profile", PROFILES)
    @pytest.mark.parametrize("setup", ["actpass", "passive"])
    async def test_a_speaker_is_heard_in_either_role_under_every_profile(
        self, sfu: LiveSfu, setup: str, profile: bytes
    ) -> None:
        ana = await sfu.join("ana", "whip", setup=setup, profiles=[profile])
        ben = await sfu.join("ben", "whep", setup=setup, profiles=[profile])
        await heard_by(ana, ben)
        assert not ben.dropped
        await sfu.signalling.hears(SessionConnected, session="session-of-ana")

    async def test_a_stage_session_hears_others_and_not_itself(self, sfu: LiveSfu) -> None:
        ana, ben = await sfu.join("ana", "stage", sections=2), await sfu.join("ben", "stage", sections=2)
        async with ben.speaking():
            await heard_by(ana, ben)
            await ana.until(lambda: bool(ana.numbers(ben)), what="hearing ben")
        assert not ana.numbers(ana)

    async def test_who_speaks_is_reported_by_identity(self, sfu: LiveSfu) -> None:
        ana = await sfu.join("ana", "whip")
        async with ana.speaking(level_dbov=-20):
            report = await sfu.signalling.hears(Speaking, such_that=lambda report: bool(report.voices))
        ((identity, level_dbov),) = report.voices
        assert (report.space, identity) == ("lounge", "ana")
        assert -127 <= level_dbov <= 0

    async def test_two_workers_share_the_peers_and_one_space(self, tmp_path: Path) -> None:
        async with LiveSfu(tmp_path, workers=2) as sfu:
            ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whep")
            assert ana.server[1] != ben.server[1]
            await heard_by(ana, ben)


class TestHandshake:
    async def test_a_client_hello_that_stays_unanswered_is_repeated(self, sfu: LiveSfu) -> None:
        ana = await sfu.peer("ana", Manner(sections=["sendonly"], setup="passive"))
        opened = await sfu.open(ana, "whip")
        assert isinstance(opened, SessionOpened)
        await ana.reach(answer_of(opened, ana))

        def hellos() -> list[bytes]:
            return [datagram for datagram in ana.path.received if datagram[0] == 22]

        await ana.until(lambda: len(hellos()) >= 2, what="the second ClientHello")


class TestCertificates:
    """T20: with the wrong certificate there is no media, whichever side is the DTLS client."""

    @pytest.mark.parametrize("setup", ["actpass", "passive"])
    async def test_a_certificate_that_the_sdp_did_not_name_ends_the_session(self, sfu: LiveSfu, setup: str) -> None:
        manner = Manner(sections=["sendonly"], setup=setup, claimed_fingerprint=make_certificate().fingerprint)
        mallory = await sfu.peer("mallory", manner)
        opened = await sfu.open(mallory, "whip")
        assert isinstance(opened, SessionOpened)
        await mallory.reach(answer_of(opened, mallory))
        mallory.start_handshake()
        await sfu.signalling.hears(SessionClosed, identity="mallory", reason="wrong_certificate")


class TestModeration:
    async def test_after_a_mute_is_done_no_packet_passes(self, sfu: LiveSfu) -> None:
        ana, eve, ben = [
            await sfu.join("ana", "whip"),
            await sfu.join("eve", "whip"),
            await sfu.join("ben", "whep", sections=2),
        ]
        await heard_by(ana, ben)
        async with ana.speaking():
            assert await sfu.signalling.ask(SetMuted("lounge", ["ana"], is_muted=True)) == Done()
            since = ana.said
            await heard_by(eve, ben)
            last = await ana.talk(10)
        await ben.hears(eve.say())
        assert last.number > since
        assert not [number for number in ben.numbers(ana) if number > since]

    async def test_the_muted_stay_muted_when_they_come_again(self, sfu: LiveSfu) -> None:
        await sfu.join("ana", "whip")
        await sfu.signalling.ask(SetMuted("lounge", ["ana"], is_muted=True))
        peer = await sfu.peer("ana", Manner(sections=["sendonly"]))
        opened = await sfu.open(peer, "whip", session="again")
        assert isinstance(opened, SessionOpened)
        await peer.connect(answer_of(opened, peer))
        eve, ben = await sfu.join("eve", "whip"), await sfu.join("ben", "whep", sections=2)
        await peer.talk(10)
        await heard_by(eve, ben)
        assert not ben.numbers(peer)

    async def test_promotion_opens_without_renegotiation(self, sfu: LiveSfu) -> None:
        ben = await sfu.join("ben", "whep")
        ana = await sfu.peer("ana", Manner(sections=["sendrecv"]))
        opened = await sfu.open(ana, "stage", is_on_stage=False)
        assert isinstance(opened, SessionOpened)
        await ana.connect(answer_of(opened, ana))
        await ana.talk(5)
        assert await sfu.signalling.ask(SetOnStage("lounge", "ana", is_on_stage=True)) == Done()
        await heard_by(ana, ben)

    async def test_the_removed_hear_a_goodbye_and_then_nothing(self, sfu: LiveSfu) -> None:
        ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whep")
        await heard_by(ana, ben)
        assert await sfu.signalling.ask(RemoveParticipant("lounge", "ben")) == Done()
        heard = len(ben.ledger.heard)
        cem = await sfu.join("cem", "whep")
        await heard_by(ana, cem)
        assert len(ben.ledger.heard) == heard
        await hears_goodbye(ben)

    async def test_the_eleventh_speaker_is_refused(self, sfu: LiveSfu) -> None:
        await sfu.signalling.ask(OpenSpace("lounge", max_speakers=1))
        await sfu.join("ana", "whip")
        refusal = await sfu.open(await sfu.peer("ben", Manner(sections=["sendonly"])), "whip")
        assert isinstance(refusal, Refused)
        assert refusal.code == "stage_full"


class TestSessions:
    async def test_said_twice_a_session_is_opened_once(self, sfu: LiveSfu) -> None:
        ana = await sfu.peer("ana", Manner(sections=["sendonly"]))
        assert await sfu.open(ana, "whip") == await sfu.open(ana, "whip")

    async def test_a_peer_that_says_goodbye_has_left(self, sfu: LiveSfu) -> None:
        ana = await sfu.join("ana", "whip")
        ana.leave()
        await sfu.signalling.hears(SessionClosed, identity="ana", reason="left")

    async def test_closing_is_reported_and_said_twice_done_twice(self, sfu: LiveSfu) -> None:
        await sfu.join("ana", "whip")
        for _ in range(2):
            assert await sfu.signalling.ask(CloseSession("session-of-ana")) == Done()
        await sfu.signalling.hears(SessionClosed, identity="ana", reason="closed")

    async def test_an_ice_restart_keeps_the_media(self, sfu: LiveSfu) -> None:
        ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whep")
        await heard_by(ana, ben)
        answer = await sfu.signalling.ask(RestartIce("session-of-ana", ana.renew_credentials().ufrag))
        assert isinstance(answer, IceRestarted)
        ana.accept_restart(ufrag=answer.ufrag, pwd=answer.pwd)
        await ana.move()
        await ben.hears(ana.say())


class TestSignallingGone:
    async def test_media_goes_on_and_the_next_one_finds_everything_described(self, sfu: LiveSfu) -> None:
        ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whep")
        await heard_by(ana, ben)
        async with ana.speaking():
            await sfu.signalling.close()
            sfu.signalling = await sfu.connect()
            snapshot = await sfu.signalling.ask(Describe())
            await ben.hears(ana.say())
        assert not ben.ledger.breaks()
        assert isinstance(snapshot, Snapshot)
        assert {state.identity: state.is_connected for state in snapshot.sessions} == {"ana": True, "ben": True}

    async def test_load_is_reported_unasked(self, sfu: LiveSfu) -> None:
        await sfu.signalling.hears(Load, accepts=True)


class TestProcess:
    async def test_sigterm_says_goodbye_and_leaves_nothing_behind(self, sfu: LiveSfu) -> None:
        ana = await sfu.join("ana", "whip")
        assert sfu.process.stop() == 0
        await hears_goodbye(ana)
        assert not exists(sfu.path)

    async def test_its_counters_can_be_scraped(self, sfu: LiveSfu) -> None:
        ana, ben = await sfu.join("ana", "whip"), await sfu.join("ben", "whep")
        await heard_by(ana, ben)
        url = f"http://127.0.0.1:{sfu.metrics_port}/metrics"

        def scraped() -> bool:
            connected = read_metric(url, "palco_sfu_sessions", {"state": "connected"})
            return connected == 2 and read_metric(url, "palco_sfu_rtp_packets_total", {"direction": "out"}) >= 1

        poll(scraped, what="two sessions and a packet in the metrics", within_s=5)

    async def test_a_second_one_on_the_same_ports_says_which_and_what_to_do(self, sfu: LiveSfu) -> None:
        second = sfu.another_process()
        second.start()
        poll(lambda: not second.is_running, what="the second one giving up", within_s=30)
        assert f"UDP port {sfu.udp_ports[0]} on 127.0.0.1 cannot be had" in second.tail()


def exists(path: Path) -> bool:
    return path.exists()
