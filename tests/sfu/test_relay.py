"""Commands become calls of the data plane, its events become reports; answers wait until they are true."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from sfu._dataplane import StaleId
from sfu.association import Left, Send
from sfu.audio.contract import Settings
from sfu.certificate import LocalCertificate
from sfu.contract.messages import (
    Answer,
    CloseSession,
    CloseSpace,
    Command,
    Done,
    Load,
    OpenSession,
    OpenSpace,
    Refused,
    RemoveParticipant,
    Report,
    RestartIce,
    SessionClosed,
    SessionConnected,
    SessionOpened,
    SetAudience,
    SetMuted,
    Setup,
    Speaking,
)
from sfu.contract.tracing import Untraced
from sfu.handshake import DtlsContexts, Established, Handshake
from sfu.handshakes import Handshakes
from sfu.join_watch import JoinWatch
from sfu.mixes import Mixes
from sfu.performer import Performer
from sfu.relay import Relay
from sfu.strain import LATE_SAMPLES
from sfu.tally import Tally
from tests.sfu.dtls_link import OURS, STRANGERS, THEIRS, handshake
from tests.sfu.sessions import Kind, make_node, open_session
from tests.sfu.stand_in import StandIn, StandInMixers


@dataclass
class Desk:
    """A relay over a stand-in, with a hand for signalling."""

    dataplane: StandIn
    mixers: StandInMixers
    mixes: Mixes
    relay: Relay
    tally: Tally
    reports: list[Report]

    def command(self, command: Command) -> list[Answer]:
        """What has been answered so far, in a list that goes on growing."""
        answers: list[Answer] = []
        self.relay.obey(command, answers.append)
        return answers

    def join(
        self, session: str, identity: str, kind: Kind = "whip", *, setup: str = "passive", sections: int | None = None
    ) -> SessionOpened:
        role: Setup = "active" if setup == "active" else "passive"
        command = open_session(session, identity, kind, setup=role, sections=sections)
        (answer,) = self.command(_named(command, THEIRS))
        assert isinstance(answer, SessionOpened)
        return answer

    async def settle(self) -> None:
        """Lets the loop take up what the stand-in has said."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def shake_hands(self, peer: int, own: LocalCertificate = THEIRS) -> Handshake:
        """A client's handshake to its end over the stand-in."""
        client = handshake("client", own=own, expected=OURS)
        waiting = client.start(0.0)
        while waiting:
            effect = waiting.pop(0)
            if isinstance(effect, Send):
                for datagram in effect.datagrams:
                    self.dataplane.tell("dtls", peer, datagram)
                await self.settle()
                answers, self.dataplane.dtls = self.dataplane.dtls, []
                for _, datagram in answers:
                    waiting += client.on_datagram(datagram, 0.0)
            elif isinstance(effect, Established):
                self.association = effect.association
        return client


def _named(command: OpenSession, certificate: LocalCertificate) -> OpenSession:
    return structs.replace(command, fingerprints=[certificate.fingerprint])


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    dataplane, mixers, tally, reports = StandIn(), StandInMixers(), Tally(), list[Report]()
    handshakes = Handshakes(DtlsContexts(OURS))
    mixes = Mixes(dataplane.face, mixers, Settings())
    relay = Relay(
        dataplane.face,
        node=make_node(),
        handshakes=handshakes,
        performer=Performer(dataplane.face, handshakes, mixes=mixes, workers=2),
        tally=tally,
        watch=JoinWatch(CollectorRegistry(), Untraced()),
        announce=reports.append,
    )
    desk = Desk(dataplane, mixers, mixes, relay, tally, reports)
    desk.command(OpenSpace("lounge"))
    yield desk
    dataplane.apply()
    stopping = asyncio.create_task(relay.stop())
    await desk.settle()
    dataplane.apply()
    await stopping


