"""One space's mix as its listeners hear it."""

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from sfu.audio import red, rtp
from sfu.audio.contract import Settings, Sound
from sfu.audio.mixer import Mixer
from sfu.audio.voice import KEPT
from tests.harness.sound import find
from tests.sfu.audio import studio
from tests.sfu.audio.studio import (
    FRAME,
    FRAME_S,
    RATE_HZ,
    Broadcast,
    Delivery,
    Network,
    Samples,
    Speaker,
    clicks,
    decode,
    encode,
    make_mixer,
    run,
    silence,
    tone,
    voice,
)

PLAIN = Settings(is_levelled=False)


def deliver(*speakers: Speaker, network: Network | None = None) -> list[Delivery]:
    return [delivery for speaker in speakers for delivery in (network or Network()).deliver(speaker.send())]


def speaker(ssrc: int, sound: Samples, **more: object) -> Speaker:
    return Speaker(ssrc=ssrc, payloads=encode(sound), **more)  # type: ignore[arg-type]


def payloads(broadcast: Broadcast, ssrc: int = 1000) -> list[bytes]:
    return [packet.payload for _, packet in broadcast.of(ssrc)]


def power(sound: Samples, frequency_hz: float) -> float:
    """Of one frequency: the amplitude of the sine that is in there."""
    at = np.arange(len(sound)) / RATE_HZ
    return float(2 * np.abs(np.mean(sound * np.exp(-2j * np.pi * frequency_hz * at))))


def part(sound: Samples, from_s: float, to_s: float) -> Samples:
    return sound[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)]


class TestOneVoice:
    def test_its_packets_go_out_untouched(self) -> None:
        sound = speaker(1, voice(0))
        broadcast = run(make_mixer([sound]), deliver(sound), seconds=7.5)
        sent = payloads(broadcast)
        start = list(sound.payloads).index(sent[0])
        # From the first syllable on (its level must be seen first) until a second after the last.
        assert sent[:250] == list(sound.payloads)[start : start + 250]
        assert start < 20

    def test_at_the_delay_of_the_mix(self) -> None:
        """So that a change between the two is none of time: heard alone, and with another, it lies at one place."""
        sound = tone(500, 8.0)
        first, second = speaker(1, sound), speaker(2, np.concatenate([silence(4.0), tone(900, 4.0)]))
        broadcast = run(make_mixer([first, second], PLAIN), deliver(first, second), seconds=8.0)
        heard = broadcast.listen(seconds=8.0)
        at = np.arange(len(heard)) / RATE_HZ
        phases = [
            np.angle(np.mean(part(heard * np.exp(-2j * np.pi * 500 * at), from_s, from_s + 1.0)))
            for from_s in (2.0, 6.0)
        ]
        # 500 Hz turn by 2 pi in 96 samples; the codec's own delay varies by some 3 samples with its mode.
        assert abs(phases[1] - phases[0]) < 2 * np.pi * 4 / 96

    def test_sequence_numbers_have_no_gap_and_timestamps_follow_the_speaker(self) -> None:
        sound = speaker(1, voice(0))
        broadcast = run(make_mixer([sound]), deliver(sound), seconds=6.0)
        sequences = [packet.sequence for _, packet in broadcast.of()]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        timestamps = [packet.timestamp for _, packet in broadcast.of()]
        assert set(np.diff(timestamps)) == {FRAME}

    def test_what_was_lost_before_stays_visible_to_listeners(self) -> None:
        sound = speaker(1, voice(0))
        deliveries = deliver(sound)
        del deliveries[100]
        broadcast = run(make_mixer([sound]), deliveries, seconds=5.0)
        steps = np.diff([packet.sequence for _, packet in broadcast.of()])
        assert sorted(steps)[-2:] == [1, 2]
        times = np.diff([packet.timestamp for _, packet in broadcast.of()])
        assert times[np.argmax(steps)] == 2 * FRAME

    def test_a_pause_for_breath_is_still_its_own_packets(self) -> None:
        sound = np.concatenate([voice(0)[:96_000], silence(0.8), voice(0)[96_000:]])
        mixer = make_mixer([only := speaker(1, sound)])
        run(mixer, deliver(only), seconds=7.0)
        assert mixer.totals().frames_mix == 0

    def test_redundancy_is_taken_off(self) -> None:
        plain = encode(voice(0))

        def wrap(place: int) -> bytes:
            older = [red.Block(111, FRAME, plain[place - 1])] if place else []
            return red.build([*older, red.Block(111, 0, plain[place])])

        sound = Speaker(ssrc=1, payloads=plain, payload_type=63, wrap=wrap)
        mixer = make_mixer([sound])
        mixer.add_voice(1, is_open=True, red_payload_type=63)
        sent = payloads(run(mixer, deliver(sound, network=Network(seed=1, loss=0.1)), seconds=6.0))
        assert set(sent) <= set(plain)
        # A packet is missing only where two in a row were lost: 1 %, and as long as no loss was known to wait for.
        assert mixer.totals().concealed_samples < 0.04 * 6 * RATE_HZ

    def test_a_packet_of_60_ms_is_mixed(self) -> None:
        """It could not be left in its middle when another begins to speak."""
        sound = Speaker(ssrc=1, payloads=encode(voice(0), frame=3 * FRAME), frame=3 * FRAME)
        mixer = make_mixer([sound])
        heard = run(mixer, deliver(sound), seconds=6.0).listen(seconds=6.0)
        assert mixer.totals().frames_mix > 200
        assert find(decode(sound.payloads)[48_000:96_000].astype(float), heard.astype(float))[1] > 0.9


