"""What holds of the jitter buffer on every network: its delay, loss, reorder, duplicates and drift are drawn."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.audio.arrivals import MOST_WAIT_S
from sfu.audio.jitter import FRAME_S, TOO_LONG_S, Conceal, Decode, Merge, Recover, Rest, Step
from tests.sfu.audio.studio import FRAME, RATE_HZ, Delivery, Network
from tests.sfu.audio.test_jitter import SPEECH, Player, Stretcher, sent_over, size, speak

TOCS = {480: b"\xf0", 960: b"\xf8", 1920: b"\x10", 2880: b"\x18"}
"""CELT and SILK, mono, one frame."""

SECONDS = 6.0

networks = st.builds(
    Network,
    seed=st.integers(0, 1 << 30),
    delay_s=st.floats(0, 0.3),
    jitter_s=st.floats(0, 0.06),
    loss=st.floats(0, 0.4),
    duplicates=st.floats(0, 0.3),
    reorders=st.booleans(),
)
drifts_ppm = st.floats(-300, 300)
frames = st.sampled_from([480, 960, 1920, 2880])


def play(network: Network, *, frame: int = FRAME, drift_ppm: float = 0.0, is_quiet: bool = False) -> Player:
    """A speaker of some seconds over the network, played until half a second after his last packet was due."""
    payload = TOCS[frame] + bytes(40)
    speaker = speak(round(SECONDS * RATE_HZ / frame), payload, frame=frame, drift_ppm=drift_ppm)
    return Stretcher(is_quiet=is_quiet).run(sent_over(network, speaker), until_s=SECONDS + network.delay_s + 1.0)


def begins(step: Step) -> int:
    match step:
        case Decode(packet):
            return packet.timestamp
        case Merge(first, _):
            return first.timestamp
        case _:
            return step.timestamp


@settings(max_examples=40, deadline=None)
@given(networks, frames, drifts_ppm, st.booleans())
def test_every_packet_is_played_once_in_order_or_accounted_for(
    network: Network, frame: int, drift_ppm: float, is_quiet: bool
) -> None:
    player = play(network, frame=frame, drift_ppm=drift_ppm, is_quiet=is_quiet)
    counts = player.jitter.counts
    assert player.played == sorted(set(player.played))
    assert len(player.played) + counts.late + counts.duplicate + counts.skipped == counts.received


@settings(max_examples=40, deadline=None)
@given(networks, frames, drifts_ppm, st.booleans())
def test_there_is_sound_for_every_frame_and_its_time_only_moves_for_a_reason(
    network: Network, frame: int, drift_ppm: float, is_quiet: bool
) -> None:
    """From one step to the next the speaker's time goes on by just what was laid down; but after a rest, after a merger
    (a frame more), where made-up sound stands in (as much less), and where the oldest are skipped."""
    player = play(network, frame=frame, drift_ppm=drift_ppm, is_quiet=is_quiet)
    steps = [step for _, step in player.steps]
    assert all(size(step) > 0 and size(step) % 120 == 0 for step in steps)
    for step, following in itertools.pairwise(steps):
        if isinstance(step, Rest | Conceal) or isinstance(following, Rest) or player.jitter.counts.skipped:
            continue
        ahead = begins(following) - begins(step) - (2 * FRAME if isinstance(step, Merge) else size(step))
        assert abs(ahead) < 120  # less than the least that is made up for, and never back


@settings(max_examples=40, deadline=None)
@given(networks, drifts_ppm, st.booleans())
def test_the_delay_is_bounded(network: Network, drift_ppm: float, is_quiet: bool) -> None:
    """Who came later still is played at once, if at all: only when there is nothing newer, and then nothing waits."""
    player = play(network, drift_ppm=drift_ppm, is_quiet=is_quiet)
    # The longest wait, the grid, and the excess from which only the newest is played.
    bound_s = MOST_WAIT_S + FRAME_S + TOO_LONG_S + 0.001
    played = [(now_s, step.packet) for now_s, step in player.steps if isinstance(step, Decode)]
    waited_s = [(packet.delay_s or 0.0, now_s - packet.arrived_s) for now_s, packet in played]
    assert all(delay_s + wait_s <= bound_s for delay_s, wait_s in waited_s if wait_s > FRAME_S)
    assert max(player.delays_s) <= max(bound_s, *(delay_s + FRAME_S for delay_s, _ in waited_s))
    assert all(0.020 <= target_s <= 0.1201 for target_s in player.targets_s)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30), st.floats(0, 0.3), st.floats(0, 0.3), frames)
def test_without_jitter_what_arrives_is_played_and_what_is_lost_is_made_up_for_to_the_sample(
    seed: int, delay_s: float, loss: float, frame: int
) -> None:
    player = play(Network(seed=seed, delay_s=delay_s, loss=loss), frame=frame)
    counts = player.jitter.counts
    assert counts.late == counts.skipped == 0
    decoded = [step for _, step in player.steps if isinstance(step, Decode)]
    assert len(decoded) == counts.received
    # Holes of more than 100 ms are silence beyond that; what comes after the last packet is no hole.
    holes = [after.packet.timestamp - before.packet.timestamp - frame for before, after in itertools.pairwise(decoded)]
    if max(holes, default=0) <= 4 * FRAME:
        made_up = [step for _, step in player.steps if isinstance(step, Conceal | Recover)]
        last = decoded[-1].packet.timestamp
        assert sum(size(step) for step in made_up if begins(step) < last) == sum(holes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 30), st.floats(0, 0.03), drifts_ppm, st.booleans())
def test_on_a_calm_network_again_the_delay_comes_down(
    seed: int, jitter_s: float, drift_ppm: float, is_quiet: bool
) -> None:
    """Rough for 6 s, then calm for 30: quiet moments shorten the delay at once, else stretching does."""
    deliveries = sent_over(Network(), speak(1800, drift_ppm=drift_ppm))
    rough = Network(seed=seed, jitter_s=jitter_s)
    shaken = rough.deliver((each.at_s, each.datagram) for each in deliveries[:300])
    calm = [Delivery(each.at_s, each.datagram) for each in deliveries[300:]]
    player = Stretcher(is_quiet=is_quiet).run([*shaken, *calm], until_s=36.0)
    assert player.targets_s[-1] <= 0.0251
    # The wait (5 ms), the grid (20) and the slack: 8 ms where quiet moments are used, else 20 (as `test_jitter` says).
    assert player.delays_s[-1] <= (0.034 if is_quiet else 0.046)


@settings(max_examples=20, deadline=None)
@given(drifts_ppm, st.floats(0, 0.02), st.booleans())
def test_drift_alone_costs_no_packet(drift_ppm: float, starts_s: float, is_quiet: bool) -> None:
    deliveries = sent_over(Network(), speak(3000, SPEECH, drift_ppm=drift_ppm, starts_s=starts_s))
    player = Stretcher(is_quiet=is_quiet).run(deliveries, until_s=59.0)
    counts = player.jitter.counts
    assert counts.late == counts.lost == counts.skipped == counts.concealed_samples == 0
    assert max(player.delays_s[600:]) <= 0.046
