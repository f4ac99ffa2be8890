"""The control protocol between signalling and the sfu. Pure.

Signalling sends `Request`s and each gets exactly one `Reply` with its id; the sfu sends `Report`s unasked. Every
command is idempotent: said twice, the second finds the work done and answers alike. After a reply the data plane has
changed: a muted participant's next packet is already going nowhere.

Both sides open with `Hello`. Signalling then asks for a `Snapshot` and reconciles: what it does not know it closes,
what is missing it re-creates (spaces) or reports as gone (sessions).
"""

from typing import Literal

from msgspec import Struct

PROTOCOL_VERSION = 1

Setup = Literal["active", "passive"]
"""The DTLS role that the sfu takes (RFC 5763 §5): `passive` waits for the ClientHello."""


Audience = Literal["mix", "forward"]
"""What a listener with a single audio section hears: all voices in one stream, or the dominant one forwarded. Whoever
has several sections is sent as many voices apart, either way."""


class Hello(Struct, frozen=True, tag="hello"):
    version: int
    node: str = ""
    """The sfu's name and start, new with every process, so that signalling can tell a restart from a reconnect."""
    secret: str = ""
    """The shared secret, on TCP; the Unix socket's permissions stand for it otherwise."""


class Fingerprint(Struct, frozen=True):
    """A certificate's hash as in `a=fingerprint` (RFC 8122 §5)."""

    algorithm: str
    value: str


class ReceiveSection(Struct, frozen=True):
    """The audio section in which the client may send."""

    mid: str
    payload_type: int
    ssrc: int | None = None
    mid_extension: int = 0
    level_extension: int = 0
    red_payload_type: int | None = None
    """The client may send redundant audio (RFC 2198) under this payload type; its newest payload is what counts."""


class SendSection(Struct, frozen=True):
    """An audio section in which the sfu sends one slot."""

    mid: str
    payload_type: int
    mid_extension: int = 0
    level_extension: int = 0
    max_packet_ms: int | None = None
    """The client takes no more audio in a packet (`a=maxptime`, RFC 8866 §6.4); None if it does not say."""
    red_payload_type: int | None = None
    """Redundant audio (RFC 2198) is understood under this payload type; it is sent once the client reports loss."""


class Candidate(Struct, frozen=True):
    address: str
    port: int
    protocol: Literal["udp", "tcp"] = "udp"
    """By TCP the sfu only waits for connections (`tcptype passive`, RFC 6544 §4.5)."""


# Commands


class OpenSpace(Struct, frozen=True, tag="open_space"):
    """Said again, it changes what it says differently."""

    space: str
    max_speakers: int = 10
    audience: Audience = "forward"


class CloseSpace(Struct, frozen=True, tag="close_space"):
    space: str


class OpenSession(Struct, frozen=True, tag="open_session"):
    """One peer connection of a participant. `session` is the caller's unguessable id; said twice, the first stands."""

    session: str
    space: str
    identity: str
    kind: Literal["whip", "whep", "stage"]
    setup: Setup
    fingerprints: list[Fingerprint]
    remote_ufrag: str
    receive: ReceiveSection | None
    send: list[SendSection]
    is_on_stage: bool
    """Whether this participant is (now) a speaker; the eleventh is refused with `stage_full`."""
    is_muted: bool
    trace: str = ""
    """A traceparent (W3C Trace Context) if this join is traced: what the sfu sees of it goes below that."""
    owner: str = ""
    """Opaque to the sfu, returned in snapshots: what signalling must remember to carry on after a restart (its ETag,
    the participant's name, role and kind of token)."""


class RestartIce(Struct, frozen=True, tag="restart_ice"):
    session: str
    remote_ufrag: str


class CloseSession(Struct, frozen=True, tag="close_session"):
    session: str


class SetMuted(Struct, frozen=True, tag="set_muted"):
    """Hard mute: closes the gates of these identities on all their present and future tracks; `[]` names nobody."""

    space: str
    identities: list[str]
    is_muted: bool


class SetOnStage(Struct, frozen=True, tag="set_on_stage"):
    """Promotes to speaker or moves back to the audience; renegotiates nothing."""

    space: str
    identity: str
    is_on_stage: bool


class SetAudience(Struct, frozen=True, tag="set_audience"):
    """While live, too: listeners keep their stream and notice nothing but what they hear."""

    space: str
    audience: Audience


class RemoveParticipant(Struct, frozen=True, tag="remove_participant"):
    """Closes all sessions of an identity; afterwards it neither sends nor receives."""

    space: str
    identity: str


