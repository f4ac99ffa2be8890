"""What the machines `space` and `node` want done: frozen, named by session and space, performed by `relay`. Pure."""

from msgspec import Struct

from sfu.contract.messages import Fingerprint, ReceiveSection, Report, SendSection, Setup


class Credentials(Struct, frozen=True):
    """Our ICE user fragment and password (RFC 8445 §5.3); drawn by the caller, who has randomness."""

    ufrag: str
    pwd: str


class Transport(Struct, frozen=True):
    """What a new session's peer is made with; drawn by the caller."""

    worker: int
    credentials: Credentials
    ssrcs: tuple[int, ...]


class OpenStage(Struct, frozen=True):
    space: str


class CloseStage(Struct, frozen=True):
    space: str


class OpenPeer(Struct, frozen=True):
    session: str
    transport: Transport
    setup: Setup
    fingerprints: tuple[Fingerprint, ...]


class AddTrack(Struct, frozen=True):
    """The one stream that this session's peer may send."""

    session: str
    space: str
    section: ReceiveSection
    is_open: bool


class SetGate(Struct, frozen=True):
    session: str
    is_open: bool


class AddSlots(Struct, frozen=True):
    """In order; `ssrcs` belong to `sections` one by one."""

    session: str
    sections: tuple[SendSection, ...]
    ssrcs: tuple[int, ...]


class Follow(Struct, frozen=True):
    """The session's slots carry the loudest of the stage, never the track of the session `excluding`: `packet_ms` of
    audio to a packet, 20 being what the speakers send."""

    session: str
    space: str
    excluding: str | None
    packet_ms: int = 20


class OpenMixer(Struct, frozen=True):
    """A mixer hears the space from now on; `voices` are the sessions that send, and whether their gates are open."""

    space: str
    voices: tuple[tuple[str, bool], ...]


class CloseMixer(Struct, frozen=True):
    """With all its mixes."""

    space: str


class AddMix(Struct, frozen=True):
    """A stream of all voices, or of all but what the session `without` sends. The first is that of all."""

    space: str
    without: str | None


class RemoveMix(Struct, frozen=True):
    space: str
    without: str | None


class FollowMix(Struct, frozen=True):
    """The session's one slot carries this mix of the space; while there is none, the dominant voice but `without`."""

    session: str
    space: str
    without: str | None
    packet_ms: int = 20


class RestartIce(Struct, frozen=True):
    session: str
    credentials: Credentials


class ClosePeer(Struct, frozen=True):
    """With all its tracks and slots; a peer that is connected is told so first."""

    session: str


class Announce(Struct, frozen=True):
    report: Report


Effect = (
    OpenStage
    | CloseStage
    | OpenPeer
    | AddTrack
    | SetGate
    | AddSlots
    | Follow
    | OpenMixer
    | CloseMixer
    | AddMix
    | RemoveMix
    | FollowMix
    | RestartIce
    | ClosePeer
    | Announce
)
