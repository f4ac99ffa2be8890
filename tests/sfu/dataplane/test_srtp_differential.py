"""SRTP and SRTCP against libsrtp: both seal to the same bytes, and of the same traffic both open the same packets.

The traffic is speech of three sources as a bad network delivers it: lost, late, doubled, and with gaps so long that
each source wraps its sequence number more than two hundred times. Seeded: a failure repeats.
"""

import random
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from pylibsrtp import Error, Policy, Session

from sfu._dataplane import Srtp

PACKETS = 100_000  # of each profile, sealed by both sides and opened by both


class Profile(NamedTuple):
    code: int  # DTLS-SRTP code point
    libsrtp: int
    key_bytes: int  # master key and salt


PROFILES = {
    "AES128_CM_HMAC_SHA1_80": Profile(0x0001, Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16 + 14),
    "AEAD_AES_128_GCM": Profile(0x0007, Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16 + 12),
    "AEAD_AES_256_GCM": Profile(0x0008, Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32 + 12),
}


@pytest.fixture(params=list(PROFILES.values()), ids=list(PROFILES))
def profile(request: pytest.FixtureRequest) -> Profile:
    assert isinstance(request.param, Profile)
    return request.param


@pytest.fixture
def rng(profile: Profile) -> random.Random:
    return random.Random(profile.code)


@pytest.fixture
def key(profile: Profile, rng: random.Random) -> bytes:
    return rng.randbytes(profile.key_bytes)


@pytest.fixture
def ours(profile: Profile, key: bytes) -> Srtp:
    return Srtp(profile=profile.code, key=key)


@pytest.fixture
def sender(profile: Profile, key: bytes) -> Session:
    return _libsrtp(profile, key, Policy.SSRC_ANY_OUTBOUND)


@pytest.fixture
def receiver(profile: Profile, key: bytes) -> Session:
    return _libsrtp(profile, key, Policy.SSRC_ANY_INBOUND)


def test_both_seal_rtp_to_the_same_bytes(ours: Srtp, sender: Session, rng: random.Random) -> None:
    for packet in _speech(rng, PACKETS):
        assert ours.seal_rtp(packet) == sender.protect(packet)


def test_both_open_the_same_rtp_of_a_bad_network(
    ours: Srtp, sender: Session, receiver: Session, rng: random.Random
) -> None:
    arrivals = _network(rng, [(packet, sender.protect(packet)) for packet in _speech(rng, PACKETS)])
    heard = 0
    for packet, sealed in arrivals:
        opened = _opened(ours.open_rtp, sealed)
        assert opened == _opened(receiver.unprotect, sealed)
        assert opened in (packet, None)
        heard += opened is not None
    # 5 % is lost and 85 % on time; 10 % is late by up to 200 packets of its source, refused past 128 or past a gap.
    assert 0.85 * PACKETS < heard < 0.96 * PACKETS


