"""The jitter buffer: which packet of one speaker is decoded next, and what stands in for one that is not there. A
machine.

    on_packet          whenever one comes; out of order, twice, too late, with holes
    on_due -> Step     whenever the decoder's stock runs short, at a steady 20 ms on the whole

The buffer holds a *position*, the timestamp of the next sample to play, and steers one quantity: the *delay*, by which
even the fastest packet is played after it came. It belongs between the wait that `Arrivals` measures and one frame
more, for pieces are whole packets laid on a 20 ms grid. The delay is set anew whenever the speaker falls silent
(`_wake`); in mid-speech it grows when packets keep coming too late (`_rewind`), and else is steered gently: `wish` asks
the voice to play a whole frame more or less within some seconds by stretching; two quiet packets are merged into one at
once. A speaker whose clock runs 200 ppm fast needs that once in 100 s.

Per packet; guarded by `benchmarks/mixer.py`.
"""

from msgspec import Struct

from sfu.audio import packets
from sfu.audio.arrivals import LEAST_WAIT_S, MOST_WAIT_S, Arrivals
from sfu.audio.packets import RATE_HZ

FRAME = 960
FRAME_S = FRAME / RATE_HZ

MAX_HELD = 128
"""More than a second of any packets; only a burst after a stall, or a flood, comes near."""

RESTART_S = 1.0
"""A packet this much off the clock of those before begins a new stream: nothing else explains it."""

MAX_CONCEALED = 5
"""Frames (100 ms) concealed in a row before it is called silence; libopus has faded out by then."""

MAX_BRIDGED = 10 * FRAME
"""A longer hole is silence too."""

UNHEARD_FROM_S, QUIET_FROM_S, STRETCH_FROM_S = 0.001, 0.008, 0.020
"""Above the band: from where on the delay is shortened where nobody hears the samples, where they are quiet (two frames
become one, and the voice moves against the others), and where they are neither (sound is stretched)."""

SHORT_S, STRETCH_BELOW_S = 0.001, 0.003
"""Below the band, where packets begin to come too late: the same for lengthening it."""

TOO_LONG_S = 0.100
"""Excess beyond the band that is not borne, not even in mid-word: only the newest is worth playing. It takes a mixer
that was held up, or a network that was, to come to that."""

REPAIR_FROM_LOSS = 0.01
"""With so many lost, it is worth waiting for the packet that carries the lost one's copy."""


class Held(Struct, frozen=True, gc=False):
    """A packet in the buffer; sequence and timestamp are extended, `delay_s` is None for a redundant copy."""

    sequence: int
    timestamp: int
    samples: int
    payload: bytes
    level_dbov: int | None
    arrived_s: float
    delay_s: float | None


class Decode(Struct, frozen=True, gc=False):
    packet: Held


class Merge(Struct, frozen=True, gc=False):
    """Both are decoded, but take the time of one: the first fades into the second."""

    first: Held
    second: Held


class Recover(Struct, frozen=True, gc=False):
    """A lost one, from the copy that `following` carries."""

    following: Held
    samples: int
    timestamp: int


class Conceal(Struct, frozen=True, gc=False):
    samples: int
    timestamp: int


class Rest(Struct, frozen=True, gc=False):
    """The speaker is silent; always a frame."""

    timestamp: int
    samples: int = FRAME


Step = Decode | Merge | Recover | Conceal | Rest


class Counts(Struct):
    """Of one speaker, counting up."""

    received: int = 0
    late: int = 0
    duplicate: int = 0
    malformed: int = 0
    lost: int = 0
    skipped: int = 0
    restarts: int = 0
    recovered_samples: int = 0
    concealed_samples: int = 0


