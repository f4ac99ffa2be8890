"""libopus by its own shared library: found, typed, and never brought down by what a stranger sends."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.audio import libopus
from sfu.audio.contract import Sound
from sfu.audio.opus import LOOKAHEAD, MAX_PAYLOAD_BYTES, Decoder, Meter, Opus
from sfu.errors import StartError
from tests.sfu.audio import studio

FRAME = studio.FRAME


def rms(sound: studio.Samples) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


class TestLibrary:
    def test_the_one_that_comes_with_pyav_is_taken_first(self) -> None:
        assert "av" in libopus.where()[0]
        assert studio.opus().version.startswith("libopus")

    def test_every_libopus_on_this_machine_will_do(self) -> None:
        for place in libopus.where():
            opus = Opus(libopus.load([place]), Meter(time.perf_counter))
            assert opus.make_encoder(Sound()).lookahead == LOOKAHEAD

    def test_a_library_that_is_none_is_passed_over(self, tmp_path: Path) -> None:
        wrong = tmp_path / "libopus.so"
        wrong.write_bytes(b"not a library")
        assert libopus.load([str(wrong), *libopus.where()])._name in libopus.where()

    def test_without_any_the_start_fails_and_says_what_to_do(self) -> None:
        with pytest.raises(StartError, match="reinstall PyAV"):
            libopus.load([])


class TestEncoding:
    @pytest.mark.parametrize("application", ["audio", "voip"])
    @pytest.mark.parametrize("channels", [1, 2])
    def test_the_lookahead_is_what_a_mix_runs_ahead(self, application: str, channels: int) -> None:
        sound = Sound(application=application, channels=channels)  # type: ignore[arg-type]
        assert studio.opus().make_encoder(sound).lookahead == LOOKAHEAD

    def test_what_is_decoded_lies_where_it_was(self) -> None:
        sound = studio.voice(0)[: 2 * 48_000]
        heard = studio.decode(studio.encode(sound, settings=Sound(bitrate=64_000)))
        shifts = range(-10, 11)
        likeness = [float(np.dot(sound[4800:91_200], np.roll(heard, shift)[4800:91_200])) for shift in shifts]
        assert abs(shifts[int(np.argmax(likeness))]) <= 4

    def test_the_bitrate_is_kept(self) -> None:
        for bitrate in (24_000, 48_000):
            payloads = studio.encode(studio.voice(1), settings=Sound(bitrate=bitrate))
            mean = sum(map(len, payloads)) * 8 * 50 / len(payloads)
            assert 0.5 * bitrate < mean < 1.2 * bitrate

    def test_after_forgetting_it_encodes_as_if_new(self) -> None:
        sound = studio.voice(0)[48_000 : 48_000 + 10 * FRAME].copy()
        encoder = studio.opus().make_encoder(Sound())
        first = [encoder.encode(sound[at:].ctypes.data, samples=FRAME) for at in range(0, len(sound), FRAME)]
        encoder.forget()
        again = [encoder.encode(sound[at:].ctypes.data, samples=FRAME) for at in range(0, len(sound), FRAME)]
        assert first == again


class TestLoss:
    def test_a_missing_frame_is_concealed_with_something_like_it(self) -> None:
        payloads: list[bytes | None] = list(studio.encode(studio.tone(440, 1)))
        payloads[25] = None
        heard = studio.decode(payloads)
        assert rms(heard[25 * FRAME : 26 * FRAME]) > 0.5 * rms(heard[20 * FRAME : 24 * FRAME])

    def test_concealment_fades_to_silence(self) -> None:
        payloads: list[bytes | None] = [*studio.encode(studio.voice(0)[48_000:96_000]), *[None] * 25]
        assert rms(studio.decode(payloads)[-5 * FRAME :]) < 0.003

    def test_redundancy_brings_back_what_concealment_cannot(self) -> None:
        sound = Sound(bitrate=40_000, application="voip", expected_loss_percent=25)
        source = studio.voice(0)[24_000 : 24_000 + 200 * FRAME]
        payloads = studio.encode(source, settings=sound)
        whole = studio.decode(payloads)
        recovered: list[float] = []
        concealed: list[float] = []
        for lost in range(20, 180, 7):
            for errors, is_recovered in ((recovered, True), (concealed, False)):
                decoder, out = studio.opus().make_decoder(1), np.zeros(FRAME, np.float32)
                for payload in payloads[:lost]:
                    decoder.decode(payload, out.ctypes.data, room=FRAME)
                if is_recovered:
                    decoder.recover(payloads[lost + 1], out.ctypes.data, samples=FRAME, room=len(out))
                else:
                    decoder.conceal(out.ctypes.data, samples=FRAME, room=len(out))
                errors.append(rms(out - whole[lost * FRAME : (lost + 1) * FRAME]))
        assert np.median(recovered) < 0.7 * np.median(concealed)


class TestStrangers:
    def test_what_is_refused_leaves_the_decoder_as_it_was(self) -> None:
        payloads = studio.encode(studio.voice(0)[:48_000])
        decoder, out = studio.opus().make_decoder(1), np.zeros(5760, np.float32)
        heard = []
        for payload in payloads:
            assert decoder.decode(b"\x7b\x00", out.ctypes.data, room=5760) == 0
            assert decoder.decode(payload, out.ctypes.data, room=100) == 0
            written = decoder.decode(payload, out.ctypes.data, room=5760)
            heard.append(out[:written].copy())
        assert (np.concatenate(heard) == studio.decode(payloads)).all()

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=20), st.integers(1, 2))
    def test_no_bytes_write_beyond_the_room(self, payloads: list[bytes], channels: int) -> None:
        decoder: Decoder = studio.opus().make_decoder(channels)
        out = np.full((5760 + 100) * channels, 7.0, np.float32)
        for payload in payloads:
            written = decoder.decode(payload, out.ctypes.data, room=5760)
            assert 0 <= written <= 5760
            decoder.recover(payload, out.ctypes.data, samples=960, room=5760)
        assert (out[5760 * channels :] == 7.0).all()

    def test_what_has_no_room_is_refused_before_libopus_sees_it(self) -> None:
        decoder, out = studio.opus().make_decoder(1), np.full(960, 7.0, np.float32)
        following = studio.encode(studio.voice(0)[48_000:52_800])[-1]
        assert decoder.conceal(out.ctypes.data, samples=960, room=959) == 0
        assert decoder.recover(following, out.ctypes.data, samples=960, room=959) == 0
        assert decoder.recover(b"", out.ctypes.data, samples=960, room=960) == 0
        assert decoder.decode(b"", out.ctypes.data, room=960) == 0
        assert decoder.decode(bytes(MAX_PAYLOAD_BYTES + 1), out.ctypes.data, room=960) == 0
        assert (out == 7.0).all()
