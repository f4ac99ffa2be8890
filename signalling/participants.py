"""A participant's sessions and what they say together. Values that `signalling.spaces` owns and changes. Pure."""

from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Struct

from sfu.contract.messages import SessionState
from signalling.events import You
from signalling.negotiation import Kind
from signalling.permissions import Role
from signalling.records import Owner, StandingRecord
from signalling.resources import ParticipantResource, timestamp, timestamp_or_none

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
    key: str = ""
    """The API key that signed the token."""
    is_followed: bool = False
    """The host follows them, by their token."""
    is_recorder: bool = False
    """By their token, the session is there to record."""
    follows: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()

    def owner(self, joined_at_s: float) -> Owner:
        return Owner(
            name=self.name,
            authority=self.authority,
            can_publish=self.can_publish,
            is_hidden=self.is_hidden,
            issued_at_s=self.issued_at_s,
            joined_at_s=joined_at_s,
            mid=self.mid,
            key=self.key,
            is_followed=self.is_followed,
            is_recorder=self.is_recorder,
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
            key=self.key,
            is_followed=self.is_followed,
            is_recorder=self.is_recorder,
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
    key: str = ""
    is_followed: bool = False
    is_recorder: bool = False
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
    blocks: frozenset[str] = frozenset()
    """Whom they have blocked, as far as their tokens or the operator's callback say."""
    is_known_followed: bool = False
    """The host follows them, by the host's own token or the operator's callback."""
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
    def key(self) -> str:
        """The API key of their tokens: the application whose word it is that they are who they are."""
        return next(iter(self.sessions.values())).key

    @property
    def is_followed(self) -> bool:
        return self.is_known_followed or any(session.is_followed for session in self.sessions.values())

    @property
    def is_recorder(self) -> bool:
        return any(session.is_recorder and session.is_open for session in self.sessions.values())

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

    def resource(self, role: Role, standing: StandingRecord) -> ParticipantResource:
        """As others see it, but for the level."""
        return ParticipantResource(
            identity=self.identity,
            name=self.name,
            role=role,
            is_muted=standing.is_muted,
            is_self_muted=standing.is_self_muted,
            is_connected=self.is_connected,
            has_raised_hand=standing.hand_raised_at_s is not None,
            hand_raised_at=timestamp_or_none(standing.hand_raised_at_s),
            is_invited=standing.invited_as is not None,
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
        key=owner.key,
        is_followed=owner.is_followed,
        is_recorder=owner.is_recorder,
    )
    return joiner, owner.joined_at_s
