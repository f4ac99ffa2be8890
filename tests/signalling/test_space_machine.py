"""Several people act in a space in any order, while either process crashes: what the product promises stays true.

The real machine, a real database, and an sfu that refuses what the real one would. A decision is carried out step by
step as `signalling.outbox` does it (written, told, acknowledged; a restriction told before it is written, which is the
harder order), and a crash may come between any two steps.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sfu.contract import messages as m
from signalling.effects import Effect, Keep, Tell
from signalling.errors import CommandError
from signalling.negotiation import Kind
from signalling.participants import Joiner
from signalling.permissions import OUTRANKS, Caller, permits
from signalling.precedence import only_restrict
from signalling.records import SpaceRecord, TicketTerms
from signalling.spaces import Space
from signalling.standings import HostBlocks
from signalling.store import IN_MEMORY, Store

pytestmark = pytest.mark.timeout(600)
"""Some thousand decisions are all written and read back; on a busy machine that takes its time."""

NOW_S = 1_800_000_000.0
GRACE_S = 30.0
MAX_SPEAKERS, MAX_COHOSTS = 2, 1

HOST = "ada"
PEOPLE = [HOST, "bob", "cleo", "dan", "eve"]
PERSON = st.sampled_from(PEOPLE)
GUEST = st.sampled_from(PEOPLE[1:])
MODERATOR = st.sampled_from([HOST, HOST, HOST, *PEOPLE])
"""Mostly the one who may."""

T = TypeVar("T")


@dataclass
class ModelSfu:
    """What the real one holds of a space, and its refusals; it checks every command that it is given."""

    is_open: bool = False
    max_on_stage: int = 0
    sessions: dict[str, m.SessionState] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    on_stage: set[str] = field(default_factory=set)

    def here(self) -> set[str]:
        return {session.identity for session in self.sessions.values()}

    def heard(self) -> set[str]:
        """Whose packets pass the gate."""
        sending = {session.identity for session in self.sessions.values() if session.kind != "whep"}
        return (sending & self.on_stage) - self.muted

    def obey(self, command: m.Command) -> None:
        match command:
            case m.OpenSpace(_, max_speakers):
                self.is_open, self.max_on_stage = True, max_speakers
            case m.CloseSpace():
                self.__init__()  # type: ignore[misc]
            case m.SetMuted(_, identities, is_muted):
                assert self.is_open, "a mute for a space that is not open"
                self.muted = self.muted | set(identities) if is_muted else self.muted - set(identities)
            case m.SetOnStage(_, identity, True):
                if identity in self.here():
                    self.on_stage.add(identity)
                assert len(self.on_stage) <= self.max_on_stage, "stage_full"
            case m.SetOnStage(_, identity, False):
                self.on_stage.discard(identity)
            case m.RemoveParticipant(_, identity):
                self.drop(lambda session: session.identity == identity)
            case m.CloseSession(name):
                self.drop(lambda session: session.session == name)
            case _:
                raise AssertionError(f"nobody says that here: {command}")

    def open(self, session: m.SessionState, *, is_on_stage: bool, is_muted: bool) -> None:
        assert self.is_open, "a session for a space that is not open"
        self.sessions[session.session] = session
        if is_on_stage:
            self.on_stage.add(session.identity)
            assert len(self.on_stage) <= self.max_on_stage, "stage_full"
        if is_muted:
            self.muted.add(session.identity)

    def drop(self, which: Callable[[m.SessionState], bool]) -> None:
        self.sessions = {name: session for name, session in self.sessions.items() if not which(session)}
        self.on_stage &= self.here()

    def state(self) -> m.SpaceState | None:
        if not self.is_open:
            return None
        return m.SpaceState("hall", self.max_on_stage, sorted(self.muted), sorted(self.on_stage), "forward")


class Promises(RuleBasedStateMachine):
    """Rules are acts and accidents; invariants are the promises, about what is *acknowledged* and what is *heard*."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now_s = NOW_S
        self.sfu = ModelSfu()
        self.names = 0
        self.silenced: set[str] = set()
        """Whom a moderator's acknowledged mute holds."""
        self.out: dict[str, float] = {}
        """Whom an acknowledged removal keeps out, unless by a later token."""
        self.blocked: set[str] = set()
        self.crash_after: int | None = None

    @initialize(
        entry=st.sampled_from(["open", "muted"]),
        speak=st.sampled_from(["everyone", "invited"]),
        ticket=st.booleans(),
        kinds=st.lists(st.sampled_from(["whip", "whep", "stage"]), min_size=len(PEOPLE), max_size=len(PEOPLE)),
    )
    def begin(self, entry: Any, speak: Any, ticket: bool, kinds: list[Kind]) -> None:
        """Everybody comes, as far as there is room: most acts are about people who are here."""
        self.store = Store(IN_MEMORY)
        self.run(self.store.open())
        record = SpaceRecord(
            space="hall",
            title="Town hall",
            audience="forward",
            host=HOST,
            max_speakers=MAX_SPEAKERS,
            max_cohosts=MAX_COHOSTS,
            created_at_s=NOW_S,
            started_at_s=NOW_S,
            entry=entry,
            speak=speak,
            ticket=TicketTerms(capacity=3, transferable=True) if ticket else None,
        )
        assert self.run(self.store.spaces.add(record))
        self.space = Space(record, blocks=HostBlocks(HOST), host_grace_s=GRACE_S)
        self.sfu.obey(self.space.opening())
        for identity, kind in zip(PEOPLE, kinds, strict=True):
            if ticket and identity != HOST:
                self.issue(identity)
            self.join(identity, "stage" if identity == HOST else kind, can_publish=False, hidden=False)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
        self.loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # How a decision is carried out

    def carry_out(self, effects: list[Effect]) -> bool:
        """Whether it was acknowledged: written, told and answered, with no crash in between."""
        writing: list[Callable[[], None]] = []
        records: list[Any] = [effect.record for effect in effects if isinstance(effect, Keep)]
        if records:
            writing.append(lambda: self.run(self.store.spaces.keep("hall", records)))
        commands = [effect.command for effect in effects if isinstance(effect, Tell)]
        telling = [partial(self.sfu.obey, command) for command in commands]
        steps: list[Callable[[], None]] = [*telling, *writing] if only_restrict(commands) else [*writing, *telling]
        crash_after, self.crash_after = self.crash_after, None
        for number, step in enumerate(steps):
            if crash_after == number:
                self.restart_signalling()
                return False
            step()
        return True

    def attempt(self, decide: Callable[[], list[Effect]]) -> bool:
        """Whether it was decided and acknowledged; a refused one changes nothing that anybody sees."""
        before = self.seen()
        try:
            effects = decide()
        except CommandError:
            assert self.seen() == before
            return False
        return self.carry_out(effects)

    def seen(self) -> object:
        return self.space.record, self.space.participants(), self.space.hands(), self.space.tickets.listed()

    def session_of(self, identity: str) -> str | None:
        return next((name for name, session in self.sfu.sessions.items() if session.identity == identity), None)

    def ticket_holders(self) -> set[str]:
        """By what is written: issued or transferred to them, and not revoked."""
        return {ticket.identity for ticket in self.run(self.store.spaces.tickets("hall")) if ticket.is_valid}

    @property
    def is_on(self) -> bool:
        return self.space.is_live

    # People come and go

    @rule(
        identity=PERSON,
        kind=st.sampled_from(["whip", "whep", "stage"]),
        can_publish=st.booleans(),
        hidden=st.booleans(),
        token_age_s=st.sampled_from([0.0, 3600.0]),
    )
    def join(self, identity: str, kind: Kind, can_publish: bool, hidden: bool, token_age_s: float = 0.0) -> None:
        self.names += 1
        name = f"{identity}-{self.names}"
        who = Joiner(
            identity=identity,
            name=identity.title(),
            authority="host" if identity == HOST else None,
            can_publish=can_publish or kind == "whip",
            is_hidden=hidden,
            issued_at_s=self.now_s - token_age_s,
            kind=kind,
            remote_ufrag="them",
            mid="0",
        )
        before = self.seen()
        try:
            admission = self.space.on_join(who, session=name, now_s=self.now_s)
        except CommandError as refusal:
            assert self.seen() == before
            if not self.is_on and refusal.code != "space_ended":
                raise
            return
        assert identity not in self.blocked
        assert identity not in self.out or self.now_s - token_age_s > self.out[identity]
        assert self.space.record.ticket is None or identity == HOST or identity in self.ticket_holders()
        state = m.SessionState(
            session=name,
            space="hall",
            identity=identity,
            kind=kind,
            is_connected=True,
            is_on_stage=admission.is_on_stage,
            is_muted=admission.is_muted,
            ufrag="ours",
            remote_ufrag="them",
            owner=admission.owner,
        )
        displaced = [
            old.session for old in self.sfu.sessions.values() if old.identity == identity and old.kind != "whep"
        ]
        self.sfu.open(state, is_on_stage=admission.is_on_stage, is_muted=admission.is_muted)
        if kind != "whep":  # a second sending session takes the first one's place, and its seat
            for old in displaced:
                del self.sfu.sessions[old]
                self.carry_out(self.space.on_session_closed(old, self.now_s))
        if self.carry_out(self.space.on_session_opened(name, ufrag="ours", now_s=self.now_s)):
            self.out.pop(identity, None)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), kind=st.sampled_from(["whep", "whip"]), token_age_s=st.sampled_from([0.0, 3600.0]))
    def try_to_come_back(self, data: st.DataObject, kind: Kind, token_age_s: float) -> None:
        """Whoever was put out, a moment later."""
        self.now_s += 1.0
        identity = data.draw(st.sampled_from(sorted(self.out)))
        self.join(identity, kind, can_publish=kind == "whip", hidden=False, token_age_s=token_age_s)

    @rule(identity=PERSON)
    def leave(self, identity: str) -> None:
        if name := self.session_of(identity):
            self.sfu.drop(lambda session: session.session == name)
            self.carry_out(self.space.on_session_closed(name, self.now_s))

    # Acts; who may is asked of the one table

    def may(self, by: str, action: Any, upon: str) -> bool:
        standings = frozenset({self.space.role_of(by)})
        caller = Caller(by, standings)
        return permits(standings, action) and self.space.role_of(upon) in OUTRANKS[caller.role]

    @rule(by=MODERATOR, identity=PERSON, is_muted=st.booleans())
    def mute(self, by: str, identity: str, is_muted: bool) -> None:
        if not self.may(by, "mute", identity):
            return
        if self.attempt(lambda: self.space.on_mute(identity, is_muted=is_muted, now_s=self.now_s)):
            (self.silenced.add if is_muted else self.silenced.discard)(identity)
        elif not is_muted:
            self.silenced.discard(identity)  # decided, and perhaps written: no promise either way

    @rule(by=MODERATOR)
    def mute_all(self, by: str) -> None:
        upon = [who for who in self.space.on_stage() if who != by and self.may(by, "mute_all", who)]
        if self.attempt(lambda: self.space.on_mute_all(upon, self.now_s)):
            self.silenced |= set(upon)

    @rule(identity=PERSON, is_muted=st.booleans())
    def mute_oneself(self, identity: str, is_muted: bool) -> None:
        self.attempt(lambda: self.space.on_self_mute(identity, is_muted=is_muted, now_s=self.now_s))

    @rule(by=MODERATOR, identity=GUEST, role=st.sampled_from(["speaker", "cohost"]))
    def promote(self, by: str, identity: str, role: Any) -> None:
        if self.may(by, "promote_to_cohost" if role == "cohost" else "promote", identity):
            self.silent_newcomer(identity, lambda: self.space.on_promote(identity, role, self.now_s))

    @rule(by=MODERATOR, identity=PERSON)
    def demote(self, by: str, identity: str) -> None:
        if self.may(by, "demote", identity) and self.attempt(lambda: self.space.on_demote(identity, self.now_s)):
            assert identity not in self.sfu.heard()

    @rule(identity=PERSON)
    def step_up(self, identity: str) -> None:
        self.silent_newcomer(identity, lambda: self.space.on_step_up(identity, is_followed=False, now_s=self.now_s))

    @rule(identity=PERSON)
    def step_down(self, identity: str) -> None:
        if self.attempt(lambda: self.space.on_step_down(identity, self.now_s)):
            assert identity not in self.sfu.heard()

    @rule(identity=PERSON, is_raised=st.booleans())
    def hand(self, identity: str, is_raised: bool) -> None:
        self.attempt(lambda: self.space.on_hand(identity, is_raised=is_raised, now_s=self.now_s))

    @rule(by=MODERATOR, identity=GUEST, is_accepted=st.booleans())
    def answer_hand(self, by: str, identity: str, is_accepted: bool) -> None:
        if not self.may(by, "accept_hand", identity):
            return
        if is_accepted:
            self.silent_newcomer(identity, lambda: self.space.on_accept_hand(identity, by=by, now_s=self.now_s))
        else:
            self.attempt(lambda: self.space.on_decline_hand(identity, by=by, now_s=self.now_s))

    @rule(by=MODERATOR, identity=GUEST, role=st.sampled_from(["speaker", "cohost"]))
    def invite(self, by: str, identity: str, role: Any) -> None:
        if self.may(by, "invite", identity):
            self.attempt(lambda: self.space.on_invite(identity, role, self.now_s))

    @rule(identity=PERSON, is_accepted=st.booleans())
    def answer_invitation(self, identity: str, is_accepted: bool) -> None:
        if is_accepted:
            self.attempt(lambda: self.space.on_accept(identity, self.now_s))
        else:
            self.attempt(lambda: self.space.on_decline(identity, self.now_s))

    def silent_newcomer(self, identity: str, decide: Callable[[], list[Effect]]) -> None:
        """Whoever comes on stage from the audience is silent until they switch on."""
        was_listener = self.space.role_of(identity) == "listener"
        if self.attempt(decide) and was_listener:
            assert identity not in self.sfu.heard()
            if self.space.record.entry == "muted":
                self.silenced.add(identity)

    @rule(by=MODERATOR, identity=PERSON, is_block=st.booleans())
    def remove(self, by: str, identity: str, is_block: bool) -> None:
        if not self.may(by, "block" if is_block else "remove", identity):
            return
        if self.attempt(lambda: self.space.on_remove(identity, is_block=is_block, now_s=self.now_s)):
            assert identity not in self.sfu.here()
            self.out[identity] = self.now_s
            if is_block:
                self.blocked.add(identity)

    @rule(identity=PERSON)
    def unblock(self, identity: str) -> None:
        self.blocked.discard(identity) if self.attempt(lambda: self.space.on_unblock(identity)) else None
        if not self.space.is_blocked(identity):
            self.blocked.discard(identity)

    # Tickets

    @rule(identity=PERSON)
    def issue(self, identity: str) -> None:
        self.names += 1
        number = f"{self.names:024x}"
        self.attempt(lambda: self.space.on_issue_ticket(number, identity, self.now_s)[1])

    @rule(identity=PERSON)
    def revoke(self, identity: str) -> None:
        if (held := self.space.tickets.held_by(identity)) and self.attempt(
            lambda: self.space.on_revoke_ticket(held.ticket, self.now_s)[1]
        ):
            assert identity == HOST or identity not in self.sfu.here()

    @rule(identity=PERSON, to=PERSON)
    def transfer(self, identity: str, to: str) -> None:
        if held := self.space.tickets.held_by(identity):
            self.attempt(lambda: self.space.on_transfer_ticket(held.ticket, to)[1])

    # Time and accidents

    @rule(seconds=st.sampled_from([0.5, 3.0, 12.0]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.carry_out(self.space.on_time(self.now_s))

    @rule(steps=st.integers(0, 3))
    def crash_in_the_next_decision(self, steps: int) -> None:
        self.crash_after = steps

    @rule()
    def restart_signalling(self) -> None:
        """All that it knew is gone but for the store, and what the sfu tells."""
        self.crash_after = None
        spaces = self.store.spaces
        record = self.run(spaces.find("hall"))
        assert record
        self.space = Space(
            record,
            standings=self.run(spaces.standings("hall")),
            exclusions=self.run(spaces.exclusions("hall")),
            tickets=self.run(spaces.tickets("hall")),
            blocks=HostBlocks(HOST, self.run(spaces.blocks())),
            host_grace_s=GRACE_S,
            is_restored=True,
        )
        self.blocked = {identity for identity in PEOPLE if self.space.is_blocked(identity)} | self.blocked
        self.reconcile(is_first=True)

    @rule()
    def restart_sfu(self) -> None:
        self.sfu = ModelSfu()
        self.reconcile(is_first=False)

    @rule()
    def reconnect(self) -> None:
        self.reconcile(is_first=False)

    def reconcile(self, *, is_first: bool) -> None:
        self.crash_after = None
        sessions = list(self.sfu.sessions.values())
        effects = self.space.on_snapshot(self.sfu.state(), sessions, is_first=is_first, now_s=self.now_s)
        for effect in effects:
            if isinstance(effect, Tell):
                self.sfu.obey(effect.command)
        self.carry_out([effect for effect in effects if not isinstance(effect, Tell)])

    @precondition(lambda self: self.now_s > NOW_S + 60)
    @rule(by=MODERATOR)
    def end(self, by: str) -> None:
        if self.space.role_of(by) == "host" and self.attempt(lambda: self.space.on_end(self.now_s)):
            assert not self.sfu.sessions

    # What is promised

    @invariant()
    def there_are_never_more_speakers_than_allowed(self) -> None:
        if not hasattr(self, "space"):
            return
        roles = [self.space.role_of(identity) for identity in self.space.on_stage()]
        spare_cohosts = max(0, roles.count("cohost") - MAX_COHOSTS)
        assert roles.count("speaker") + spare_cohosts <= MAX_SPEAKERS
        assert len(self.sfu.on_stage) <= self.space.record.max_on_stage

    @invariant()
    def the_muted_are_never_heard(self) -> None:
        assert not self.silenced & self.sfu.heard()

    @invariant()
    def the_blocked_and_the_removed_are_never_in(self) -> None:
        assert not self.blocked & self.sfu.here()
        assert not set(self.out) & self.sfu.here()

    @invariant()
    def both_processes_agree(self) -> None:
        if not hasattr(self, "space") or not self.is_on:
            return
        assert set(self.space.on_stage()) == self.sfu.on_stage
        here = {session for session in self.sfu.sessions if self.space.session(session)}
        assert here == set(self.sfu.sessions)
        for person in self.space.participants():
            is_silent = person.is_muted or person.is_self_muted
            assert is_silent == (person.identity in self.sfu.muted), person.identity

    @invariant()
    def the_store_has_what_the_machine_decided(self) -> None:
        if not hasattr(self, "space"):
            return
        kept = self.run(self.store.spaces.find("hall"))
        assert kept
        uncounted = {"total": 0, "peak": 0}  # kept every few seconds
        assert [getattr(kept, name) for name in kept.__struct_fields__ if name not in uncounted] == [
            getattr(self.space.record, name) for name in kept.__struct_fields__ if name not in uncounted
        ]
        standings = {standing.identity: standing for standing in self.run(self.store.spaces.standings("hall"))}
        for person in self.space.participants():
            if standing := standings.get(person.identity):
                assert (standing.is_muted, standing.is_self_muted) == (person.is_muted, person.is_self_muted)
            else:
                assert not person.is_muted

    @invariant()
    def nobody_is_left_to_host_only_with_a_deadline(self) -> None:
        if not hasattr(self, "space") or not self.is_on:
            return
        hosts = [who for who in self.sfu.here() if self.space.role_of(who) in {"host", "cohost"}]
        assert (self.space.ends_at_s is None) == (bool(hosts) or not self.space.record.has_been_hosted)


Promises.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestPromises = Promises.TestCase