class TestManyVoices:
    def test_all_are_in_the_mix_at_their_own_level(self) -> None:
        speakers = [speaker(number, tone(300 + 200 * number, 4.0, 0.05 * number)) for number in range(1, 5)]
        broadcast = run(make_mixer(speakers, PLAIN), deliver(*speakers), seconds=4.0)
        heard = part(broadcast.listen(seconds=4.0), 1.0, 3.0)
        for number in range(1, 5):
            assert power(heard, 300 + 200 * number) == pytest.approx(0.05 * number, rel=0.12)

    def test_soft_and_loud_ones_are_brought_together(self) -> None:
        soft, loud = speaker(1, 0.15 * voice(0)), speaker(2, 2.0 * voice(1)[: len(voice(0))])
        ratios = []
        for settings in (Settings(), PLAIN):
            mixer = make_mixer([soft, loud], settings)
            run(mixer, deliver(soft, loud), seconds=6.0)
            gains = _gains(mixer)
            ratios.append(gains[1] / gains[2])
        assert ratios[1] == 1.0
        assert 1.5 < ratios[0] <= 4.0

    def test_the_sum_is_limited_not_clipped(self) -> None:
        speakers = [speaker(number, tone(250 * number, 3.0, 0.5)) for number in range(1, 7)]
        heard = run(make_mixer(speakers, PLAIN), deliver(*speakers), seconds=3.0).listen(seconds=3.0)
        assert 0.8 < np.abs(part(heard, 1.0, 3.0)).max() < 1.0
        assert clicks(part(heard, 0.5, 3.0)) == []

    def test_one_packet_is_sent_in_each_frame(self) -> None:
        speakers = [speaker(1, voice(0)), speaker(2, voice(1))]
        broadcast = run(make_mixer(speakers), deliver(*speakers), seconds=5.0)
        times = [at_s for at_s, _ in broadcast.of()]
        assert np.diff(times[10:]) == pytest.approx(FRAME_S)

    def test_in_stereo_too(self) -> None:
        speakers = [speaker(1, tone(400, 2.0)), speaker(2, tone(700, 2.0))]
        settings = Settings(is_levelled=False, sound=Sound(channels=2, bitrate=96_000))
        heard = run(make_mixer(speakers, settings), deliver(*speakers), seconds=2.0).listen(seconds=2.0)
        assert power(part(heard, 1.0, 2.0), 400) == pytest.approx(0.25, rel=0.1)
        assert power(part(heard, 1.0, 2.0), 700) == pytest.approx(0.25, rel=0.1)


