"""What a space holds, what is true of everybody in it, and what follows when that has changed. A machine.

`signalling.acts` and `signalling.spaces` are built on it: they decide, then settle the people whom they touched. What
the sfu and the people were last told is remembered, so that settling says only what is news.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sfu.contract.messages import SetMuted, SetOnStage
from signalling.attendance import Attendance
from signalling.effects import Announce, Effect, KeepSpace, Notify, Tell
from signalling.errors import CommandError
from signalling.events import HostGone, Nothing, SnapshotEvent, You
from signalling.participants import Participant, Session
from signalling.permissions import Role
from signalling.records import ExclusionRecord, SpaceRecord, StandingRecord, TicketRecord
from signalling.resources import Counts, Hand, ParticipantResource, SpaceResource, space_resource, timestamp
from signalling.roster import Roster
from signalling.safety import Bans
from signalling.showing import Showing
from signalling.standings import HostBlocks, Standings
from signalling.tickets import Tickets


class Assembly:
    """The state, and questions about it."""

    def __init__(
        self,
        record: SpaceRecord,
        *,
        standings: Iterable[StandingRecord] = (),
        exclusions: Iterable[ExclusionRecord] = (),
        tickets: Iterable[TicketRecord] = (),
        blocks: HostBlocks | None = None,
        bans: Bans | None = None,
        sessions_per_identity: int = 8,
        host_grace_s: float = 300.0,
        url: str = "",
        is_restored: bool = False,
    ) -> None:
        """`is_restored` from the store: until the sfu has said who is there, nobody is taken for gone."""
        self.record = record
        self.tickets = Tickets(tickets)
        if blocks is None and record.host:
            blocks = HostBlocks(record.host)
        self._standings = Standings(record.space, standings, exclusions, blocks=blocks, bans=bans)
        self._sessions_per_identity = sessions_per_identity
        self._url = url
        self._roster = Roster(self._standings)
        self._showing = Showing()
        self._attendance = Attendance(record, host_grace_s=host_grace_s)
        self._host_follows = frozenset[str]()
        self._answers: dict[str, str] = {}
        """Whose hand was answered by whom, for the moderator who comes a moment too late."""
        self._stage_seen: list[str] = []
        self._is_told_recorded = False
        self._awaits_sfu = is_restored and record.state == "live"

    @property
    def id(self) -> str:
        return self.record.space

    @property
    def is_live(self) -> bool:
        return self.record.state == "live"

    @property
    def is_over(self) -> bool:
        return self.record.ended_at_s is not None

    @property
    def ends_at_s(self) -> float | None:
        """When it is over for want of a host; None while there is one, or while that is not known yet."""
        return None if self._awaits_sfu else self._attendance.ends_at_s(self.record)

    def session(self, session: str) -> Session | None:
        return self._roster.session(session)

    def on_stage(self) -> list[str]:
        """Who may be heard now, hidden ones included, in the order of their coming on stage."""
        return self._roster.on_stage()

    def counts(self) -> Counts:
        speakers = len(self._roster.on_stage())
        return Counts(
            speakers=speakers,
            listeners=len(self._roster) - speakers,
            hidden=self._attendance.hidden,
            live=self._attendance.live,
            total=self._attendance.total,
            peak=self._attendance.peak,
        )

    def resource(self) -> SpaceResource:
        return space_resource(
            self.record,
            self.counts(),
            url=self._url,
            ends_at_s=self.ends_at_s,
            is_recorded=self._attendance.is_recorded,
        )

    def participants(self) -> list[ParticipantResource]:
        """Everyone but the hidden: moderators and speakers first, then the others as they came."""
        visible = [person for person in self._roster if person.is_present and not person.is_hidden]
        resources = [self._showing.with_level(self._resource_of(person)) for person in visible]
        return sorted(resources, key=lambda resource: resource.role == "listener")

    def participant(self, identity: str) -> ParticipantResource:
        """As moderators see it, hidden or not. Raises CommandError `unknown_participant`, `participant_left`."""
        return self._showing.with_level(self._resource_of(self._roster.present(identity)))

    def stage(self) -> list[ParticipantResource]:
        """Who is on stage for all to see, in the order of their coming."""
        people = [self._roster.find(identity) for identity in self._roster.on_stage()]
        seen = [person for person in people if person and person.is_present and not person.is_hidden]
        return [self._showing.with_level(self._resource_of(person)) for person in seen]

    def has(self, identity: str) -> bool:
        """Whether they are here, hidden or not."""
        return self._roster.find(identity) is not None

    @property
    def is_stage_known(self) -> bool:
        """False after a restart, until the sfu has said who is there."""
        return not self._awaits_sfu

    def hands(self) -> list[Hand]:
        """Who asks to speak, the first first."""
        return [
            Hand(identity, participant.name, timestamp(raised_at_s))
            for identity in self._standings.hands()
            if (participant := self._roster.find(identity)) is not None
            and (raised_at_s := self._standings.of(identity).hand_raised_at_s) is not None
        ]

    def is_blocked(self, identity: str) -> bool:
        """By the host, here or in all of the host's spaces."""
        return self._standings.is_blocked(identity)

    def blocked(self) -> list[tuple[str, float]]:
        """Identities who are kept out for good, and since when."""
        return self._standings.blocked()

    def given_role(self, identity: str) -> Role | None:
        """What a moderator gave or took; None where the token alone counts."""
        return self._standings.given_role(identity)

    def role_of(self, identity: str) -> Role:
        """The rank of `identity` as a target of moderation, here or not."""
        if participant := self._roster.find(identity):
            return self._role_of(participant)
        return "host" if identity == self.record.host else self.given_role(identity) or "listener"

    def snapshot_for(self, identity: str, role: Role, *, blocks: Iterable[str] = ()) -> SnapshotEvent:
        """What a new watcher is shown; `role` and `blocks` are the watcher's by token, for when there is no session."""
        return SnapshotEvent(
            space=self.resource(), participants=self._showing.people(), you=self._you(identity, role, blocks)
        )

    def check_admission(self, identity: str, issued_at_s: float | None) -> None:
        """Raises CommandError `space_ended`, `space_cancelled`, `blocked`, or `removed` for an older token."""
        self._check_is_on()
        self._standings.check_admission(identity, issued_at_s)

    def _check_is_on(self) -> None:
        if self.record.state == "cancelled":
            raise CommandError("space_cancelled", f"space {self.id!r} will not take place")
        if self.is_over:
            raise CommandError("space_ended", f"space {self.id!r} has ended")

    # What is true of a participant

    def _role_of(self, participant: Participant) -> Role:
        return participant.role(self.given_role(participant.identity))

    def _is_visible(self, identity: str) -> bool:
        participant = self._roster.find(identity)
        return participant is not None and not participant.is_hidden

    def _is_followed(self, participant: Participant) -> bool:
        return participant.is_followed or participant.identity in self._host_follows

    def _you(self, identity: str, role: Role, blocks: Iterable[str] = ()) -> You:
        participant = self._roster.find(identity)
        standing = self._standings.of(identity)
        blocked = set(blocks) | (participant.blocks if participant else frozenset())
        return You(
            identity=identity,
            role=self._role_of(participant) if participant else role,
            is_muted=standing.is_muted,
            is_self_muted=standing.is_self_muted,
            is_invited=standing.invited_as is not None,
            is_followed=self._is_followed(participant) if participant else identity in self._host_follows,
            blocked_on_stage=[speaker for speaker in self._roster.on_stage() if speaker in blocked] if blocked else [],
        )

    def _resource_of(self, participant: Participant) -> ParticipantResource:
        return participant.resource(self._role_of(participant), self._standings.of(participant.identity))

    # Seats

    def _check_seat(self, identity: str, role: Role) -> None:
        """Whether one more fits on stage, as `role`. Raises CommandError `stage_full`.

        The host always does. A cohost beyond the places of cohosts, whom a token may make, takes a speaker's.
        """
        others = [self.role_of(person) for person in self._roster.on_stage() if person != identity]
        cohosts = others.count("cohost") + (role == "cohost")
        speakers = others.count("speaker") + (role == "speaker") + max(0, cohosts - self.record.max_cohosts)
        if role != "host" and speakers > self.record.max_speakers:
            raise CommandError(
                "stage_full",
                f"the stage of {self.id!r} holds {self.record.max_speakers} speakers and is full; "
                "somebody has to leave it first",
                max_speakers=self.record.max_speakers,
            )

    def _check_cohosts(self, identity: str) -> None:
        """Raises CommandError `cohosts_full`."""
        cohosts = {person.identity for person in self._roster if self._role_of(person) == "cohost"}
        cohosts |= self._standings.given_cohosts()
        if len(cohosts - {identity}) >= self.record.max_cohosts:
            raise CommandError(
                "cohosts_full",
                f"space {self.id!r} has {self.record.max_cohosts} cohosts; one has to go back first",
                max_cohosts=self.record.max_cohosts,
            )

    # What changes

    def _change(self, identity: str, **changes: Any) -> list[Effect]:
        """Fields of the standing; the stage follows."""
        kept = self._standings.change([identity], **changes)
        self._roster.reseat(identity)
        return [*kept]

    def _silence(self, identities: Sequence[str], **changes: bool) -> list[Effect]:
        """Mutes or unmutes, one way or the other, and tells the sfu what the gates are to be."""
        effects: list[Effect] = [*self._standings.change(identities, **changes)]
        for is_silent in (True, False):
            named = [identity for identity in identities if self._standings.is_silent(identity) == is_silent]
            if named:
                effects.append(Tell(SetMuted(self.id, named, is_silent)))
        return effects

    def _replace(self, record: SpaceRecord) -> list[Effect]:
        self.record = record
        return [KeepSpace(record)]

    # What people are told

    def _settle(self, identities: Iterable[str], now_s: float, *, is_arrival: bool = False) -> list[Effect]:
        """Tells the sfu, the watchers and the participants themselves what has become different about `identities`."""
        effects: list[Effect] = []
        for identity in identities:
            participant = self._roster.find(identity)
            if participant is None or not participant.is_present:
                effects += self._settle_gone(identity)
                continue
            effects += self._settle_stage(participant)
            effects += self._settle_you(participant)
            shown = None if participant.is_hidden else self._resource_of(participant)
            effects += self._showing.on_participant(identity, shown, is_arrival=is_arrival)
            self._attendance.on_here(
                identity,
                now_s,
                is_hidden=participant.is_hidden,
                is_moderator=self._role_of(participant) in {"host", "cohost"},
                is_recorder=participant.is_recorder,
            )
        self._showing.on_counts(now_s)
        return [*effects, *self._settle_wary(), *self._settle_recording(), *self._settle_hosting(now_s)]

    def _settle_gone(self, identity: str) -> list[Effect]:
        """A hand and an invitation are for who is here."""
        self._attendance.on_gone(identity)
        effects: list[Effect] = []
        if not self._awaits_sfu and self._roster.find(identity) is None:
            effects += self._change(identity, hand_raised_at_s=None, invited_as=None)
        return [*effects, *self._showing.on_participant(identity, None, is_arrival=False)]

    def _settle_stage(self, participant: Participant) -> list[Effect]:
        is_on_stage = self._roster.is_on_stage(participant.identity)
        if participant.is_told_on_stage == is_on_stage:
            return []
        participant.is_told_on_stage = is_on_stage
        return [Tell(SetOnStage(self.id, participant.identity, is_on_stage))]

    def _settle_you(self, participant: Participant) -> list[Effect]:
        you = self._you(participant.identity, "listener")
        before, participant.you = participant.you, you
        if before == you or (before is None and not you.blocked_on_stage):
            return []
        return [Notify(participant.identity, "you.changed", you)]

    def _settle_wary(self) -> list[Effect]:
        """Somebody whom others have blocked may have come on stage, or gone from it."""
        stage = self._roster.on_stage()
        if stage == self._stage_seen:
            return []
        self._stage_seen = stage
        wary = [self._roster.find(identity) for identity in self._roster.wary()]
        return [effect for person in wary if person and person.is_present for effect in self._settle_you(person)]

    def _settle_recording(self) -> list[Effect]:
        """Everybody is told when recording begins, and when it is over."""
        if self._is_told_recorded == self._attendance.is_recorded:
            return []
        self._is_told_recorded = self._attendance.is_recorded
        return [Announce("space.changed", self.resource())]

    def _settle_hosting(self, now_s: float) -> list[Effect]:
        """Everybody is told when nobody is left to host, and when somebody is back."""
        if self._awaits_sfu:
            return []
        before = self.record
        after = self._attendance.hosted(before, now_s)
        if after is before:
            return []
        effects = self._replace(after)
        if after.hostless_since_s is not None and (ends_at_s := self.ends_at_s) is not None:
            effects.append(Announce("space.host_gone", HostGone(timestamp(ends_at_s))))
        elif before.has_been_hosted:
            effects.append(Announce("space.host_back", Nothing()))
        return effects

    def _counted(self) -> SpaceRecord:
        return self._attendance.counted(self.record)

    def _with(self, **changes: Any) -> SpaceRecord:
        return msgspec.structs.replace(self._counted(), **changes)
