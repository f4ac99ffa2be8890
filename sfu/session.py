"""A participant's sessions, as flat records that the machines of a space share. Pure."""

from msgspec import Struct, field

from sfu.contract.messages import OpenSession
from sfu.effects import Credentials, Follow, FollowMix, Transport


class Session(Struct):
    """One peer connection."""

    request: OpenSession
    transport: Transport
    credentials: Credentials
    remote_ufrag: str
    is_open: bool = False
    """Whether its gate is; a session that sends nothing has it closed."""
    is_connected: bool = False
    follows: Follow | FollowMix | None = None
    """What it was last told to carry."""

    @property
    def is_sending(self) -> bool:
        return self.request.receive is not None

    @property
    def is_listening(self) -> bool:
        return bool(self.request.send)

    @property
    def has_one_section(self) -> bool:
        """To listen in, as a standard WHEP client has: it cannot be sent several voices apart."""
        return len(self.request.send) == 1

    @property
    def is_untold(self) -> bool:
        """Whether it is heard without saying how loud it is (RFC 6464)."""
        receive = self.request.receive
        return self.is_open and receive is not None and receive.level_extension == 0


class Participant(Struct):
    """An identity's sessions by their ids, oldest first."""

    sessions: dict[str, Session] = field(default_factory=dict)

    @property
    def sending(self) -> str | None:
        """The one session that may send."""
        return next((name for name, record in self.sessions.items() if record.is_sending), None)
