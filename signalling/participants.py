"""A participant's sessions and what they say together. Values that `signalling.spaces` owns and changes. Pure."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Struct

from sfu.contract.messages import SessionState
from signalling.negotiation import Kind
from signalling.permissions import Role
from signalling.records import Owner
from signalling.resources import ParticipantResource, You, timestamp

Authority = Literal["host", "cohost"]


class Joiner(Struct, frozen=True, kw_only=True):
    """Who opens a session, by a verified token, and what of the session must be remembered."""

    identity: str
    name: str
    authority: Authority | None
    can_publish: bool
    is_hidden: bool
    issued_at_s: float | None
    kind: Kind
    remote_ufrag: str
    mid: str

    def owner(self, joined_at_s: float) -> Owner:
        return Owner(
            name=self.name,
            authority=self.authority,
            can_publish=self.can_publish,
            is_hidden=self.is_hidden,
            issued_at_s=self.issued_at_s,
            joined_at_s=joined_at_s,
            mid=self.mid,
        )

    def session(self, session: str) -> "Session":
        return Session(
            session=session,
            identity=self.identity,
            name=self.name,
            authority=self.authority,
            can_publish=self.can_publish,
            is_hidden=self.is_hidden,
            kind=self.kind,
            remote_ufrag=self.remote_ufrag,
            mid=self.mid,
        )


class Admission(Struct, frozen=True):
    """The part of `OpenSession` that the space decides."""

    is_on_stage: bool
    is_muted: bool
    owner: str


@dataclass(slots=True, kw_only=True)
class Session:
    """One peer connection. What its token said stays with it: another session's token does not lift it."""

    session: str
    identity: str
    name: str
    authority: Authority | None
    can_publish: bool
    is_hidden: bool
    kind: Kind
    remote_ufrag: str
    mid: str
    ufrag: str = ""
    is_open: bool = False
    is_connected: bool = False

    @property
    def sends(self) -> bool:
        return self.kind != "whep"


@dataclass(slots=True, kw_only=True)
class Participant:
    """A person, for as long as one session of theirs stands or is being opened."""

    identity: str
    joined_at_s: float
    sessions: dict[str, Session] = field(default_factory=dict)
    has_raised_hand: bool = False
    is_invited: bool = False
    is_told_on_stage: bool = False
    """What the sfu was last told."""
    you: You | None = None
    """What the participant was last told."""

    @property
    def name(self) -> str:
        return next(iter(self.sessions.values())).name

    @property
    def authority(self) -> Authority | None:
        held = {session.authority for session in self.sessions.values()}
        return "host" if "host" in held else "cohost" if "cohost" in held else None

    @property
    def is_hidden(self) -> bool:
        return all(session.is_hidden for session in self.sessions.values())

    @property
    def is_present(self) -> bool:
        return any(session.is_open for session in self.sessions.values())

    @property
    def is_connected(self) -> bool:
        return any(session.is_connected for session in self.sessions.values())

    @property
    def sends(self) -> bool:
        return any(session.sends for session in self.sessions.values())

    @property
    def speaks_by_token(self) -> bool:
        return any(session.sends and session.can_publish for session in self.sessions.values())

    def role(self, given: Role | None) -> Role:
        """What a moderator gave or took (`given`), then what the tokens say."""
        if given == "listener":
            return "listener"
        return self.authority or given or ("speaker" if self.speaks_by_token else "listener")

    def is_on_stage(self, given: Role | None) -> bool:
        """Whether it may be heard: allowed to, and with a session to speak in."""
        if given is None:
            return self.speaks_by_token
        return given != "listener" and self.sends

    def resource(self, *, role: Role, is_muted: bool) -> ParticipantResource:
        """As others see it, but for the level."""
        return ParticipantResource(
            identity=self.identity,
            name=self.name,
            role=role,
            is_muted=is_muted,
            is_connected=self.is_connected,
            has_raised_hand=self.has_raised_hand,
            joined_at=timestamp(self.joined_at_s),
        )


def joiner_of(report: SessionState) -> tuple[Joiner, float] | None:
    """Whose session the sfu reports, and when that participant joined; None where its owner is not of our writing."""
    try:
        owner = msgspec.json.decode(report.owner, type=Owner)
    except msgspec.DecodeError:
        return None
    joiner = Joiner(
        identity=report.identity,
        name=owner.name,
        authority=owner.authority,
        can_publish=owner.can_publish,
        is_hidden=owner.is_hidden,
        issued_at_s=owner.issued_at_s,
        kind=report.kind,
        remote_ufrag=report.remote_ufrag,
        mid=owner.mid,
    )
    return joiner, owner.joined_at_s
