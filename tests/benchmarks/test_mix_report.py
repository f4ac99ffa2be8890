"""The document of the mix's benchmarks: parts measured at different times side by side."""

import msgspec

from benchmarks import mix_report
from benchmarks.mix_loss import LossScore
from benchmarks.mixer import Job, Result
from benchmarks.mixer_quality import Score
from benchmarks.registry import MIXING, SERVERS, bears
from benchmarks.scenarios import LARGE, MIXES, SMALL_MIXES
from tests.benchmarks.test_results import MACHINE, row

RESULT = Result(
    job=Job("ten voices at once", spaces=15, talking=10),
    cores=0.5,
    spaces_per_core=30.0,
    latency_p50_ms=33.0,
    latency_p99_ms=44.0,
    skipped_frames=0,
    lost_at_sockets=0,
    crowd_behind_ms=2.0,
    decode_share=0.5,
    encode_share=0.3,
    passed_share=0.0,
)
SCORE = Score(bitrate=48_000, road="no loss", speaking="one, passed", plain=4.4, direct=4.3, mix=4.3)
LOSS = LossScore(server="palco", loss=0.1, is_red_offered=True, pesq=4.0, made_up=0.001, bytes_per_s=6000.0)


def run(**parts: object) -> mix_report.MixRun:
    return mix_report.MixRun(started="2026-01-01T00:00:00+00:00", machine=MACHINE, **parts)  # type: ignore[arg-type]


def test_what_was_not_measured_again_is_kept() -> None:
    before = run(capacity=[RESULT], loss=[LOSS])
    merged = mix_report.merge(before, run(quality=[SCORE]))
    assert (merged.capacity, merged.quality, merged.loss) == ([RESULT], [SCORE], [LOSS])
    assert mix_report.decode(mix_report.encode(merged)) == merged


def test_it_is_told_from_a_run_of_servers() -> None:
    assert mix_report.is_mix(mix_report.encode(run(capacity=[RESULT])))
    assert not mix_report.is_mix(msgspec.json.encode({"rows": []}))


def test_the_tables_show_every_part() -> None:
    text = mix_report.tables(run(capacity=[RESULT], quality=[SCORE], loss=[LOSS]))
    assert "| ten voices at once | 15 | 0.50 | 30 | 33.0 / 44.0 |" in text
    assert "| 48 kbit/s | no loss | one, passed | 4.40 | 4.30 | 4.30 |" in text
    assert "| palco | 10% | RED | 4.00 | 0.10% | 48 |" in text


def test_mixes_are_asked_of_servers_that_mix_and_of_no_others() -> None:
    assert all(bears(MIXING["palco-mix"], scenario) for scenario in MIXES)
    assert [scenario for scenario in MIXES if bears(MIXING["janus-audiobridge"], scenario)] == list(SMALL_MIXES)
    assert not any(bears(SERVERS["palco"], scenario) for scenario in MIXES)
    assert not any(bears(server, scenario) for server in MIXING.values() for scenario in LARGE)


def test_listeners_per_core_are_the_audience_over_the_share_of_the_core() -> None:
    # 1 s of CPU in 8 s for 1,000.
    assert row(listeners=1000, cpu_s=1.0).listeners_per_core == 8000
