"""People who sing a tone each, and who of them a listener hears: by the spectrum of what it decodes. Edge.

Tones are multiples of half a hertz, so that two seconds of them can be sung again and again without a seam.
"""

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache

import numpy as np

from tests.harness import sound
from tests.harness.ledger import Heard
from tests.harness.wire import WirePeer

AMPLITUDE = 0.1
LEVEL_DBOV = -23
"""Of a sine of that amplitude."""

PRESENT, ABSENT = 0.03, 0.006
"""Amplitudes in the spectrum: sung at 0.1, which automatic gain and limiter may halve; and a fifth of what then counts,
far above what the codec leaves between tones."""


@lru_cache
def payloads_of(frequency_hz: float) -> tuple[bytes, ...]:
    """Two seconds, the encoder's beginning left out."""
    return tuple(sound.encode_opus(sound.make_tone(frequency_hz, 4.0) * (AMPLITUDE / 0.5))[100:])


@asynccontextmanager
async def singing(*singers: tuple[WirePeer, float], level_dbov: int = LEVEL_DBOV) -> AsyncIterator[None]:
    """Each its tone, for as long as the block runs."""
    async with AsyncExitStack() as stack:
        for peer, frequency_hz in singers:
            payloads = itertools.cycle(payloads_of(frequency_hz))
            await stack.enter_async_context(peer.speaking(level_dbov=level_dbov, payloads=payloads))
        yield


def is_forwarded(packet: Heard, frequencies: Iterable[float]) -> bool:
    """Whether it is one of the singers' own."""
    return any(packet.packet.payload in payloads_of(frequency) for frequency in frequencies)


def tones(packets: Sequence[Heard], frequencies: Iterable[float]) -> set[float]:
    """Which of the tones are in what one slot heard; no other answer than yes or no."""
    ordered = sorted(packets, key=lambda packet: packet.sequence)
    samples = sound.decode_opus(packet.packet.payload for packet in ordered if len(packet.packet.payload) > 2)
    window = np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(samples * window)) * 2 / np.sum(window)
    found = set()
    for frequency in frequencies:
        at = round(frequency * len(samples) / sound.RATE_HZ)
        amplitude = float(spectrum[max(0, at - 3) : at + 4].max(initial=0.0))
        assert not ABSENT < amplitude < PRESENT, f"{frequency} Hz at {amplitude:.4f} is neither there nor not"
        if amplitude >= PRESENT:
            found.add(frequency)
    return found