class Describe(Struct, frozen=True, tag="describe"):
    """Asks for a `Snapshot`."""


class Drain(Struct, frozen=True, tag="drain"):
    """New sessions are refused with `draining` (or accepted again); those that stand go on."""

    is_draining: bool


class Inspect(Struct, frozen=True, tag="inspect"):
    """Asks for an `Inspected`: what the data plane counts of a space's sessions now."""

    space: str
    sessions: int = 500
    """At most so many; those on stage first."""


class Goodbye(Struct, frozen=True, tag="goodbye"):
    """Signalling ends in good order: that the connection closes now is no loss."""


Command = (
    Hello
    | OpenSpace
    | CloseSpace
    | OpenSession
    | RestartIce
    | CloseSession
    | SetMuted
    | SetOnStage
    | SetAudience
    | RemoveParticipant
    | Describe
    | Drain
    | Goodbye
    | Inspect
)


class Request(Struct, frozen=True):
    id: int
    command: Command


# Answers


class Done(Struct, frozen=True, tag="done"):
    """The command is in force at the packet."""


class Refused(Struct, frozen=True, tag="refused"):
    """Codes: unknown_space, unknown_session, unknown_participant, stage_full, space_full, draining, overloaded,
    bad_command, bad_secret, version."""

    code: str
    detail: str


class SessionOpened(Struct, frozen=True, tag="session_opened"):
    """What the SDP answer needs. `ssrcs` and `msids` stand in the order of `send`."""

    session: str
    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    setup: Setup
    candidates: list[Candidate]
    cname: str
    ssrcs: list[int]


class IceRestarted(Struct, frozen=True, tag="ice_restarted"):
    session: str
    ufrag: str
    pwd: str
    candidates: list[Candidate]


class SessionState(Struct, frozen=True):
    session: str
    space: str
    identity: str
    kind: Literal["whip", "whep", "stage"]
    is_connected: bool
    is_on_stage: bool
    is_muted: bool
    ufrag: str
    remote_ufrag: str
    owner: str


class SpaceState(Struct, frozen=True):
    space: str
    max_speakers: int
    muted: list[str]
    on_stage: list[str]
    audience: Audience = "forward"


class Snapshot(Struct, frozen=True, tag="snapshot"):
    node: str
    is_draining: bool
    spaces: list[SpaceState]
    sessions: list[SessionState]


class SessionFigures(Struct, frozen=True, kw_only=True):
    """One session as it is. What is counted is since it began, and null where nothing is known of it (yet)."""

    session: str
    """Its beginning, as in the log."""
    identity: str
    kind: Literal["whip", "whep", "stage"]
    is_connected: bool
    is_on_stage: bool
    is_muted: bool
    packets_in: int | None = None
    packets_out: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    lost_ratio: float | None = None
    """As the client last reported of what it is sent, 0 to 1."""
    jitter_s: float | None = None
    round_trip_s: float | None = None


class Inspected(Struct, frozen=True, tag="inspected"):
    space: str
    total: int
    """Sessions that there are; `sessions` may be fewer."""
    sessions: list[SessionFigures]


Answer = Inspected | Hello | Done | Refused | SessionOpened | IceRestarted | Snapshot


class Reply(Struct, frozen=True, tag="reply"):
    id: int
    answer: Answer


# Reports


class SessionConnected(Struct, frozen=True, tag="session_connected"):
    """DTLS is up and the certificate is the one that the SDP named: media may flow."""

    session: str


class SessionClosed(Struct, frozen=True, tag="session_closed"):
    """Reasons: closed (asked for), replaced, removed, space_closed, expired (unheard for 30 s), never_connected,
    wrong_certificate, handshake_failed, left (DTLS close_notify)."""

    session: str
    space: str
    identity: str
    reason: str


class Speaking(Struct, frozen=True, tag="speaking"):
    """Who is heard now, loudest first, as (identity, level in dBov, -127 to 0); sent on change, at most 4 a second."""

    space: str
    voices: list[tuple[str, int]]


class Load(Struct, frozen=True, tag="load"):
    """Once a second, and when it changes: whether the sfu would take another session, and why not."""

    accepts: bool
    reason: str
    """Empty, `draining`, `overloaded` or `standstill` (a worker of the data plane does not turn)."""
    sessions: int
    ends_at_s: float | None = None
    """Seconds since 1970: while draining to its end, when those who are still in have to go."""


Report = SessionConnected | SessionClosed | Speaking | Load

FromSfu = Reply | Report
