"""Token buckets: how many requests a known identity, or a stranger's address, may still make. A machine.

Strangers are counted by address and the known by identity, so that an audience behind one address is not held up by
its own size, and a flood of bad tokens is.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

from msgspec import Struct

MAX_KEYS: Final = 50_000
"""Some 10 MB. Beyond it the one longest unheard is forgotten, which can only be in its favour."""


class _Bucket(Struct):
    tokens: float
    at_s: float


class Rates:
    """Buckets of `burst` requests that fill at `per_second`, one for each key."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def change(self, *, per_second: float, burst: int) -> None:
        """From now on; what has been used up stays used up."""
        self._per_second = per_second
        self._burst = float(burst)

    def wait_s(self, key: str, now_s: float) -> float:
        """0 and one request less for `key`, or how long until the next would be taken."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now_s)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        elapsed_s = max(0.0, now_s - bucket.at_s)
        bucket.tokens = min(self._burst, bucket.tokens + elapsed_s * self._per_second)
        bucket.at_s = now_s
        if bucket.tokens < 1.0:
            return (1.0 - bucket.tokens) / self._per_second
        bucket.tokens -= 1.0
        return 0.0


def address_key(address: str) -> str:
    """What counts as one stranger: an IPv4 address, or the /64 that an IPv6 host may roam in."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "?"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
