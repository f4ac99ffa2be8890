"""What Prometheus reads of the mixers."""

from prometheus_client import CollectorRegistry, generate_latest

from sfu.audio.contract import Totals, Watched
from sfu.audio.metrics import MixerCollector
from sfu.audio.watch import Account, Spent


class Mixers:
    def __init__(self) -> None:
        self.account = Account()

    def census(self) -> dict[int, tuple[str, int]]:
        return {0: ("well", 3), 1: ("off", 0)}


def scrape(mixers: Mixers) -> list[str]:
    registry = CollectorRegistry()
    registry.register(MixerCollector(mixers))
    return generate_latest(registry).decode().splitlines()


def test_every_family_is_there_before_anything_was_mixed() -> None:
    names = {line.split()[2] for line in scrape(Mixers()) if line.startswith("# TYPE")}
    assert names == {
        "palco_sfu_mixer_up",
        "palco_sfu_mixer_spaces",
        "palco_sfu_mixer_restarts_total",
        "palco_sfu_mixer_fallbacks_total",
        "palco_sfu_mixer_frames_total",
        "palco_sfu_mixer_packets_total",
        "palco_sfu_mixer_made_up_samples_total",
        "palco_sfu_mixer_skipped_frames_total",
        "palco_sfu_mixer_unsent_total",
        "palco_sfu_mixer_seconds",
        "palco_sfu_mixer_frame_seconds",
        "palco_sfu_mixer_jitter_target_seconds",
    }


def test_what_mixers_did_and_what_became_of_them() -> None:
    mixers, spent = Mixers(), Spent()
    for seconds in (0.0002, 0.0008, 0.5):
        spent.note("encode", seconds)
    mixers.account.fallbacks["died"] += 1
    mixers.account.restarts[0] += 2
    totals = Totals(frames_voice=75, frames_mix=25, late=4, concealed_samples=960)
    mixers.account.on_watched(
        0,
        Watched(
            {"town": totals},
            frames=100,
            skipped_frames=0,
            unsent=0,
            decode_s=0,
            encode_s=0,
            mix_s=0,
            spent=spent.histograms,
        ),
    )
    lines = scrape(mixers)
    for line in (
        'palco_sfu_mixer_up{mixer="0"} 1.0',
        'palco_sfu_mixer_up{mixer="1"} 0.0',
        'palco_sfu_mixer_spaces{mixer="0"} 3.0',
        'palco_sfu_mixer_restarts_total{mixer="0"} 2.0',
        'palco_sfu_mixer_fallbacks_total{reason="died"} 1.0',
        'palco_sfu_mixer_fallbacks_total{reason="hung"} 0.0',
        'palco_sfu_mixer_frames_total{source="voice"} 75.0',
        'palco_sfu_mixer_packets_total{fate="late"} 4.0',
        'palco_sfu_mixer_made_up_samples_total{from="concealment"} 960.0',
        'palco_sfu_mixer_seconds_bucket{le="0.00025",stage="encode"} 1.0',
        'palco_sfu_mixer_seconds_bucket{le="0.001",stage="encode"} 2.0',
        'palco_sfu_mixer_seconds_bucket{le="+Inf",stage="encode"} 3.0',
    ):
        assert line in lines, line