def test_what_we_seal_libsrtp_opens_and_the_reverse_in_rtcp(
    ours: Srtp, sender: Session, receiver: Session, rng: random.Random
) -> None:
    for packet in _reports(rng, PACKETS // 10):
        assert receiver.unprotect_rtcp(ours.seal_rtcp(packet)) == packet
        assert ours.open_rtcp(sender.protect_rtcp(packet)) == packet


def test_both_open_the_same_rtcp_of_a_bad_network(
    ours: Srtp, sender: Session, receiver: Session, rng: random.Random
) -> None:
    count = PACKETS // 10
    arrivals = _network(rng, [(packet, sender.protect_rtcp(packet)) for packet in _reports(rng, count)])
    heard = 0
    for packet, sealed in arrivals:
        opened = _opened(ours.open_rtcp, sealed)
        assert opened == _opened(receiver.unprotect_rtcp, sealed)
        assert opened in (packet, None)
        heard += opened is not None
    assert 0.85 * count < heard < 0.96 * count


def test_neither_opens_what_was_altered_or_cut_short(
    ours: Srtp, sender: Session, receiver: Session, rng: random.Random
) -> None:
    for packet, report in zip(_speech(rng, 300), _reports(rng, 300), strict=True):
        sealed, sealed_report = sender.protect(packet), sender.protect_rtcp(report)
        for altered in _altered(rng, sealed):
            assert _opened(ours.open_rtp, altered) is _opened(receiver.unprotect, altered) is None
        for altered in _altered(rng, sealed_report):
            assert _opened(ours.open_rtcp, altered) is _opened(receiver.unprotect_rtcp, altered) is None
        assert ours.open_rtp(sealed) == receiver.unprotect(sealed) == packet
        assert ours.open_rtcp(sealed_report) == receiver.unprotect_rtcp(sealed_report) == report


def test_a_refusal_names_its_reason(ours: Srtp, sender: Session, rng: random.Random) -> None:
    sealed = sender.protect(next(_speech(rng, 1)))
    with pytest.raises(ValueError, match=r"^short$"):
        ours.open_rtp(sealed[:11])
    with pytest.raises(ValueError, match=r"^authentication$"):
        ours.open_rtp(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    ours.open_rtp(sealed)
    with pytest.raises(ValueError, match=r"^replay$"):
        ours.open_rtp(sealed)


def test_a_sequence_number_is_sealed_once(ours: Srtp, rng: random.Random) -> None:
    packet = next(_speech(rng, 1))
    ours.seal_rtp(packet)
    with pytest.raises(ValueError, match=r"^replay$"):
        ours.seal_rtp(packet)


def test_a_key_of_the_wrong_length_and_an_unknown_profile_are_refused(profile: Profile) -> None:
    with pytest.raises(ValueError, match="takes a key"):
        Srtp(profile=profile.code, key=bytes(profile.key_bytes - 1))
    with pytest.raises(ValueError, match="no SRTP profile"):
        Srtp(profile=0x0002, key=bytes(profile.key_bytes))


def _libsrtp(profile: Profile, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp)
    policy.window_size = 128
    return Session(policy)


def _opened(open_packet: Callable[[bytes], bytes], sealed: bytes) -> bytes | None:
    try:
        return open_packet(sealed)
    except (Error, ValueError):
        return None


def _speech(rng: random.Random, count: int) -> Iterator[bytes]:
    """RTP of three sources in turn, with contributing sources and extensions here and there.

    Every 30th step is a gap of 15,000 on average: a wrap every 130 packets. A receiver can bridge less than 2^15, and
    so there must be packets enough between two gaps that one arrives.
    """
    indices = [rng.randrange(65_400, 65_500) for _ in range(3)]
    for number in range(count):
        source = number % 3
        yield _packet(rng, sequence=indices[source] % 65_536, ssrc=0xCAFE0000 + source)
        indices[source] += rng.randrange(2, 30_000) if number // 3 % 30 == 29 else 1


def _packet(rng: random.Random, *, sequence: int, ssrc: int) -> bytes:
    csrc_count = rng.choice((0, 0, 0, 1, 15))
    words = rng.choice((None, None, 0, 1, 4))
    first = 0x80 | (words is not None) << 4 | csrc_count
    fixed = struct.pack("!BBHII", first, rng.choice((111, 239)), sequence, rng.getrandbits(32), ssrc)
    extension = b"" if words is None else b"\xbe\xde" + words.to_bytes(2, "big") + rng.randbytes(4 * words)
    return fixed + rng.randbytes(4 * csrc_count) + extension + rng.randbytes(rng.randrange(200))


def _reports(rng: random.Random, count: int) -> Iterator[bytes]:
    """RTCP compounds of three sources; only the first eight bytes mean anything to SRTCP."""
    for number in range(count):
        yield b"\x81\xc9\x00\x07" + (0xCAFE0000 + number % 3).to_bytes(4, "big") + rng.randbytes(4 * rng.randrange(30))


def _network(rng: random.Random, sent: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What arrives, in its order: 5 % is lost, 10 % up to 600 packets late, 5 % twice; each source's first on time."""
    arrivals: list[tuple[int, tuple[bytes, bytes]]] = []
    for number, packet in enumerate(sent):
        fate = rng.random() if number > 2 else 1.0
        if fate < 0.05:
            continue
        arrivals.append((number + (rng.randrange(600) if fate < 0.15 else 0), packet))
        if fate > 0.95:
            arrivals.append((number + rng.randrange(600), packet))
    return [packet for _, packet in sorted(arrivals, key=lambda arrival: arrival[0])]


def _altered(rng: random.Random, sealed: bytes) -> Iterator[bytes]:
    """One packet with one bit flipped, one cut short, one longer than it was."""
    bit = rng.randrange(8 * len(sealed))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    yield bytes(flipped)
    yield sealed[: rng.randrange(len(sealed))]
    yield sealed + rng.randbytes(rng.randrange(1, 9))
