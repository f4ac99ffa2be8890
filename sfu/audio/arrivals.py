"""How late one speaker's packets come, and the wait that is long enough for nearly all of them. A machine.

A packet's *delay* is how much later it came than the fastest of late would have: arrival minus timestamp, less the
least such difference of the last two to four seconds. The window makes a drifting clock (200 ppm are 0.8 ms in four
seconds) and a changed route no jitter at all. The *wait* is the quantile of recent delays, plus a guard.

Per packet; guarded by `benchmarks/mixer.py`.
"""

RATE_HZ = 48_000

LEAST_WAIT_S, MOST_WAIT_S = 0.005, 0.100
"""The least covers our own timer; a speaker with worse jitter than the most loses what comes later still."""

GUARD_S = 0.003

QUANTILE = 0.99
"""One packet in a hundred may come too late: its concealment is heard less than a delay for all."""

FORGET = 0.996
"""Weight of a delay against that of the next packet's: half is forgotten in 3.5 s of 20 ms packets."""

START_S = 0.016
"""A delay that counts as seen before any is; it weighs as much as `START_WEIGHT` packets."""

START_WEIGHT = 5.0

_BIN_S = 0.002
_BINS = 64
_WINDOW_S = 2.0
_EVERY = 8
"""The quantile is renewed with every so many packets."""


class Arrivals:
    """`wait_s` is how long the fastest packet should lie before it is needed."""

    def __init__(self) -> None:
        self._weights = [0.0] * _BINS
        self._weights[int(START_S / _BIN_S)] = START_WEIGHT
        self._total = START_WEIGHT
        self._weight = 1.0
        self._count = 0
        self.wait_s = self._needed_s()
        self._least: float | None = None
        self._least_before: float | None = None
        self._window_ends_s = 0.0

    def lose_clock(self) -> None:
        """The next packet's timestamp has nothing to do with those before; the wait stays."""
        self._least = self._least_before = None

    def delay_s(self, timestamp: int, now_s: float) -> float:
        """Of a packet with this (extended) timestamp, were it to come now; negative if it were faster than any."""
        if self._least is None:
            return 0.0
        least = self._least if self._least_before is None else min(self._least, self._least_before)
        return now_s - timestamp / RATE_HZ - least

    def on_packet(self, timestamp: int, now_s: float) -> float:
        """The packet's delay, never negative: the fastest is the measure of all."""
        transit_s = now_s - timestamp / RATE_HZ
        if self._least is None or now_s >= self._window_ends_s:
            is_fresh = now_s < self._window_ends_s + _WINDOW_S
            self._least_before, self._least = self._least if is_fresh else None, transit_s
            self._window_ends_s = now_s + _WINDOW_S
        elif transit_s < self._least:
            self._least = transit_s
        delay_s = max(0.0, self.delay_s(timestamp, now_s))
        self._remember(delay_s)
        return delay_s

    def _remember(self, delay_s: float) -> None:
        """Weights grow instead of all others shrinking: the same proportions, one addition a packet."""
        self._weight /= FORGET
        self._weights[min(_BINS - 1, int(delay_s / _BIN_S))] += self._weight
        self._total += self._weight
        self._count += 1
        if self._count % _EVERY == 0:
            self.wait_s = self._needed_s()
            if self._weight > 1e9:
                self._weights = [weight / self._weight for weight in self._weights]
                self._total /= self._weight
                self._weight = 1.0

    def _needed_s(self) -> float:
        return min(MOST_WAIT_S, max(LEAST_WAIT_S, self._quantile_s() + GUARD_S))

    def _quantile_s(self) -> float:
        """The upper end of the bin that holds the quantile."""
        above = self._total * (1 - QUANTILE)
        for place in range(_BINS - 1, 0, -1):
            above -= self._weights[place]
            if above < 0:
                return (place + 1) * _BIN_S
        return _BIN_S
