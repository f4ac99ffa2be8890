"""Levels as RFC 6464 has them, who counts as speaking, and the gentle gain."""

import math

import numpy as np
import pytest

from sfu.audio.loudness import SILENCE_DBOV, Activity, Leveller, level_dbov
from tests.sfu.audio.studio import silence, tone, voice


class TestLevel:
    def test_a_full_scale_sine_is_3_below_overload_and_a_square_wave_0(self) -> None:
        assert level_dbov(tone(1000, 1.0, amplitude=1.0)) == pytest.approx(-3.01, abs=0.01)
        assert level_dbov(np.ones(960, np.float32)) == pytest.approx(0.0)

    def test_silence_is_127_below(self) -> None:
        assert level_dbov(silence(0.02)) == SILENCE_DBOV
        assert level_dbov(np.full(960, 1e-8, np.float32)) == SILENCE_DBOV

    def test_what_is_not_a_number_has_no_level(self) -> None:
        for wrong in (math.nan, math.inf, 1e30):
            with np.errstate(all="ignore"):
                level = level_dbov(np.full(960, wrong, np.float32))
            assert math.isnan(level)


class TestActivity:
    def run(self, levels_dbov: list[float]) -> list[bool]:
        activity = Activity()
        return [activity.on_frame(level) for level in levels_dbov]

    def test_speech_is_active_from_its_first_frame_until_a_second_after_its_last(self) -> None:
        active = self.run([-80.0] * 50 + [-25.0] * 10 + [-80.0] * 100)
        assert active == [False] * 50 + [True] * (10 + 49) + [False] * 51

    def test_pauses_between_words_do_not_end_it(self) -> None:
        assert all(self.run(([-25.0] * 10 + [-70.0] * 30) * 5))

    def test_a_noisy_room_is_not_speech_once_it_is_known(self) -> None:
        active = self.run([-52.0] * 2000)
        assert not active[-1]

    def test_speech_above_a_noisy_room_is(self) -> None:
        assert self.run([-50.0] * 2000 + [-30.0])[-1]

    def test_music_without_a_pause_stays_active(self) -> None:
        assert all(self.run([-25.0] * 30_000))

    def test_real_speech_is_active_throughout(self) -> None:
        sound = voice(0)
        levels = [level_dbov(sound[at : at + 960]) for at in range(0, len(sound) - 960, 960)]
        first = next(at for at, level in enumerate(levels) if level > -40)
        last = max(at for at, level in enumerate(levels) if level > -40)
        assert all(self.run(levels)[first : last + 1])


class TestLeveller:
    def speak(self, leveller: Leveller, level: float, seconds: float, *, is_wanted: bool = True) -> None:
        for _ in range(round(seconds / 0.02)):
            leveller.on_speech(level)
            leveller.on_frame(is_wanted=is_wanted, is_heard=True)

    def test_a_soft_and_a_loud_voice_come_closer_by_at_most_6_db_each(self) -> None:
        soft, loud = Leveller(), Leveller()
        self.speak(soft, -35, 20)
        self.speak(loud, -14, 20)
        assert soft.gain_db == pytest.approx(6.0)
        assert loud.gain_db == pytest.approx(-6.0)

    def test_a_voice_at_the_target_is_left_as_it_is(self) -> None:
        leveller = Leveller()
        self.speak(leveller, Leveller.TARGET_DBOV, 20)
        assert leveller.gain_db == pytest.approx(0.0)

    def test_it_moves_by_no_more_than_3_db_a_second_while_heard(self) -> None:
        leveller = Leveller()
        gains = []
        for _ in range(500):
            self.speak(leveller, -40, 0.02)
            gains.append(leveller.gain_db)
        assert max(np.abs(np.diff(gains))) <= 0.0601

    def test_alone_a_voice_goes_back_to_its_own_level_exactly(self) -> None:
        leveller = Leveller()
        self.speak(leveller, -30, 20)
        self.speak(leveller, -30, 3, is_wanted=False)
        assert leveller.gain == 1.0

    def test_unheard_it_is_set_at_once(self) -> None:
        leveller = Leveller()
        self.speak(leveller, -35, 20, is_wanted=False)
        leveller.on_frame(is_wanted=True, is_heard=False)
        assert leveller.gain_db == pytest.approx(6.0)
