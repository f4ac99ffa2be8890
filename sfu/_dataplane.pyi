"""The native data plane: worker threads that receive, authenticate, select, seal and send every datagram.

Mechanism only; who may speak or listen is decided in Python. Every method is a command: it is checked at once
(`StaleId` for an id that was removed, `ValueError` for an impossible argument), takes effect in order at the worker's
next turn, and never blocks. `barrier` tells when. Ids are never reused. Call from one thread (the event loop's).
"""

from collections.abc import Sequence
from typing import Literal

Event = (
    tuple[Literal["dtls"], int, bytes]  # peer, one DTLS datagram from its validated address
    | tuple[Literal["nominated"], int, str, int]  # peer, address and port that media now goes to (first time or moved)
    | tuple[Literal["expired"], int]  # peer unheard for `consent_timeout_s` (RFC 7675 §5.1) or never heard; now removed
    | tuple[Literal["applied"], int]  # the ticket of a `barrier`
    | tuple[Literal["heard"], int]  # track: its first authentic packet arrived
    | tuple[Literal["voices"], int, list[tuple[int, int]]]  # stage, [(track, -dBov)] loudest first; on change, <= 4/s
    | tuple[Literal["report"], int, dict[str, float]]  # peer, what `request_report` promised
)

class StaleId(LookupError):  # noqa: N818
    """The peer, stage, track, slot or tap was removed, or never existed."""

class Dataplane:
    def __init__(
        self,
        sockets: Sequence[int],
        *,
        tcp: int | None = None,
        consent_timeout_s: float = 30.0,
        join_timeout_s: float = 30.0,
    ) -> None:
        """One worker thread for each bound UDP socket. At the listening socket `tcp` peers of all workers are taken in
        too, in frames (RFC 4571, RFC 6544). Descriptors are duplicated; the caller keeps its own."""
    def close(self) -> None: ...
    def fileno(self) -> int:
        """An eventfd that is readable while events wait."""
    def events(self) -> list[Event]: ...
    def barrier(self) -> int:
        """A ticket; `applied` follows once all earlier commands are in force on every worker and every datagram
        sealed before that has been handed to the kernel."""
    # Peers: one participant's transport, on one worker from creation to removal.
    def create_peer(self, worker: int, *, ufrag: str, pwd: str) -> int: ...
    def restart_ice(self, peer: int, *, ufrag: str, pwd: str) -> None:
        """The old credentials stay good until a check with the new ones nominates (RFC 8445 §9)."""
    def remove_peer(self, peer: int) -> None: ...
    def send_dtls(self, peer: int, datagrams: Sequence[bytes]) -> None: ...
    def set_srtp(self, peer: int, *, profile: int, receive_key: bytes, send_key: bytes) -> None:
        """Once: master key || master salt of each direction; profile by DTLS-SRTP code point (RFC 5764 §4.1.2, RFC 7714
        §14.2): 0x0001 AES128_CM_HMAC_SHA1_80, 0x0007 AEAD_AES_128_GCM, 0x0008 AEAD_AES_256_GCM."""
    # Stages and what is spoken on them.
    def create_stage(self) -> int: ...
    def remove_stage(self, stage: int) -> None: ...
    def add_track(
        self,
        peer: int,
        stage: int,
        *,
        payload_type: int,
        ssrc: int | None,
        mid: str | None,
        mid_id: int,
        level_id: int,
        is_open: bool,
        red_payload_type: int | None = None,
    ) -> int:
        """One inbound Opus stream. Without `ssrc` it is bound to the first one that comes with `mid` or, with neither,
        to the peer's first authentic stream of `payload_type`. Extension ids are 0 where not negotiated.
        Of redundant audio (RFC 2198), where it has a payload type, the newest payload counts."""
    def set_gate(self, track: int, *, is_open: bool) -> None: ...
    def set_level(self, track: int, *, level: int) -> None:
        """How loud a track is, 0 to 127 in -dBov, for packets that do not say (RFC 6464); it counts for 300 ms."""
    def remove_track(self, track: int) -> None: ...
    # Listening: a peer's slots, in the order they were added, carry the stage's loudest tracks.
    def add_slot(
        self,
        peer: int,
        *,
        ssrc: int,
        payload_type: int,
        mid: str | None,
        mid_id: int,
        level_id: int,
        red_payload_type: int | None = None,
    ) -> int:
        """With `red_payload_type` up to three older packets travel with each new one (RFC 2198) for as long as the peer
        reports loss: from 3 % one, from 10 % two, from 25 % three; one fewer after ten seconds below 1, 5 or 15 %."""
    def follow(self, peer: int, stage: int, *, excluding: int | None = None, packet_ms: int = 20) -> None:
        """The peer's k slots carry the k loudest of `stage` (never the track `excluding`), each speaker kept in one
        slot while it stays among them. Replaces what the peer followed before; streams go on unbroken. With `packet_ms`
        40 or 60 several of a speaker's packets come merged into one (RFC 6716 §3.2), as much later; 20 is as spoken."""
    def unfollow(self, peer: int) -> None: ...
    # Taps: plain RTP on Unix datagram sockets, for programs that need the audio itself.
    def open_tap(self, stage: int, *, receive_at: str | None, send_to: str | None) -> int:
        """Every packet heard on `stage` goes to `send_to`, its SSRC being the track's id; RTP arriving at `receive_at`
        feeds the tap's tracks, which do not come back to it. The audio level (RFC 6464) is extension 1, both ways."""
    def add_tap_track(self, tap: int, *, ssrc: int, is_open: bool) -> int: ...
    def follow_track(self, peer: int, track: int, *, packet_ms: int = 20) -> None:
        """The peer's first slot carries exactly `track` (the mix, a replay), whatever the loudness."""
    def replace_track(self, track: int, stage: int, *, excluding: int | None = None) -> int:
        """Whoever follows exactly `track` follows the loudest of `stage` instead; how many that were."""
    def replace_loudest(self, stage: int, track: int, *, excluding: int | None = None) -> int:
        """The other way: whoever follows the loudest of `stage` (never `excluding`) in a single slot."""
    def close_tap(self, tap: int) -> None: ...
    # Watching.
    def counters(self) -> list[dict[str, int]]:
        """One dict a worker; every key counts up from 0 but those that end in `_now`."""
    def request_report(self, peer: int) -> None:
        """A `report` event follows: packets and bytes `_in` and `_out`, lost_fraction, jitter_s, round_trip_s."""

class Srtp:
    """One direction of SRTP and SRTCP (RFC 3711, RFC 7714), as the workers use it; for tests and load generators."""

    def __init__(self, *, profile: int, key: bytes) -> None: ...
    def seal_rtp(self, packet: bytes) -> bytes: ...
    def open_rtp(self, packet: bytes) -> bytes:
        """Raises ValueError with the reason: `short`, `authentication`, `replay`, `source` (one more than 32)."""
    def seal_rtcp(self, packet: bytes) -> bytes: ...
    def open_rtcp(self, packet: bytes) -> bytes: ...
