"""What people do to each other, and to themselves, in a space. A machine.

Whether the caller may is asked before, in `signalling.permissions`; here stands what the space itself refuses: the
stage is full, nobody raised that hand, the person has left. A refused act leaves everything as it was.
"""

from collections.abc import Sequence

from sfu.contract.messages import RemoveParticipant
from signalling.assembly import Assembly
from signalling.effects import Effect, Eject, Notify, Tell
from signalling.errors import CommandError
from signalling.events import Invitation, Nothing, Removal, RemovalReason
from signalling.permissions import Role
from signalling.records import TicketRecord


class Acts(Assembly):
    """Inputs are `on_…`, each returns effects or raises a CommandError."""

    # Microphones

    def on_mute(self, identity: str, *, is_muted: bool, now_s: float) -> list[Effect]:
        """By a moderator. Lifted, it allows: whoever muted themselves stays so."""
        self._roster.present(identity)
        return [*self._silence([identity], is_muted=is_muted), *self._settle([identity], now_s)]

    def on_mute_all(self, identities: Sequence[str], now_s: float) -> list[Effect]:
        """Mutes `identities`, at the packet in one step."""
        return [*self._silence(identities, is_muted=True), *self._settle(identities, now_s)]

    def on_self_mute(self, identity: str, *, is_muted: bool, now_s: float) -> list[Effect]:
        """Raises CommandError `muted_by_host` for who may not switch on."""
        self._roster.present(identity)
        if not is_muted and self._standings.is_muted(identity):
            raise CommandError("muted_by_host", "a host muted you; ask for the word, a host can allow it")
        return [*self._silence([identity], is_self_muted=is_muted), *self._settle([identity], now_s)]

    # On stage and off

    def on_promote(self, identity: str, role: Role, now_s: float) -> list[Effect]:
        """On stage, as speaker or cohost; silent at first for who comes from the audience.

        Raises CommandError `stage_full`, `cohosts_full`, `unknown_participant`, `participant_left`.
        """
        participant = self._roster.present(identity)
        before = self._role_of(participant)
        if role == "cohost":
            self._check_cohosts(identity)
        if not self._roster.is_on_stage(identity):
            self._check_seat(identity, "host" if before == "host" else role)
        return [*self._seat(identity, role, is_new=before == "listener"), *self._settle([identity], now_s)]

    def _seat(self, identity: str, role: Role | None, *, is_new: bool) -> list[Effect]:
        """Muted before seated, so that no packet slips through in between."""
        silence: list[Effect] = []
        if is_new and self.record.entry == "muted":
            silence = self._silence([identity], is_self_muted=True, is_muted=True)
        elif is_new:
            silence = self._silence([identity], is_self_muted=True)
        return silence + self._change(
            identity, role=role, has_stepped_down=False, hand_raised_at_s=None, invited_as=None
        )

    def on_demote(self, identity: str, now_s: float) -> list[Effect]:
        """Back to the audience: heard no more, whatever the token says, until promoted. Also who is away."""
        if self.given_role(identity) in {None, "listener"}:
            self._roster.present(identity)
        self._check_is_no_host(identity)
        changed = self._change(
            identity, role="listener", has_stepped_down=False, hand_raised_at_s=None, invited_as=None
        )
        return [*changed, *self._settle([identity], now_s)]

    def on_step_up(self, identity: str, *, is_followed: bool, now_s: float) -> list[Effect]:
        """On stage by oneself, where the space lets one.

        Raises CommandError `already_on_stage`, `not_on_stage` after a demotion, `speak_not_allowed`, `stage_full`.
        """
        participant = self._roster.present(identity)
        if self._role_of(participant) != "listener":
            raise CommandError("already_on_stage", "you are on stage already")
        standing = self._standings.of(identity)
        if standing.role == "listener" and not standing.has_stepped_down:
            raise CommandError("not_on_stage", "a moderator moved you to the audience; raise your hand to speak again")
        speaks_by_token = participant.speaks_by_token
        is_allowed = self.record.speak == "followed" and (is_followed or self._is_followed(participant))
        if not speaks_by_token and self.record.speak != "everyone" and not is_allowed:
            raise CommandError(
                "speak_not_allowed", f"{self._who_speaks()}; raise your hand to ask", speak=self.record.speak
            )
        self._check_seat(identity, "speaker")
        seated = self._seat(identity, None if speaks_by_token else "speaker", is_new=True)
        return [*seated, *self._settle([identity], now_s)]

    def on_step_down(self, identity: str, now_s: float) -> list[Effect]:
        """Back to the audience by oneself. Raises CommandError `not_a_speaker`, `host_stays`."""
        participant = self._roster.present(identity)
        self._check_is_no_host(identity)
        if self._role_of(participant) == "listener":
            raise CommandError("not_a_speaker", "you are in the audience already")
        changed = self._change(identity, role="listener", has_stepped_down=True, hand_raised_at_s=None, invited_as=None)
        return [*changed, *self._settle([identity], now_s)]

    def _check_is_no_host(self, identity: str) -> None:
        if self.role_of(identity) == "host":
            raise CommandError("host_stays", "the host of a space stays; mute yourself, or end the space")

    def _who_speaks(self) -> str:
        match self.record.speak:
            case "followed":
                return "only people whom the host follows come on stage by themselves here"
            case _:
                return "only the invited come on stage here"

    # Hands and invitations

    def on_hand(self, identity: str, *, is_raised: bool, now_s: float) -> list[Effect]:
        """Raised twice it keeps its place. Raises CommandError `already_on_stage`."""
        participant = self._roster.present(identity)
        if is_raised and self._role_of(participant) != "listener":
            raise CommandError("already_on_stage", "you are on stage already")
        before = self._standings.of(identity).hand_raised_at_s
        raised_at_s = (before if before is not None else now_s) if is_raised else None
        if is_raised:
            self._answers.pop(identity, None)
        return [*self._change(identity, hand_raised_at_s=raised_at_s), *self._settle([identity], now_s)]

    def on_accept_hand(self, identity: str, *, by: str, now_s: float) -> list[Effect]:
        """Raises CommandError `no_hand`, `hand_answered`, `stage_full`."""
        self._check_hand(identity)
        effects = self.on_promote(identity, "speaker", now_s)
        self._answers[identity] = by
        return effects

    def on_decline_hand(self, identity: str, *, by: str, now_s: float) -> list[Effect]:
        """Raises CommandError `no_hand`, `hand_answered`."""
        self._check_hand(identity)
        self._answers[identity] = by
        lowered = self._change(identity, hand_raised_at_s=None)
        return [*lowered, *self._settle([identity], now_s), Notify(identity, "you.hand_declined", Nothing())]

    def _check_hand(self, identity: str) -> None:
        self._roster.present(identity)
        if self._standings.of(identity).hand_raised_at_s is not None:
            return
        if (by := self._answers.get(identity)) is not None:
            raise CommandError("hand_answered", f"{by!r} has answered this hand already", by=by)
        raise CommandError("no_hand", f"{identity!r} has not raised a hand, or has lowered it")

    def on_invite(self, identity: str, role: Role, now_s: float) -> list[Effect]:
        """Raises CommandError `already_on_stage` for who has that role, or a higher one."""
        participant = self._roster.present(identity)
        holds = self._role_of(participant)
        if holds in {"host", role} or (role == "speaker" and holds != "listener"):
            raise CommandError("already_on_stage", f"{identity!r} is on stage already, as {holds}")
        if role == "cohost":
            self._check_cohosts(identity)
        invited = self._change(identity, invited_as=role)
        notice = Notify(identity, "you.invited", Invitation("cohost" if role == "cohost" else "speaker"))
        return [*invited, *self._settle([identity], now_s), notice]

    def on_accept(self, identity: str, now_s: float) -> list[Effect]:
        """Raises CommandError `not_invited`, `stage_full`, `cohosts_full`."""
        return self.on_promote(identity, self._invited_as(identity), now_s)

    def on_decline(self, identity: str, now_s: float) -> list[Effect]:
        """Raises CommandError `not_invited`."""
        self._invited_as(identity)
        return [*self._change(identity, invited_as=None), *self._settle([identity], now_s)]

    def _invited_as(self, identity: str) -> Role:
        self._roster.present(identity)
        role = self._standings.of(identity).invited_as
        if role is None:
            raise CommandError("not_invited", "nobody invited you to the stage; raise your hand to ask")
        return role

    # Out

    def on_remove(self, identity: str, *, is_block: bool, now_s: float) -> list[Effect]:
        """Out, and kept out: by the host for good, or until a token is issued after this. Once more is no error.

        Whoever has left can still be blocked, but not removed. Raises CommandError `host_stays`.
        """
        self._check_is_no_host(identity)
        if not is_block and not self._standings.is_excluded(identity):
            self._roster.present(identity)
        excluded = self._standings.exclude(identity, is_block=is_block, now_s=now_s)
        return [*excluded, *self._put_out(identity, "blocked" if is_block else "removed", now_s)]

    def on_blocked_elsewhere(self, identity: str, now_s: float) -> list[Effect]:
        """The host blocked them in another space of theirs."""
        return self._put_out(identity, "blocked", now_s)

    def on_banned(self, identity: str, now_s: float) -> list[Effect]:
        """By the operator, from everything: out of this space as well, whoever it is."""
        return self._put_out(identity, "banned", now_s) if self._roster.find(identity) else [Eject(identity)]

    def on_unblock(self, identity: str) -> list[Effect]:
        """Raises CommandError `not_blocked`."""
        if not self._standings.is_blocked(identity):
            raise CommandError("not_blocked", f"{identity!r} is not blocked here")
        return [*self._standings.unblock(identity)]

    def _put_out(self, identity: str, reason: RemovalReason, now_s: float) -> list[Effect]:
        """What was given to them goes; a mute stays."""
        effects: list[Effect] = [Tell(RemoveParticipant(self.id, identity))]
        effects += self._change(identity, role=None, has_stepped_down=False, hand_raised_at_s=None, invited_as=None)
        if participant := self._roster.find(identity):
            for session in list(participant.sessions):
                self._roster.drop(session)
        effects += self._settle([identity], now_s)
        return [*effects, Notify(identity, "you.removed", Removal(reason)), Eject(identity)]

    # Tickets

    def on_issue_ticket(self, ticket: str, identity: str, now_s: float) -> tuple[TicketRecord, list[Effect]]:
        """Raises CommandError `no_tickets`, `has_ticket`, `sold_out`."""
        self._check_is_on()
        kept = self.tickets.issue(ticket, identity, terms=self.record.ticket, now_s=now_s)
        return kept.record, [kept]

    def on_revoke_ticket(self, ticket: str, now_s: float) -> tuple[TicketRecord, list[Effect]]:
        """Puts out who came in by it, unless no ticket is needed any more. Raises CommandError `unknown_ticket`."""
        kept = self.tickets.revoke(ticket, now_s)
        identity = kept.record.identity
        effects: list[Effect] = [kept]
        if self.record.ticket and self._roster.find(identity) and not self._needs_no_ticket(identity):
            effects += self._put_out(identity, "ticket_revoked", now_s)
        return kept.record, effects

    def on_transfer_ticket(self, ticket: str, identity: str) -> tuple[TicketRecord, list[Effect]]:
        """Raises CommandError: see `Tickets.transfer`."""
        kept = self.tickets.transfer(ticket, identity, self.record.ticket)
        return kept.record, [kept]

    def _needs_no_ticket(self, identity: str) -> bool:
        participant = self._roster.find(identity)
        holds_title = participant is not None and participant.authority is not None
        return holds_title or self.tickets.held_by(identity) is not None
