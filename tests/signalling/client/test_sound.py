"""Levels as RFC 6464 has them; a timeline that leaves nothing out and puts nothing twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.client.sound import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples, Timeline, level_dbov, tone


def frame(value: int) -> Samples:
    return np.full(FRAME_SAMPLES, value, np.int16)


class TestLevel:
    def test_silence_is_the_floor(self) -> None:
        assert level_dbov(frame(0)) == -127.0
        assert level_dbov(np.zeros(0, np.int16)) == -127.0

    def test_full_scale_is_zero(self) -> None:
        assert level_dbov(frame(32767)) == 0.0
        assert level_dbov(frame(-32768)) == 0.0  # a hair louder than full scale, and never above 0

    def test_half_the_amplitude_is_6_db_less(self) -> None:
        assert level_dbov(frame(16384)) == pytest.approx(-6.02, abs=0.01)

    def test_a_sine_is_3_db_below_its_amplitude(self) -> None:
        # One second holds whole periods: 0.25 → -12.04 dB, less 3.01 for a sine's root mean square.
        assert level_dbov(tone(440, start=0, count=SAMPLE_RATE_HZ)) == pytest.approx(-15.05, abs=0.01)


@given(start=st.integers(0, 10**9), count=st.integers(0, 2000), frequency_hz=st.floats(20, 20_000))
def test_frames_of_a_tone_join_without_a_click(start: int, count: int, frequency_hz: float) -> None:
    whole = tone(frequency_hz, start=start, count=2 * count)
    parts = [tone(frequency_hz, start=start, count=count), tone(frequency_hz, start=start + count, count=count)]
    assert np.array_equal(whole, np.concatenate(parts))


class TestTimeline:
    def test_frames_stand_one_after_the_other(self) -> None:
        timeline = Timeline(margin_s=1)
        for number in range(3):
            timeline.on_frame(0, frame(number + 1), timestamp=number * 960, now_s=number * 0.02)
        left = timeline.take(1.06)[:, 0]
        assert left.tolist() == [1] * 960 + [2] * 960 + [3] * 960

    def test_a_lost_packet_leaves_a_hole_of_its_length(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, frame(1), timestamp=0, now_s=0)
        timeline.on_frame(0, frame(3), timestamp=1920, now_s=0.04)
        assert timeline.take(1.06)[:, 0].tolist() == [1] * 960 + [0] * 960 + [3] * 960

    def test_the_first_frame_lands_where_it_arrived(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, frame(1), timestamp=123_456, now_s=0.5)
        left = timeline.take(1.52)[:, 0]
        assert left.tolist() == [0] * 24_000 + [1] * 960

    def test_slots_are_added_and_clipped(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, frame(20_000), timestamp=0, now_s=0)
        timeline.on_frame(1, frame(20_000), timestamp=5_000_000, now_s=0)
        assert timeline.take(1.02)[:, 0].tolist() == [32_767] * 960

    def test_late_sound_is_dropped_rather_than_moved(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, frame(1), timestamp=0, now_s=0)
        timeline.take(2.0)
        timeline.on_frame(0, frame(2), timestamp=47_520, now_s=2.0)  # half of it lies before the second that is gone
        assert timeline.take(2.01)[:, 0].tolist() == [2] * 480

    def test_a_clock_that_jumps_does_not_tear_the_recording(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, frame(1), timestamp=0, now_s=0)
        timeline.on_frame(0, frame(2), timestamp=10**9, now_s=0.02)
        assert timeline.take(1.04)[:, 0].tolist() == [1] * 960 + [2] * 960

    def test_stereo_stays_stereo(self) -> None:
        timeline = Timeline(margin_s=1)
        timeline.on_frame(0, np.array([[1, 2], [3, 4]], np.int16), timestamp=0, now_s=0)
        assert timeline.take(1 + 2 / SAMPLE_RATE_HZ).tolist() == [[1, 2], [3, 4]]

    @given(st.lists(st.floats(0, 10), max_size=8))
    def test_as_much_comes_out_as_time_has_passed(self, moments_s: list[float]) -> None:
        timeline = Timeline(margin_s=1)
        total = sum(len(timeline.take(now_s)) for now_s in sorted(moments_s))
        assert total == max(0, round(max(moments_s, default=0) * SAMPLE_RATE_HZ) - SAMPLE_RATE_HZ)