def _gains(mixer: Mixer) -> dict[int, float]:
    return {ssrc: voice.gain for ssrc, voice in mixer._voices.items()}


class TestSwitching:
    def turns(self) -> tuple[Speaker, Speaker]:
        """One speaks throughout; the other says a soft word now and then."""
        first = np.concatenate([voice(0), voice(1), voice(0), voice(1)])
        second = np.zeros_like(first)
        word = 0.1 * voice(3)[48_000:62_400]
        for at in range(4, len(first) // RATE_HZ - 2, 4):
            second[at * RATE_HZ : at * RATE_HZ + len(word)] = word
        return speaker(1, first), speaker(2, second)

    def test_between_a_voice_and_the_mix_makes_no_click(self) -> None:
        first, second = self.turns()
        mixer = make_mixer([first, second], PLAIN)
        sources: list[str] = []
        broadcast = run(mixer, deliver(first, second), seconds=27.0, on_frame=lambda _: sources.append(_source(mixer)))
        changes = sum(before != after for before, after in itertools.pairwise(sources))
        assert changes >= 10
        assert clicks(broadcast.listen(seconds=27.0)) == []

    def test_the_sound_goes_on_where_it_was(self) -> None:
        """Around a change the listener hears the first speaker as if there had been none: what differs from his own
        decoded packets is as small as in the midst of the mix, where it is the codec's noise."""
        first, second = self.turns()
        mixer = make_mixer([first, second], PLAIN)
        sources: list[str] = []
        broadcast = run(mixer, deliver(first, second), seconds=27.0, on_frame=lambda _: sources.append(_source(mixer)))
        heard, own = broadcast.listen(seconds=27.0), decode(first.payloads)
        at, score = find(own[48_000:96_000].astype(float), heard.astype(float))
        assert score > 0.999
        lag = at - 48_000
        begins = [n for n in range(100, 1340) if sources[n - 1] == "voice" and sources[n] == "mix"]
        errors = [_error(heard, own, (n - 1) * FRAME, lag) for n in begins]
        midst = [_error(heard, own, (n + 10) * FRAME, lag) for n in begins]
        assert len(begins) >= 4
        # The first 20 ms against 20 ms that are 200 ms on: 6 dB for the chance of so few.
        assert np.median(errors) < np.median(midst) + 6


def _source(mixer: Mixer) -> str:
    return next(iter(mixer._programs.values()))[0].source


def _error(heard: Samples, own: Samples, at: int, lag: int) -> float:
    """In dB below the sound, at the best of the few samples by which the codec's modes differ."""
    wanted = [own[at - lag + shift : at - lag + shift + FRAME] for shift in range(-1, 5)]
    piece = heard[at : at + FRAME]
    return float(min(10 * np.log10((np.sum((piece - own) ** 2) + 1e-9) / (np.sum(own**2) + 1e-9)) for own in wanted))


class TestMute:
    def mute_at(self, frame: int, mixer: Mixer, ssrc: int = 1) -> Callable[[int], None]:
        return lambda number: mixer.add_voice(ssrc, is_open=False) if number == frame else None

    def test_a_muted_voice_is_absent_from_the_next_frame(self) -> None:
        """But for what the encoder holds already (6.5 ms) and a fade of 2.5 ms, both spoken before the command."""
        sounds = [speaker(1, tone(500, 4.0)), speaker(2, tone(900, 4.0))]
        mixer = make_mixer(sounds, PLAIN)
        broadcast = run(mixer, deliver(*sounds), seconds=4.0, on_frame=self.mute_at(100, mixer))
        heard = broadcast.listen(seconds=4.0)
        at_muting = next(packet.timestamp for at_s, packet in broadcast.of() if at_s >= 100 * FRAME_S - 1e-9)
        before, after = heard[at_muting - 9600 : at_muting], heard[at_muting + FRAME : at_muting + FRAME + 9600]
        assert power(before, 500) == pytest.approx(0.25, rel=0.1)
        assert power(after, 500) < 0.002
        assert power(after, 900) == pytest.approx(0.25, rel=0.1)

    def test_a_passing_voice_sends_no_further_packet(self) -> None:
        only = speaker(1, voice(0))
        mixer = make_mixer([only])
        broadcast = run(mixer, deliver(only), seconds=5.0, on_frame=self.mute_at(150, mixer))
        later = [packet.payload for at_s, packet in broadcast.of() if at_s >= 150 * FRAME_S - 1e-9]
        assert set(later) & set(only.payloads) == set()
        # A fade and a tail of silence, then one byte every 400 ms.
        assert len([payload for payload in later if len(payload) > 2]) <= 5
        assert clicks(broadcast.listen(seconds=5.0)) == []

    def test_its_packets_that_still_come_are_not_heard(self) -> None:
        only = speaker(1, tone(500, 4.0))
        mixer = make_mixer([only])
        heard = run(mixer, deliver(only), seconds=4.0, on_frame=self.mute_at(100, mixer)).listen(seconds=4.0)
        assert np.abs(part(heard, 2.1, 4.0)).max() < 1e-3

    def test_unmuted_it_is_heard_again_from_what_it_says_then(self) -> None:
        only = speaker(1, np.concatenate([tone(500, 2.0), tone(900, 2.0)]))
        mixer = make_mixer([only])

        def gate(number: int) -> None:
            if number in {50, 110}:
                mixer.add_voice(1, is_open=number == 110)

        heard = run(mixer, deliver(only), seconds=4.0, on_frame=gate).listen(seconds=4.0)
        assert power(part(heard, 2.5, 3.5), 900) == pytest.approx(0.25, rel=0.1)
        assert power(part(heard, 1.2, 4.0), 500) < 0.002

    def test_one_who_leaves_is_faded_out_and_forgotten(self) -> None:
        sounds = [speaker(1, tone(500, 4.0)), speaker(2, tone(900, 4.0))]
        mixer = make_mixer(sounds, PLAIN)

        def leave(number: int) -> None:
            if number == 100:
                mixer.remove_voice(1)

        heard = run(mixer, deliver(*sounds), seconds=4.0, on_frame=leave).listen(seconds=4.0)
        assert power(part(heard, 2.2, 3.8), 500) < 0.002
        assert mixer.totals().voices_now == 1
        assert mixer.totals().unknown > 0
        assert clicks(part(heard, 0.5, 3.5)) == []


class TestSilence:
    def test_nothing_is_sent_before_anyone_spoke(self) -> None:
        broadcast = run(make_mixer([speaker(1, silence(1.0))]), [], seconds=5.0)
        assert broadcast.sent == []

    def test_nobody_speaking_costs_one_byte_in_400_ms(self) -> None:
        only = speaker(1, np.concatenate([voice(0)[24_000:96_000], silence(10.0)]))
        mixer = make_mixer([only])
        broadcast = run(mixer, deliver(only), seconds=11.0)
        quiet = [packet.payload for at_s, packet in broadcast.of() if at_s > 5.0]
        assert {len(payload) for payload in quiet} == {1}
        assert len(quiet) == pytest.approx(6.0 / 0.4, abs=1)

    def test_the_next_word_begins_with_a_marker_and_goes_on_in_time(self) -> None:
        only = speaker(1, np.concatenate([voice(0)[24_000:96_000], silence(5.0), voice(0)[24_000:96_000]]))
        mixer = make_mixer([only])
        broadcast = run(mixer, deliver(only), seconds=9.0)
        heard = broadcast.listen(seconds=9.0)
        word = decode(only.payloads)[24_000:48_000].astype(float)
        first = find(word, part(heard, 0.0, 2.5).astype(float))[0]
        second = find(word, part(heard, 6.0, 9.0).astype(float))[0] + 6 * RATE_HZ
        # Both words lie as far apart as they were spoken, but for the delay, which a pause sets anew: a frame.
        assert abs(second - first - 6.5 * RATE_HZ) <= 2 * FRAME

    def test_a_speaker_who_rests_is_not_concealed(self) -> None:
        """DTX: the encoder's silence is not sent at all but for a packet every 400 ms."""
        sound = np.concatenate([voice(0)[24_000:96_000], silence(2.0), voice(0)[24_000:96_000]])
        sent = encode(sound)
        rests = range(75, 175)
        thinned = [
            b"\xf8" if n in rests and (n - 75) % 20 == 0 else b"" if n in rests else p for n, p in enumerate(sent)
        ]
        resting = Speaker(ssrc=1, payloads=thinned, is_sent=bool)
        mixer = make_mixer([resting])
        run(mixer, deliver(resting), seconds=4.9)
        assert mixer.totals().concealed_samples == 0
        assert mixer.totals().lost == 0

    def test_an_idle_microphone_that_tells_its_level_is_not_decoded(self) -> None:
        sound = speaker(1, silence(10.0), levels_dbov=[-127] * 500)
        meter = studio.opus().meter
        before_s = meter.decode_s
        run(make_mixer([sound]), deliver(sound), seconds=10.0)
        idle_s = meter.decode_s - before_s
        loud = speaker(1, silence(10.0))
        run(make_mixer([loud]), deliver(loud), seconds=10.0)
        assert idle_s < 0.5 * (meter.decode_s - before_s - idle_s)

    def test_its_packets_are_counted_all_the_same(self) -> None:
        sound = speaker(1, silence(10.0), levels_dbov=[-127] * 500)
        mixer = make_mixer([sound])
        run(mixer, deliver(sound), seconds=10.1)
        # But for those that are kept, in case that a word comes.
        assert 500 - KEPT <= mixer.totals().packets_in <= 500

    def test_it_is_heard_again_after_half_a_day(self) -> None:
        """Timestamps wrap after 24.9 h, so that more than half of that looks like the past."""
        hours_s = 13 * 3600.0
        first = speaker(1, silence(4.0), levels_dbov=[-127] * 200)
        timestamp = (first.timestamp + round(hours_s) * RATE_HZ) & 0xFFFFFFFF
        levels = [-127] * 50 + [-25] * 300
        again = speaker(
            1,
            np.concatenate([silence(1.0), voice(0)])[: 350 * FRAME],
            levels_dbov=levels,
            starts_s=hours_s,
            timestamp=timestamp,
            sequence=first.sequence + 30_000,
        )
        mixer = make_mixer([first])
        run(mixer, deliver(first), seconds=4.0)
        heard = run(mixer, deliver(again), seconds=7.0, phase_s=hours_s)
        assert set(payloads(heard)[5:200]) <= set(again.payloads)
        assert mixer.totals().lost == mixer.totals().concealed_samples == 0

    def test_it_wakes_when_its_packets_no_longer_tell_a_level(self) -> None:
        sound = np.concatenate([silence(4.0), voice(0)])
        told = speaker(1, silence(4.0), levels_dbov=[-127] * 200)
        untold = speaker(1, voice(0), starts_s=4.0, sequence=told.sequence + 200, timestamp=0xFFFFF000 + 200 * FRAME)
        mixer = make_mixer([told])
        heard = run(mixer, deliver(told, untold), seconds=7.0).listen(seconds=7.0)
        assert find(sound[5 * RATE_HZ : 6 * RATE_HZ].astype(float), heard.astype(float))[1] > 0.9

    def test_its_first_syllable_is_whole(self) -> None:
        sound = np.concatenate([silence(4.0), voice(0)[24_000:]])
        levels = [-127] * 200 + [-25] * (len(sound) // FRAME - 200)
        told, untold = speaker(1, sound, levels_dbov=levels), speaker(1, sound)
        heard = [run(make_mixer([each]), deliver(each), seconds=7.0).listen(seconds=7.0) for each in (told, untold)]
        first = part(heard[0], 4.05, 4.5).astype(float), part(heard[1], 4.0, 4.6).astype(float)
        assert find(*first)[1] > 0.98


class TestWithoutOneself:
    def test_a_speaker_hears_the_others_and_not_himself(self) -> None:
        speakers = [speaker(number, tone(200 + 300 * number, 4.0)) for number in (1, 2, 3)]
        broadcast = run(make_mixer(speakers, PLAIN, programs=4), deliver(*speakers), seconds=4.0)
        for own in (1, 2, 3):
            heard = part(broadcast.listen(1000 + own, seconds=4.0), 1.0, 3.0)
            for number in (1, 2, 3):
                expected = 0.0 if number == own else 0.25
                assert power(heard, 200 + 300 * number) == pytest.approx(expected, abs=0.03)

    def test_of_two_each_gets_the_other_s_own_packets(self) -> None:
        speakers = [speaker(1, voice(0)), speaker(2, voice(1))]
        broadcast = run(make_mixer(speakers, programs=3), deliver(*speakers), seconds=5.0)
        assert set(payloads(broadcast, 1001)[:150]) <= set(speakers[1].payloads)
        assert set(payloads(broadcast, 1002)[:150]) <= set(speakers[0].payloads)
        assert not set(payloads(broadcast, 1000)[50:150]) & {*speakers[0].payloads, *speakers[1].payloads}

    def test_who_is_silent_gets_the_mix_of_all_encoded_once(self) -> None:
        speakers = [speaker(1, voice(0)), speaker(2, voice(1)), speaker(3, silence(6.0))]
        mixer = make_mixer(speakers, programs=4)
        broadcast = run(mixer, deliver(*speakers), seconds=5.0)
        assert payloads(broadcast, 1003)[:150] == payloads(broadcast, 1000)[:150]
        assert mixer.totals().frames_main > 150

    def test_alone_he_hears_nothing(self) -> None:
        speakers = [speaker(1, voice(0))]
        broadcast = run(make_mixer(speakers, programs=2), deliver(*speakers), seconds=4.0)
        assert broadcast.of(1001) == []


class TestLongPackets:
    def test_three_frames_go_in_one_packet_and_sound_the_same(self) -> None:
        only = speaker(1, voice(0))
        heard = []
        counts: tuple[Literal[1, 3], ...] = (1, 3)
        for frames in counts:
            mixer = make_mixer([only], Settings(frames_per_packet=frames))
            broadcast = run(mixer, deliver(only), seconds=5.0)
            heard.append(broadcast.listen(seconds=4.8))
            if frames == 3:
                spans = np.diff([packet.timestamp for _, packet in broadcast.of()])
                assert np.median(spans) == 3 * FRAME
        assert np.abs(heard[0] - heard[1]).max() < 1e-3


class TestLoudness:
    def test_levels_are_told_of_those_who_do_not_tell(self) -> None:
        told = speaker(1, tone(500, 2.0), levels_dbov=[-12] * 100)
        untold = speaker(2, tone(500, 2.0))
        mixer = make_mixer([told, untold])
        run(mixer, deliver(told, untold), seconds=1.5)
        ((ssrc, level),) = mixer.levels()
        assert ssrc == 2
        # A sine of amplitude 1/4: 20 log10(1/4) - 3.
        assert level == pytest.approx(-15.05, abs=0.5)

    def test_a_mixer_without_programs_measures_all_the_same(self) -> None:
        mixer = Mixer(Settings(), opus=studio.opus())
        mixer.add_voice(2, is_open=True)
        run(mixer, deliver(speaker(2, tone(500, 2.0))), seconds=1.5)
        assert mixer.levels()[0][1] == pytest.approx(-15.05, abs=0.5)

    def test_packets_out_carry_the_level(self) -> None:
        only = speaker(1, tone(500, 2.0))
        broadcast = run(make_mixer([only]), deliver(only), seconds=2.0)
        levels = [packet.level_dbov for _, packet in broadcast.of()]
        assert levels[20] == -15


def test_what_comes_from_no_known_track_is_counted_and_dropped() -> None:
    mixer = make_mixer([])
    mixer.on_datagram(rtp.build(rtp.Packet(111, 1, 1, 9, b"\xf8abc"), is_first=False), 0.0)
    mixer.on_datagram(b"nonsense", 0.0)
    assert mixer.totals().unknown == 2