class Jitter:
    """`epoch` changes when timestamps begin anew; `delay_s` is that of the packet played last."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.epoch = 0
        self.delay_s = 0.0
        self.wish = 0
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._arrivals = Arrivals()
        self._held: dict[int, Held] = {}
        self._newest: tuple[int, int] | None = None
        self._position = 0
        self._played_until: int | None = None
        self._sequence: int | None = None
        self._is_resting = True
        self._starved = 0
        self._starved_from = 0
        self._frame = FRAME
        self._loss = 0.0
        self._repair_samples = 0
        self.wish = 0

    @property
    def target_s(self) -> float:
        """From a packet's arrival to the moment when its mix may leave: the wait, and the frame that is read ahead."""
        return self._wait_s() + FRAME_S

    def reset(self) -> None:
        """Forgets all of the stream: what comes next is its first."""
        self.epoch += 1
        self._begin_anew()

    def rest(self) -> None:
        """The speaker is silent for long: drops what is held and the clock, which may wrap meanwhile. How much packets
        are delayed is remembered."""
        self.epoch += 1
        self._arrivals.lose_clock()
        self._held.clear()
        self._newest = self._sequence = self._played_until = None
        self._is_resting = True
        self._starved = 0
        self.wish = 0

    # Packets

    def on_packet(
        self, sequence: int, timestamp: int, *, payload: bytes, level_dbov: int | None = None, now_s: float
    ) -> bool:
        """Takes 16 and 32 bits as they are on the wire; false (and counted) for what is of no use."""
        samples = packets.count_samples(payload)
        if samples == 0:
            self.counts.malformed += 1
            return False
        self.counts.received += 1
        if self._newest is not None:
            sequence = _extend(sequence, self._newest[0], bits=16)
            timestamp = _extend(timestamp, self._newest[1], bits=32)
            if abs(self._arrivals.delay_s(timestamp, now_s)) > RESTART_S:
                self.counts.restarts += 1
                self.reset()
        if self._newest is None or sequence > self._newest[0]:
            self._newest = (sequence, timestamp)
        delay_s = self._arrivals.on_packet(timestamp, now_s)
        return self._hold(Held(sequence, timestamp, samples, payload, level_dbov, now_s, delay_s))

    def on_copy(self, sequence: int, timestamp: int, *, payload: bytes, now_s: float) -> bool:
        """A packet's redundant copy (RED), after the packet that brought it; of use only where the packet is missing.

        `sequence` is the caller's guess: the bringer's, less the number of packets between.
        """
        samples = packets.count_samples(payload)
        if samples == 0 or self._newest is None:
            return False
        sequence = _extend(sequence, self._newest[0], bits=16)
        timestamp = _extend(timestamp, self._newest[1], bits=32)
        distance = self._newest[1] - timestamp
        if self._loss > REPAIR_FROM_LOSS:
            self._repair_samples = max(self._repair_samples, min(distance, 3 * FRAME))
        is_known = timestamp in self._held or (not self._is_resting and timestamp + samples <= self._position)
        if is_known or self._is_resting or not self._is_missing(sequence):
            return False
        self._held[timestamp] = Held(sequence, timestamp, samples, payload, None, now_s, None)
        return True

    def _is_missing(self, sequence: int) -> bool:
        is_after = self._sequence is None or sequence > self._sequence
        return is_after and all(held.sequence != sequence for held in self._held.values())

    def _hold(self, packet: Held) -> bool:
        known = self._held.get(packet.timestamp)
        if known is not None and known.delay_s is not None:
            self.counts.duplicate += 1
            return False
        if self._is_past(packet) and not self._rewind(packet):
            self.counts.late += 1
            return False
        if len(self._held) >= MAX_HELD:
            del self._held[min(self._held)]
            self.counts.skipped += 1
        self._held[packet.timestamp] = packet
        return True

    def _is_past(self, packet: Held) -> bool:
        """In silence only what was played is past; the position is not laid down before speech goes on."""
        past = self._played_until if self._is_resting else self._position
        return past is not None and packet.timestamp + packet.samples <= past

    def _rewind(self, packet: Held) -> bool:
        """Whether the packet, late as it is, is played next: if all since its time was made up for want of any packet,
        and it is not the only one to come late. The delay grows by what was made up."""
        if self._is_resting or self._starved == 0 or packet.timestamp < self._starved_from:
            return False
        delay_s = packet.delay_s or 0.0
        if delay_s > MOST_WAIT_S + FRAME_S or (self._starved == 1 and self._wait_s() <= self.delay_s):
            return False
        self._position = packet.timestamp
        return True

    # Steps

    def on_due(self, now_s: float, *, is_quiet: bool, is_heard: bool = True) -> Step:
        """The next piece. `is_quiet`: a frame more or less of the sound now is not noticed; where it is not `is_heard`,
        all the less."""
        if not self._held:
            return self._starve()
        first = self._held[min(self._held)]
        if self._is_resting:
            return self._wake(now_s)
        gap = first.timestamp - self._position
        if gap >= 120:  # 2.5 ms, the least that libopus conceals
            return self._bridge(first, gap, now_s)
        return self._play(first, now_s, is_quiet=is_quiet or not is_heard, is_heard=is_heard)

    def _starve(self) -> Step:
        if not self._is_resting:
            if self._starved == 0:
                self._starved_from = self._position
            self._starved += 1
            self._is_resting = self._starved > MAX_CONCEALED
        return self._rest() if self._is_resting else self._conceal(min(FRAME, self._frame))

    def _rest(self) -> Rest:
        step = Rest(self._position)
        self._position += FRAME
        return step

    def _conceal(self, samples: int) -> Conceal:
        step = Conceal(samples, self._position)
        self._position += samples
        self.counts.concealed_samples += samples
        return step

    def _wake(self, now_s: float) -> Step:
        """Speech goes on as soon as the delay suffices; of what has piled up meanwhile only the newest is worth it."""
        order = sorted(self._held)
        wait_s = self._wait_s()
        while len(order) > 1 and self._delay_if_played(self._held[order[1]], now_s) >= wait_s + FRAME_S:
            del self._held[order.pop(0)]
            self.counts.skipped += 1
        first = self._held[order[0]]
        delay_s = self._delay_if_played(first, now_s)
        if delay_s < wait_s:
            return self._rest()
        self.delay_s = delay_s
        self._is_resting = False
        self._sequence = None
        return self._take(first)

    def _bridge(self, first: Held, gap: int, now_s: float) -> Step:
        missing = first.sequence - (first.sequence if self._sequence is None else self._sequence) - 1
        if missing <= 0 or gap > missing * max(self._frame, FRAME) or gap > MAX_BRIDGED:
            self._is_resting = True  # nothing was lost: the speaker paused
            return self._wake(now_s)
        if gap <= first.samples and packets.has_redundancy(first.payload):
            self.counts.recovered_samples += gap // 120 * 120
            step = Recover(first, gap // 120 * 120, self._position)
            self._position = first.timestamp
            return step
        # All but the last missing one, which the next packet may carry.
        return self._conceal(min(self._frame, gap // 120 * 120, MAX_BRIDGED))

    def _play(self, first: Held, now_s: float, *, is_quiet: bool, is_heard: bool) -> Step:
        excess_s = 0.0
        self.wish = 0
        if first.delay_s is not None:
            delay_s = self._delay_if_played(first, now_s)
            excess_s = delay_s - self._wait_s()
            if excess_s > FRAME_S + TOO_LONG_S:
                return self._wake(now_s)
            self.delay_s = delay_s
        if excess_s > FRAME_S + (QUIET_FROM_S if is_heard else UNHEARD_FROM_S):
            second = self._successor(first)
            if second is not None and is_quiet:
                self._take(first)
                self._take(second)
                return Merge(first, second)
            self.wish = -1 if excess_s > FRAME_S + STRETCH_FROM_S else 0
        elif excess_s < -SHORT_S:
            if is_quiet:
                return Conceal(min(FRAME, self._frame), self._position)
            self.wish = 1 if excess_s < -STRETCH_BELOW_S else 0
        return self._take(first)

    def _successor(self, first: Held) -> Held | None:
        second = self._held.get(first.timestamp + FRAME)
        return second if second is not None and first.samples == second.samples == FRAME else None

    def _take(self, packet: Held) -> Decode:
        del self._held[packet.timestamp]
        missing = 0 if self._sequence is None else max(0, packet.sequence - self._sequence - 1)
        self.counts.lost += missing
        self._loss += (1 - self._loss) * (1 - 0.99 ** min(missing, 20)) if missing else -self._loss * 0.01
        if self._loss > REPAIR_FROM_LOSS and packets.has_redundancy(packet.payload):
            self._repair_samples = max(self._repair_samples, packet.samples)
        elif self._loss < REPAIR_FROM_LOSS / 2:
            self._repair_samples = 0
        self._sequence = packet.sequence
        self._position = self._played_until = packet.timestamp + packet.samples
        self._frame = packet.samples
        self._starved = 0
        self._is_resting = packets.is_rest(packet.payload)
        return Decode(packet)

    def _wait_s(self) -> float:
        wait_s = self._arrivals.wait_s
        if self._repair_samples:
            wait_s = max(wait_s, self._repair_samples / RATE_HZ + LEAST_WAIT_S)
        return min(wait_s, MOST_WAIT_S)

    def _delay_if_played(self, packet: Held, now_s: float) -> float:
        """What the delay is when this packet is played now; a copy tells nothing, and is content."""
        return self._wait_s() if packet.delay_s is None else now_s - packet.arrived_s + packet.delay_s


def _extend(value: int, reference: int, *, bits: int) -> int:
    """The number nearest to `reference` that ends in the `bits` of `value`."""
    half = 1 << (bits - 1)
    return reference + ((value - reference + half) & ((1 << bits) - 1)) - half
