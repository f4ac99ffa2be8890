"""The jitter buffer against a simulated network: seeded delay, loss, reorder and drift, and a hand-moved clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.audio import packets, rtp
from sfu.audio.jitter import MAX_HELD, Conceal, Decode, Jitter, Merge, Recover, Rest, Step
from sfu.audio.reel import AHEAD
from tests.sfu.audio.studio import FRAME, FRAME_S, Delivery, Network, Speaker

SPEECH = b"\x78" + bytes(60)
"""Hybrid, 20 ms. The byte after the TOC says: no voice, no redundancy."""

REDUNDANT = b"\x78\x40" + bytes(60)
"""The second bit: redundancy (LBRR)."""

REST = b"\x78"


@dataclass
class Player:
    """A voice that plays: asks for steps as its stock runs short, and writes down what it got."""

    jitter: Jitter = field(default_factory=Jitter)
    is_quiet: bool = False
    steps: list[tuple[float, Step]] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    targets_s: list[float] = field(default_factory=list)
    stock: int = 0

    def run(self, deliveries: Iterable[Delivery], *, until_s: float, from_s: float = 0.0) -> "Player":
        waiting = sorted(deliveries, key=lambda delivery: delivery.at_s)
        at = 0
        for frame in range(round(from_s / FRAME_S), round(until_s / FRAME_S)):
            now_s = frame * FRAME_S
            while at < len(waiting) and waiting[at].at_s <= now_s:
                self.receive(waiting[at])
                at += 1
            self.play(now_s)
        return self

    def receive(self, delivery: Delivery) -> None:
        packet = rtp.parse(delivery.datagram)
        assert packet is not None
        self.jitter.on_packet(packet.sequence, packet.timestamp, payload=packet.payload, now_s=delivery.at_s)

    def play(self, now_s: float) -> None:
        while self.stock < AHEAD:
            step = self.jitter.on_due(now_s, is_quiet=self.is_quiet)
            self.steps.append((now_s, step))
            self.stock += size(step)
        self.stock -= FRAME
        self.delays_s.append(self.jitter.delay_s)
        self.targets_s.append(self.jitter.target_s)

    @property
    def played(self) -> list[int]:
        """Extended sequence numbers of what was decoded, in order."""
        found = []
        for _, step in self.steps:
            if isinstance(step, Decode):
                found.append(step.packet.sequence)
            elif isinstance(step, Merge):
                found += [step.first.sequence, step.second.sequence]
        return found

    def count(self, kind: type) -> int:
        return sum(isinstance(step, kind) for _, step in self.steps)


def size(step: Step) -> int:
    match step:
        case Decode(packet):
            return packet.samples
        case Merge():
            return FRAME
        case _:
            return step.samples


def speak(count: int, payload: bytes = SPEECH, **more: object) -> Speaker:
    return Speaker(ssrc=1, payloads=[payload] * count, **more)  # type: ignore[arg-type]


def sent_over(network: Network, speaker: Speaker) -> list[Delivery]:
    return network.deliver(speaker.send())


class TestOrder:
    def test_on_a_still_network_every_packet_is_decoded_once_in_order(self) -> None:
        player = Player().run(sent_over(Network(), speak(500)), until_s=10.1)
        assert player.played == list(range(65_500, 66_000))
        assert player.count(Recover) == player.jitter.counts.late == 0

    def test_sequence_and_timestamp_wrap_without_notice(self) -> None:
        speaker = speak(100, sequence=65_530, timestamp=0xFFFFFFFF - 5 * FRAME)
        assert len(Player().run(sent_over(Network(), speaker), until_s=2.2).played) == 100

    def test_packets_that_overtook_each_other_are_put_back_in_order(self) -> None:
        deliveries = sent_over(Network(), speak(300))
        for at in range(100, 280, 10):
            # Of two that follow each other, one comes 18 ms late and one 4 ms early: within the first wait, 20 ms.
            deliveries[at] = Delivery(deliveries[at].at_s + 0.018, deliveries[at].datagram)
            deliveries[at + 1] = Delivery(deliveries[at + 1].at_s - 0.004, deliveries[at + 1].datagram)
        player = Player().run(deliveries, until_s=6.2)
        assert player.played == list(range(65_500, 65_800))

    def test_a_packet_that_comes_twice_is_played_once(self) -> None:
        player = Player().run(sent_over(Network(duplicates=1.0), speak(200)), until_s=4.2)
        assert player.played == list(range(65_500, 65_700))
        assert player.jitter.counts.duplicate + player.jitter.counts.late == 200

    @pytest.mark.parametrize("samples", [120, 240, 480, 960, 1920, 2880])
    def test_packets_of_any_length_fill_the_time(self, samples: int) -> None:
        toc = {120: 0xE0, 240: 0xE8, 480: 0xF0, 960: 0xF8, 1920: 0x10, 2880: 0x18}[samples]
        payload = bytes([toc]) + bytes(30)
        assert packets.count_samples(payload) == samples
        count = 4 * 48_000 // samples
        player = Player().run(sent_over(Network(), speak(count, payload, frame=samples)), until_s=4.0)
        assert player.played[:20] == list(range(65_500, 65_520))
        assert player.jitter.counts.concealed_samples == 0


class TestTarget:
    def test_it_begins_cautiously_and_comes_down_to_25_ms(self) -> None:
        player = Player(is_quiet=True).run(sent_over(Network(), speak(600)), until_s=12.0)
        assert 0.040 <= player.targets_s[0] <= 0.050
        assert player.targets_s[-1] == pytest.approx(0.025)
        # The band: the wait (5 ms) up to one frame and the slack (8 ms) more.
        assert 0.005 <= player.delays_s[-1] <= 0.033

    def test_it_grows_with_jitter_and_shrinks_again(self) -> None:
        calm = sent_over(Network(), speak(400))
        rough = sent_over(
            Network(seed=1, jitter_s=0.012),
            speak(400, sequence=65_900, timestamp=0xFFFFF000 + 400 * FRAME, starts_s=8.0),
        )
        after = sent_over(Network(), speak(1600, sequence=66_300, timestamp=0xFFFFF000 + 800 * FRAME, starts_s=16.0))
        player = Player(is_quiet=True).run([*calm, *rough, *after], until_s=48.0)
        assert player.targets_s[390] == pytest.approx(0.025)
        assert player.targets_s[790] > 0.050
        assert player.targets_s[-1] == pytest.approx(0.025)
        assert player.delays_s[-1] < 0.034

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 1 << 30), jitter_s=st.floats(0, 0.2), loss=st.floats(0, 0.6))
    def test_it_stays_within_20_and_120_ms_whatever_the_network_does(
        self, seed: int, jitter_s: float, loss: float
    ) -> None:
        network = Network(seed=seed, jitter_s=jitter_s, loss=loss, duplicates=0.05)
        player = Player().run(sent_over(network, speak(400)), until_s=9.0)
        assert all(0.020 <= target_s <= 0.1201 for target_s in player.targets_s)

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 1 << 30), jitter_s=st.floats(0, 0.1), loss=st.floats(0, 0.5), is_quiet=st.booleans())
    def test_every_packet_is_played_late_lost_or_skipped_never_twice(
        self, seed: int, jitter_s: float, loss: float, is_quiet: bool
    ) -> None:
        network = Network(seed=seed, jitter_s=jitter_s, loss=loss, duplicates=0.1)
        player = Player(is_quiet=is_quiet).run(sent_over(network, speak(300)), until_s=10.0)
        counts = player.jitter.counts
        assert len(player.played) == len(set(player.played))
        assert len(player.played) + counts.late + counts.duplicate + counts.skipped == counts.received
        assert player.played == sorted(player.played)

    @pytest.mark.parametrize("jitter_s", [0.002, 0.005, 0.010])
    def test_with_bearable_jitter_at_most_two_in_a_hundred_come_too_late(self, jitter_s: float) -> None:
        network = Network(seed=4, delay_s=0.03, jitter_s=jitter_s)
        player = Player().run(sent_over(network, speak(2000)), until_s=41.0)
        # The wait is the estimated 99th percentile (see Arrivals); twice that for its uncertainty.
        assert player.jitter.counts.late <= 0.02 * 2000


class TestLoss:
    def test_a_lost_packet_is_recovered_from_the_next_where_that_has_a_copy(self) -> None:
        deliveries = sent_over(Network(), speak(200, REDUNDANT))
        del deliveries[100]
        player = Player().run(deliveries, until_s=4.0)
        assert player.count(Recover) == 1
        assert player.jitter.counts.recovered_samples == FRAME

    def test_without_a_copy_it_is_concealed(self) -> None:
        deliveries = sent_over(Network(), speak(200))
        del deliveries[100]
        player = Player().run(deliveries, until_s=3.9)
        assert (player.count(Recover), player.jitter.counts.concealed_samples) == (0, FRAME)
        assert player.jitter.counts.lost == 1

    def test_of_two_lost_the_second_is_recovered(self) -> None:
        deliveries = sent_over(Network(), speak(200, REDUNDANT))
        del deliveries[100:102]
        player = Player().run(deliveries, until_s=3.9)
        concealed = [step for _, step in player.steps if isinstance(step, Conceal)]
        recovered = [step for _, step in player.steps if isinstance(step, Recover)]
        assert [step.timestamp for step in concealed] == [recovered[0].timestamp - FRAME]

    def test_under_loss_it_waits_for_the_copies(self) -> None:
        """For the next packet to be there in time, the wait must be a frame more than without loss."""
        player = Player(is_quiet=True).run(sent_over(Network(seed=3, loss=0.1), speak(1500, REDUNDANT)), until_s=30.0)
        assert player.targets_s[-1] == pytest.approx(0.045)
        lost = player.jitter.counts.lost * FRAME
        # A loss is recovered where the next packet is not lost as well: nine in ten.
        assert player.jitter.counts.recovered_samples > 0.75 * lost

    def test_redundant_copies_fill_the_holes(self) -> None:
        deliveries = sent_over(Network(), speak(200))
        player = Player()
        for at, delivery in enumerate(deliveries):
            if at % 10 != 5:
                player.receive(delivery)
                packet = rtp.parse(delivery.datagram)
                assert packet is not None
                before = (packet.timestamp - FRAME) & 0xFFFFFFFF
                copied = player.jitter.on_copy(
                    (packet.sequence - 1) & 0xFFFF, before, payload=SPEECH, now_s=delivery.at_s
                )
                assert copied == (at % 10 == 6)
            player.play(delivery.at_s)
        assert player.played == list(range(65_500, player.played[-1] + 1))

    def test_a_long_hole_is_silence_after_100_ms(self) -> None:
        deliveries = sent_over(Network(), speak(100))
        player = Player().run(deliveries, until_s=10.0)
        assert player.jitter.counts.concealed_samples == 5 * FRAME
        assert isinstance(player.steps[-1][1], Rest)


class TestSilence:
    def test_packets_that_are_not_sent_are_not_lost(self) -> None:
        """DTX: twenty packets of speech, then one of rest every 400 ms, the timestamps going on."""
        pattern = ([SPEECH] * 20 + ([REST] + [b""] * 19) * 3) * 3
        speaker = Speaker(ssrc=1, payloads=pattern, is_sent=bool)
        player = Player().run(sent_over(Network(), speaker), until_s=4.5)
        assert player.jitter.counts.lost == 0
        assert len(player.played) == player.jitter.counts.received
        # Nothing but rest in between: the first packet after it is not waited for with made-up sound.
        assert player.jitter.counts.concealed_samples == 0

    def test_a_pause_sets_the_delay_anew(self) -> None:
        rough = sent_over(Network(seed=1, jitter_s=0.015), speak(300))
        calm = speak(1000, timestamp=0xFFFFF000 + 300 * FRAME, sequence=65_800, starts_s=6.0)
        pause = Speaker(
            ssrc=1, payloads=[SPEECH] * 50, sequence=66_801, timestamp=0xFFFFF000 + 1400 * FRAME, starts_s=28.0
        )
        rest = Delivery(26.0, _datagram(66_800, 0xFFFFF000 + 1300 * FRAME, REST))
        player = Player().run([*rough, *sent_over(Network(), calm), rest, *sent_over(Network(), pause)], until_s=29.0)
        assert player.delays_s[-1] <= 0.025
        assert player.jitter.counts.skipped == 0

    def test_speech_before_the_delay_suffices_waits(self) -> None:
        player = Player()
        player.receive(Delivery(0.0, _datagram(1, 0, SPEECH)))
        player.play(0.001)
        assert player.played == []
        player.play(0.021)
        assert player.played == [1]


class TestTrouble:
    def test_after_a_stall_only_the_newest_is_played_and_the_delay_stays_bounded(self) -> None:
        deliveries = sent_over(Network(), speak(500))
        stalled = [
            Delivery(5.6 if 5.0 < delivery.at_s < 5.6 else delivery.at_s, delivery.datagram) for delivery in deliveries
        ]
        player = Player().run(stalled, until_s=10.0)
        assert max(player.delays_s) < 0.125
        assert player.jitter.counts.restarts == 0
        # What is still waiting is no more than the longest delay (120 ms) and the frame that is read ahead.
        assert player.played[-1] >= 65_999 - 7

    def test_when_the_mixer_itself_is_held_up_the_delay_stays_bounded(self) -> None:
        """Packets pile up before a player that stands still for a second; when it goes on, it plays what is new."""
        deliveries = sent_over(Network(), speak(500))
        player = Player().run([each for each in deliveries if each.at_s <= 4.0], until_s=4.0)
        player.run([each for each in deliveries if each.at_s > 4.0], from_s=5.0, until_s=9.0)
        # The wait of the first seconds (21 ms), and at most two frames.
        assert player.delays_s[-1] < 0.062
        assert player.jitter.counts.skipped == pytest.approx(50, abs=3)

    def test_packets_that_all_come_later_from_now_on_are_played_later(self) -> None:
        deliveries = sent_over(Network(), speak(500))
        later = [
            Delivery(delivery.at_s + (0.080 if delivery.at_s > 5 else 0), delivery.datagram) for delivery in deliveries
        ]
        player = Player().run(later, until_s=10.0)
        # 80 ms are four frames made up; then all are in time again.
        assert player.jitter.counts.late <= 4
        assert player.jitter.counts.concealed_samples <= 6 * FRAME

    def test_a_clock_that_jumps_begins_a_new_stream(self) -> None:
        first, second = speak(100), speak(100, timestamp=12_345, sequence=65_600, starts_s=2.0)
        player = Player().run([*sent_over(Network(), first), *sent_over(Network(), second)], until_s=4.2)
        assert player.jitter.counts.restarts == 1
        assert len(player.played) >= 195
        assert player.jitter.epoch == 1

    def test_a_flood_is_bounded(self) -> None:
        player = Player()
        for at in range(1000):
            player.receive(Delivery(0.0, _datagram(at, at * 40, SPEECH)))
        player.play(0.1)
        assert player.jitter.counts.skipped >= 1000 - MAX_HELD

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=5), st.floats(0, 0.1)),
            max_size=80,
        ),
        st.booleans(),
    )
    def test_no_packets_stop_the_clock(self, stream: list[tuple[int, int, bytes, float]], is_quiet: bool) -> None:
        """Whatever comes, a frame's worth is there for every frame, in pieces that libopus can make."""
        player = Player(is_quiet=is_quiet)
        now_s = 0.0
        for sequence, timestamp, payload, pause_s in stream:
            now_s += pause_s
            player.jitter.on_packet(sequence, timestamp, payload=payload, now_s=now_s)
            player.jitter.on_copy(sequence ^ 1, timestamp ^ 960, payload=payload, now_s=now_s)
            player.play(now_s)
        assert all(120 <= size(step) <= 5760 and size(step) % 120 == 0 for _, step in player.steps)


