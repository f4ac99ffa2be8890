"""What is counted of mixers that come and go only ever counts up."""

from sfu.audio.contract import SPENT_BOUNDS_S, TARGET_BOUNDS_S, Totals, Watched
from sfu.audio.watch import Account, Spent, make_histogram, observe, sum_totals


def word(packets: int, *, frames: int = 10, gone: int = 0) -> Watched:
    """A process's last, which spent 3 ms on one space's decoding in each frame."""
    spent, targets = Spent(), make_histogram(TARGET_BOUNDS_S)
    for _ in range(frames):
        spent.note("decode", 0.003)
    observe(targets, 0.055, TARGET_BOUNDS_S)
    return Watched(
        {"town": Totals(packets_in=packets, voices_now=3)},
        frames=frames,
        skipped_frames=1,
        unsent=2,
        decode_s=0.003 * frames,
        encode_s=0.0,
        mix_s=0.0,
        gone=Totals(packets_in=gone),
        spent=spent.histograms,
        targets=targets,
    )


def test_a_value_is_counted_at_the_first_bound_that_it_does_not_exceed() -> None:
    histogram = make_histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        observe(histogram, value, (1.0, 2.0))
    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == 12.0


def test_what_is_now_is_not_summed_up() -> None:
    total = sum_totals([Totals(late=1, voices_now=3), Totals(late=2, target_s_now=0.1)])
    assert total == Totals(late=3)


def test_the_sum_is_over_processes_and_over_the_spaces_that_they_had() -> None:
    account = Account()
    account.on_watched(0, word(5, gone=1))
    account.on_watched(1, word(7))
    total = account.sum()
    assert (total.gone.packets_in, total.frames, total.unsent) == (13, 20, 4)
    assert total.spent["decode"].counts[SPENT_BOUNDS_S.index(0.005)] == 20
    assert total.targets.counts[TARGET_BOUNDS_S.index(0.06)] == 2


def test_a_newer_word_replaces_the_older_and_that_of_the_dead_is_kept() -> None:
    account = Account()
    account.on_watched(0, word(5))
    account.on_watched(0, word(6))
    account.on_gone(0)
    account.on_gone(0)
    account.on_watched(0, word(1))
    account.on_gone(0)
    total = account.sum()
    assert total.gone.packets_in == 7
    assert total.frames == 20


def test_without_any_process_all_is_nought() -> None:
    total = Account().sum()
    assert total.gone == Totals()
    assert sum(total.spent["frame"].counts) == 0