class TestAnswers:
    async def test_done_waits_until_the_data_plane_has_applied_it(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        answers = desk.command(SetMuted("lounge", ["ana"], is_muted=True))
        await desk.settle()
        assert answers == []
        desk.dataplane.apply()
        await desk.settle()
        assert answers == [Done()]

    async def test_done_waits_even_where_nothing_is_left_to_do(self, desk: Desk) -> None:
        """The first one's work may still be under way."""
        desk.join("s1", "ana")
        desk.command(SetMuted("lounge", ["ana"], is_muted=True))
        assert desk.command(SetMuted("lounge", ["ana"], is_muted=True)) == []

    async def test_a_session_is_answered_at_once(self, desk: Desk) -> None:
        assert desk.join("s1", "ana").session == "s1"

    async def test_credentials_are_long_and_never_the_same(self, desk: Desk) -> None:
        """T3: at least 24 and 128 random bits (RFC 8445 §5.3), of ice-chars."""
        opened = [desk.join(f"s{number}", f"id-{number}", "whep") for number in range(20)]
        assert len({(answer.ufrag, answer.pwd) for answer in opened}) == 20
        assert all(len(answer.ufrag) == 12 and len(answer.pwd) == 24 for answer in opened)
        assert all(
            character.isalnum() or character in "+/" for answer in opened for character in answer.ufrag + answer.pwd
        )

    async def test_ssrcs_differ_from_each_other_and_the_client_s(self, desk: Desk) -> None:
        answer = desk.join("s1", "ana", "stage")
        assert len(set(answer.ssrcs)) == 2
        assert 0 not in answer.ssrcs


class TestPeers:
    async def test_they_go_to_the_worker_with_the_fewest(self, desk: Desk) -> None:
        for number in range(4):
            desk.join(f"s{number}", f"id-{number}", "whep")
        assert [worker for worker, _, _ in desk.dataplane.told("create_peer")] == [0, 1, 0, 1]
        desk.command(CloseSession("s1"))
        desk.command(CloseSession("s3"))
        desk.join("s4", "id-4", "whep")
        assert desk.dataplane.told("create_peer")[-1][0] == 1

    async def test_a_stage_session_is_track_slots_and_following(self, desk: Desk) -> None:
        answer = desk.join("s1", "ana", "stage")
        ((peer, stage, negotiated),) = desk.dataplane.told("add_track")
        assert negotiated["is_open"] is True
        assert (negotiated["payload_type"], negotiated["mid"], negotiated["mid_id"], negotiated["level_id"]) == (
            111,
            "0",
            4,
            1,
        )
        assert [slot["ssrc"] for _, slot in desk.dataplane.told("add_slot")] == answer.ssrcs
        track = 3  # the stand-in's third id, after stage and peer
        assert desk.dataplane.told("follow") == [(peer, stage, track, 20)]

    async def test_a_mute_closes_the_track_s_gate(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.command(SetMuted("lounge", ["ana"], is_muted=True))
        assert desk.dataplane.told("set_gate") == [(3, False)]

    async def test_the_removed_are_told_goodbye_and_then_gone(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        await desk.shake_hands(2)
        desk.command(RemoveParticipant("lounge", "ana"))
        assert [name for name, _ in desk.dataplane.calls][-2:] == ["send_dtls", "remove_peer"]
        assert desk.association.on_datagram(desk.dataplane.dtls[-1][1]) == [Left()]
        assert desk.reports[-1] == SessionClosed("s1", "lounge", "ana", "removed")

    async def test_the_end_of_a_space_removes_its_peers_and_then_its_stage(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.command(CloseSpace("lounge"))
        assert [name for name, _ in desk.dataplane.calls][-2:] == ["remove_peer", "remove_stage"]

    async def test_an_ice_restart_renews_the_credentials(self, desk: Desk) -> None:
        opened = desk.join("s1", "ana")
        (answer,) = desk.command(RestartIce("s1", "fresh"))
        ((peer, ufrag, _),) = desk.dataplane.told("restart_ice")
        assert peer == 2
        assert ufrag == answer.ufrag != opened.ufrag  # type: ignore[union-attr]


class TestDtls:
    async def test_a_finished_handshake_sets_the_keys_and_is_announced(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        await desk.shake_hands(2)
        ((peer, profile, receive_key, send_key),) = desk.dataplane.told("set_srtp")
        assert (peer, profile, len(receive_key), len(send_key)) == (2, 0x0007, 28, 28)
        assert desk.reports == [SessionConnected("s1")]
        assert desk.tally.handshakes == {"established": 1}

    async def test_a_wrong_certificate_gets_no_keys_and_no_session(self, desk: Desk) -> None:
        """T20."""
        desk.join("s1", "ana")
        await desk.shake_hands(2, own=STRANGERS)
        assert desk.dataplane.told("set_srtp") == []
        assert desk.dataplane.told("remove_peer") == [(2,)]
        assert desk.reports == [SessionClosed("s1", "lounge", "ana", "wrong_certificate")]

    async def test_a_peer_that_insists_on_being_passive_is_called_when_ice_has_found_it(self, desk: Desk) -> None:
        desk.join("s1", "ana", setup="active")
        await desk.settle()
        assert desk.dataplane.dtls == []
        desk.dataplane.tell("nominated", 2, "192.0.2.7", 5000)
        await desk.settle()
        assert len(desk.dataplane.dtls) == 1

    async def test_a_peer_s_goodbye_ends_its_session(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        await desk.shake_hands(2)
        desk.dataplane.tell("dtls", 2, desk.association.close())
        await desk.settle()
        assert desk.reports[-1] == SessionClosed("s1", "lounge", "ana", "left")

    async def test_datagrams_that_come_after_the_end_are_no_surprise(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.command(CloseSession("s1"))
        desk.dataplane.tell("dtls", 2, b"late")
        desk.dataplane.tell("nominated", 2, "192.0.2.7", 5000)
        await desk.settle()
        assert desk.dataplane.dtls == []


class TestEvents:
    async def test_a_peer_that_was_never_heard_is_reported_and_not_removed_twice(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.dataplane.tell("expired", 2)
        await desk.settle()
        assert desk.reports == [SessionClosed("s1", "lounge", "ana", "never_connected")]
        assert desk.dataplane.told("remove_peer") == []

    async def test_a_peer_unheard_for_long_has_expired(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        await desk.shake_hands(2)
        desk.dataplane.tell("expired", 2)
        await desk.settle()
        assert desk.reports[-1] == SessionClosed("s1", "lounge", "ana", "expired")

    async def test_voices_are_told_by_identity_in_dbov(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.join("s2", "ben")
        desk.dataplane.tell("voices", 1, [(5, 20), (3, 41), (99, 50)])
        await desk.settle()
        assert desk.reports == [Speaking("lounge", [("ben", -20), ("ana", -41)])]

    async def test_a_bug_costs_the_one_it_met_and_nobody_else(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        desk.join("s2", "ben")
        desk.dataplane.breaks_on = "set_srtp"
        await desk.shake_hands(2)
        assert desk.reports == [SessionClosed("s1", "lounge", "ana", "handshake_failed")]
        await desk.shake_hands(4)
        assert desk.reports[-1] == SessionConnected("s2")

    async def test_a_bug_in_a_command_refuses_it_and_leaves_nothing_half_open(self, desk: Desk) -> None:
        desk.dataplane.breaks_on = "add_track"
        (answer,) = desk.command(open_session("s1", "ana"))
        assert isinstance(answer, Refused)
        assert desk.dataplane.told("remove_peer") == [(2,)]
        assert desk.relay.load() == Load(accepts=True, reason="", sessions=0)

    async def test_a_worker_that_does_not_keep_up_takes_no_more_and_loses_nobody(self, desk: Desk) -> None:
        desk.join("s1", "ana")
        for _ in range(LATE_SAMPLES):
            desk.dataplane.forwarded["forward_le_inf"] += 100
            load = desk.relay.load()
        assert load == Load(accepts=False, reason="overloaded", sessions=1)
        (answer,) = desk.command(open_session("s2", "ben"))
        assert isinstance(answer, Refused)
        assert answer.code == "overloaded"
        assert desk.dataplane.told("remove_peer") == []


class TestMix:
    """The stand-in counts ids: stage 1, then as they come."""

    @pytest.fixture
    def mixed(self, desk: Desk) -> Desk:
        """Ana (peer 2, track 3) speaks, ben (peer 4, slot 5) hears the mix: stage 6, taps 7 and 8, its track 9."""
        desk.command(SetAudience("lounge", "mix"))
        desk.join("a1", "ana")
        desk.join("b1", "ben", "whep")
        desk.mixers.mix("lounge", desk.mixes.on_mixed)
        return desk

    async def test_a_space_gets_taps_on_two_stages_and_its_voices_are_told(self, mixed: Desk) -> None:
        assert mixed.dataplane.told("open_tap") == [(6, "/sfu", None), (1, None, "/mixer")]
        assert mixed.mixers.told("set_voice") == [("lounge", 3, True)]
        assert mixed.mixers.told("add_audience") == [("lounge", None)]

    async def test_until_a_mix_comes_the_dominant_voice_is_followed_and_then_its_track(self, mixed: Desk) -> None:
        assert mixed.dataplane.told("follow") == [(4, 1, None, 20)]
        assert mixed.dataplane.calls[-2:] == [("add_tap_track", (7, 101, True)), ("replace_loudest", (1, 9, None))]

    async def test_who_comes_later_follows_it_at_once(self, mixed: Desk) -> None:
        mixed.join("c1", "cem", "whep")  # peer 10
        assert mixed.dataplane.told("follow_track") == [(10, 9, 20)]

    async def test_one_that_breaks_off_is_left_by_all_before_its_track_is_removed(self, mixed: Desk) -> None:
        mixed.mixes.on_unmixed("lounge")
        assert mixed.dataplane.calls[-2:] == [("replace_track", (9, 1, None)), ("remove_track", (9,))]
        mixed.mixes.on_unmixed("lounge")
        assert len(mixed.dataplane.told("replace_track")) == 1

    async def test_the_next_process_s_stream_is_a_track_of_its_own(self, mixed: Desk) -> None:
        mixed.mixes.on_unmixed("lounge")
        mixed.mixers.mix("lounge", mixed.mixes.on_mixed)
        assert mixed.dataplane.calls[-2:] == [("add_tap_track", (7, 102, True)), ("replace_loudest", (1, 10, None))]

    async def test_a_mute_is_done_when_the_mixer_has_obeyed_and_the_data_plane_too(self, mixed: Desk) -> None:
        answers = mixed.command(SetMuted("lounge", ["ana"], is_muted=True))
        mixed.dataplane.apply()
        await mixed.settle()
        assert answers == []
        mixed.mixers.obey()
        await mixed.settle()
        assert answers == []
        mixed.dataplane.apply()
        await mixed.settle()
        assert answers == [Done()]

    async def test_the_gate_closes_before_the_mixer_is_told_and_opens_after(self, mixed: Desk) -> None:
        order: list[str] = []
        mixed.dataplane.on_call = order.append
        mixed.mixers.on_call = order.append
        mixed.command(SetMuted("lounge", ["ana"], is_muted=True))
        mixed.command(SetMuted("lounge", ["ana"], is_muted=False))
        assert [name for name in order if name in {"set_gate", "set_voice"}] == [
            *("set_gate", "set_voice"),
            *("set_voice", "set_gate"),
        ]

    async def test_who_is_heard_and_listens_in_one_section_follows_a_mix_without_itself(self, mixed: Desk) -> None:
        mixed.join("a2", "ana", "whep")  # peer 10, slot 11
        assert mixed.mixers.told("add_audience")[-1] == ("lounge", 3)
        assert mixed.dataplane.calls[-3:] == [
            ("add_tap_track", (7, 102, True)),
            ("replace_loudest", (1, 12, 3)),
            ("follow_track", (10, 12, 20)),
        ]

    async def test_measured_levels_go_to_the_data_plane_and_the_gone_are_no_matter(self, mixed: Desk) -> None:
        mixed.dataplane.breaks_on, mixed.dataplane.breaks_with = "set_level", StaleId()
        mixed.mixes.on_levels("lounge", [(99, -20.0), (3, -31.6), (3, -200.0)])
        assert mixed.dataplane.told("set_level") == [(3, 32), (3, 127)]

    async def test_without_a_voice_its_followers_are_moved_and_the_taps_closed(self, mixed: Desk) -> None:
        mixed.command(CloseSession("a1"))
        assert mixed.dataplane.calls[-4:] == [
            ("replace_track", (9, 1, None)),
            ("remove_track", (9,)),
            ("close_tap", (8,)),
            ("remove_stage", (6,)),
        ]
        assert mixed.mixers.told("close_space") == [("lounge",)]

    async def test_a_space_whose_taps_cannot_be_opened_is_forwarded(self, desk: Desk) -> None:
        desk.dataplane.breaks_on, desk.dataplane.breaks_with = "open_tap", OSError("no room")
        desk.command(SetAudience("lounge", "mix"))
        desk.join("a1", "ana")
        desk.join("b1", "ben", "whep")
        assert desk.mixers.told("close_space") == [("lounge",)]
        assert desk.dataplane.told("follow")[-1] == (4, 1, None, 20)
        assert desk.command(SetMuted("lounge", ["ana"], is_muted=True)) == []