class TestDrift:
    @pytest.mark.parametrize("ppm", [-200.0, 200.0])
    @pytest.mark.parametrize("is_quiet", [True, False])
    def test_in_ten_minutes_at_200_ppm_the_delay_does_not_grow(self, ppm: float, is_quiet: bool) -> None:
        """Quiet moments are used; where there are none, `wish` asks for stretching, which this player grants at
        once."""
        player = Stretcher(is_quiet=is_quiet).run(sent_over(Network(), speak(30_000, drift_ppm=ppm)), until_s=600.0)
        counts = player.jitter.counts
        assert counts.late == counts.lost == 0
        # The band of 5 to 25 ms, the slack before sound is stretched (20 ms), and its time (a frame).
        assert max(player.delays_s) <= 0.046
        assert min(player.delays_s[10:]) >= 0.0
        assert len(player.played) == counts.received - _held_at_the_end(player)


class Stretcher(Player):
    """Grants a wish for a frame more or less."""

    def play(self, now_s: float) -> None:
        super().play(now_s)
        self.stock += self.jitter.wish * FRAME
        self.jitter.wish = 0


def _held_at_the_end(player: Player) -> int:
    return player.jitter.counts.received - len(player.played)


def _datagram(sequence: int, timestamp: int, payload: bytes) -> bytes:
    return rtp.build(rtp.Packet(111, sequence, timestamp, 1, payload), is_first=False)
