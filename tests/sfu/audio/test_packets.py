"""RFC 6716 §3: every layout that is legal, none that is not, as libopus itself sees it."""

import ctypes
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.audio import packets
from sfu.audio.contract import Sound
from tests.sfu.audio import studio


def libopus_parse(payload: bytes) -> list[int] | None:
    """The sizes of its frames, by `opus_packet_parse`."""
    sizes = (ctypes.c_int16 * 48)()
    library = studio.opus().library
    count = library.opus_packet_parse(payload, len(payload), None, None, sizes, None)
    return list(sizes[:count]) if count > 0 else None


def sizes(payload: bytes) -> list[int] | None:
    layout = packets.parse(payload)
    return None if layout is None else [end - start for start, end in layout.bounds]


TOCS = [config << 3 | stereo << 2 for config in range(32) for stereo in (0, 1)]


class TestLayout:
    """§3.1, §3.2."""

    @pytest.mark.parametrize(
        ("config", "samples", "mode"),
        [
            (0, 480, "silk"),
            (3, 2880, "silk"),
            (11, 2880, "silk"),
            (12, 480, "hybrid"),
            (15, 960, "hybrid"),
            (16, 120, "celt"),
            (31, 960, "celt"),
        ],
    )
    def test_the_toc_says_mode_and_frame_size(self, config: int, samples: int, mode: str) -> None:
        layout = packets.parse(bytes([config << 3, 1, 2]))
        assert layout is not None
        assert (layout.samples, layout.mode, layout.is_stereo) == (samples, mode, False)

    def test_code_0_is_one_frame(self) -> None:
        assert sizes(b"\x78abc") == [3]

    def test_code_1_is_two_frames_of_one_size(self) -> None:
        assert sizes(b"\x79abcd") == [2, 2]
        assert sizes(b"\x79abc") is None

    def test_code_2_is_two_frames_of_their_own_size(self) -> None:
        assert sizes(b"\x7a\x01abc") == [1, 2]
        assert sizes(b"\x7a\x05abc") is None

    def test_code_2_with_a_size_of_two_bytes(self) -> None:
        assert sizes(b"\x7a\xfc\x01" + bytes(300)) == [256, 44]

    def test_code_3_of_one_size_and_of_many(self) -> None:
        assert sizes(b"\x7b\x03abcdef") == [2, 2, 2]
        assert sizes(b"\x7b\x83\x01\x02abcdef") == [1, 2, 3]

    def test_padding_is_no_part_of_any_frame(self) -> None:
        assert sizes(b"\x7b\x42\x03abcd\x00\x00\x00") == [2, 2]
        assert sizes(b"\x7b\x41\xff\x00" + b"a" + bytes(254)) == [1]

    def test_no_packet_is_longer_than_120_ms(self) -> None:
        assert packets.parse(b"\x1b\x02ab") is not None
        assert packets.parse(b"\x1b\x03abc") is None
        assert packets.parse(b"\xff\x31" + bytes(49)) is None

    def test_an_empty_payload_and_a_count_of_none_are_refused(self) -> None:
        assert packets.parse(b"") is None
        assert packets.parse(b"\x7b\x00abc") is None

    def test_a_frame_of_more_than_1275_bytes_is_refused(self) -> None:
        assert sizes(b"\x78" + bytes(1275)) == [1275]
        assert sizes(b"\x78" + bytes(1276)) is None
        assert packets.count_samples(b"\x78" + bytes(1276)) == 0


class TestAgainstLibopus:
    @given(st.sampled_from(TOCS), st.integers(0, 3), st.binary(max_size=64))
    def test_any_bytes_are_seen_alike(self, toc: int, code: int, rest: bytes) -> None:
        payload = bytes([toc | code]) + rest
        assert sizes(payload) == libopus_parse(payload)

    def test_every_truncation_of_a_packet_is_seen_alike(self) -> None:
        payload = b"\x7b\xc3\x05\x01\x02" + bytes(range(20)) + bytes(5)
        for length in range(1, len(payload)):
            assert sizes(payload[:length]) == libopus_parse(payload[:length]), length

    @given(st.sampled_from(TOCS), st.integers(0, 3), st.binary(max_size=64))
    def test_the_duration_is_the_same(self, toc: int, code: int, rest: bytes) -> None:
        payload = bytes([toc | code]) + rest
        duration = studio.opus().library.opus_packet_get_nb_samples(payload, len(payload), 48_000)
        expected = duration if libopus_parse(payload) is not None else 0
        assert packets.count_samples(payload) == expected

    def test_redundancy_is_found_where_libopus_finds_it(self) -> None:
        chance = random.Random(1)
        library = studio.opus().library
        if not hasattr(library, "opus_packet_has_lbrr"):
            pytest.skip("this libopus cannot be asked")
        found = 0
        for bitrate in (12_000, 24_000, 40_000):
            sound = Sound(bitrate=bitrate, application="voip", expected_loss_percent=chance.randrange(5, 30))
            for frame in (480, 960, 1920, 2880):
                for payload in studio.encode(studio.voice(0)[:96_000], frame=frame, settings=sound):
                    expected = library.opus_packet_has_lbrr(payload, len(payload)) == 1
                    assert packets.has_redundancy(payload) == expected
                    found += expected
        assert found > 100


class TestJoin:
    def test_three_packets_become_one_that_decodes_to_the_same(self) -> None:
        payloads = studio.encode(studio.voice(0)[:48_000])
        kinds = {payload[0] for payload in payloads}
        joined = [packets.join(payloads[at : at + 3]) for at in range(0, 48, 3)]
        whole = [payload for payload in joined if payload is not None]
        if len(kinds) == 1:
            assert len(whole) == 16
        assert all(packets.count_samples(payload) == 2880 for payload in whole)
        at = next(at for at, payload in enumerate(joined) if payload is not None)
        same = studio.decode(payloads[: 3 * at + 3])
        other = studio.decode([*payloads[: 3 * at], joined[at]])
        assert (same == other).all()

    @given(st.lists(st.binary(max_size=300), min_size=1, max_size=6))
    def test_frames_of_any_size_are_found_again(self, frames: list[bytes]) -> None:
        joined = packets.join([b"\x78" + frame for frame in frames])
        assert joined is not None
        layout = packets.parse(joined)
        assert layout is not None
        assert [joined[start:end] for start, end in layout.bounds] == frames

    def test_packets_of_two_kinds_stay_apart(self) -> None:
        assert packets.join([b"\x78a", b"\xf8a"]) is None

    def test_no_more_than_120_ms_are_joined(self) -> None:
        assert packets.join([b"\x78a"] * 6) is not None
        assert packets.join([b"\x78a"] * 7) is None

    def test_nothing_joins_with_what_is_not_opus(self) -> None:
        assert packets.join([b"\x78a", b""]) is None
        assert packets.join([]) is None


class TestRest:
    def test_a_packet_of_one_or_two_bytes_says_silence(self) -> None:
        assert packets.is_rest(b"\x78")
        assert packets.is_rest(b"\x78\x00")
        assert not packets.is_rest(b"\x78\x00\x00")

    def test_the_rest_of_a_packet_decodes_for_as_long(self) -> None:
        for payload in (b"\x7b\x03abcdef", b"\x0ba", b"\xfcabc"):
            rest = packets.rest_of(payload)
            assert len(rest) == 1
            assert packets.count_samples(rest) > 0
