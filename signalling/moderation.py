"""What people do to each other in a space: permission, decision, and the wait until it is in force. Edge (clock)."""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from signalling.app import Signalling
from signalling.effects import Effect, KeepAudit
from signalling.errors import CommandError
from signalling.permissions import OUTRANKS, Action, Caller, Role, require, require_upon
from signalling.resources import EditSpace
from signalling.safety import AuditRecord
from signalling.spaces import Space
from signalling.tokens import Token
from signalling.wishes import changes_of

log = structlog.get_logger("signalling")

_OWN_AFFAIRS: Final = frozenset[Action](
    {
        "mute_oneself",
        "step_up",
        "step_down",
        "raise_hand",
        "accept_invitation",
        "decline_invitation",
    }
)
"""What one does to oneself; everything else stands in the audit trail."""


class Moderation:
    """The acts of one caller in one space."""

    def __init__(self, app: Signalling, space: Space, token: Token, caller: Caller, *, reason: str = "") -> None:
        """`reason` is kept in the audit trail with what is done."""
        self._app = app
        self._space = space
        self._token = token
        self._caller = caller
        self._reason = reason

    # Microphones

    async def mute(self, identity: str, *, is_muted: bool) -> None:
        """Returns when no packet of a muted speaker goes anywhere."""
        action: Action = "mute" if is_muted else "unmute"
        require_upon(self._caller, action, self._space.role_of(identity))
        await self._act(action, identity, lambda: self._space.on_mute(identity, is_muted=is_muted, now_s=self._now_s))

    async def mute_all(self) -> list[str]:
        """Mutes everyone on stage whom the caller outranks, but not the caller; returns whom."""
        require(self._caller, "mute_all")
        below = OUTRANKS[self._caller.role]
        stage = [person for person in self._space.on_stage() if person != self._caller.identity]
        muted = [identity for identity in stage if self._space.role_of(identity) in below]
        await self._act("mute_all", "", lambda: self._space.on_mute_all(muted, self._now_s))
        return muted

    async def mute_oneself(self, *, is_muted: bool) -> None:
        require(self._caller, "mute_oneself")
        me = self._caller.identity
        await self._act("mute_oneself", me, lambda: self._space.on_self_mute(me, is_muted=is_muted, now_s=self._now_s))

    # On stage and off

    async def promote(self, identity: str, role: Role) -> None:
        """On stage: heard as soon as there is a session to speak in and they have switched on the microphone."""
        action: Action = "promote_to_cohost" if role == "cohost" else "promote"
        require_upon(self._caller, action, self._space.role_of(identity))
        await self._bring_on_stage(identity, action, lambda: self._space.on_promote(identity, role, self._now_s))

    async def demote(self, identity: str) -> None:
        require_upon(self._caller, "demote", self._space.role_of(identity))
        await self._act("demote", identity, lambda: self._space.on_demote(identity, self._now_s))

    async def step_up(self) -> None:
        """On stage by oneself, where the space lets one."""
        require(self._caller, "step_up")
        me = self._caller.identity
        host = self._space.record.host
        is_followed = host in self._token.palco.followed_by
        if self._space.record.speak == "followed" and not is_followed:
            is_followed = host in (await self._app.relations.of(me, host)).followed_by
        await self._bring_on_stage(
            me, "step_up", lambda: self._space.on_step_up(me, is_followed=is_followed, now_s=self._now_s)
        )

    async def step_down(self) -> None:
        require(self._caller, "step_down")
        me = self._caller.identity
        await self._act("step_down", me, lambda: self._space.on_step_down(me, self._now_s))

    # Hands and invitations

    async def raise_hand(self, *, is_raised: bool) -> None:
        require(self._caller, "raise_hand")
        me = self._caller.identity
        await self._app.carry_out(self._space, self._space.on_hand(me, is_raised=is_raised, now_s=self._now_s))

    async def answer_hand(self, identity: str, *, is_accepted: bool) -> None:
        action: Action = "accept_hand" if is_accepted else "decline_hand"
        require_upon(self._caller, action, self._space.role_of(identity))
        by = self._caller.identity
        if is_accepted:
            await self._bring_on_stage(
                identity, action, lambda: self._space.on_accept_hand(identity, by=by, now_s=self._now_s)
            )
        else:
            declined = self._space.on_decline_hand(identity, by=by, now_s=self._now_s)
            await self._carry_out(action, identity, declined)

    async def invite(self, identity: str, role: Role) -> None:
        if role == "cohost":
            require(self._caller, "promote_to_cohost")
        require_upon(self._caller, "invite", self._space.role_of(identity))
        await self._carry_out("invite", identity, self._space.on_invite(identity, role, self._now_s))

    async def answer_invitation(self, identity: str, *, is_accepted: bool) -> None:
        """For oneself only."""
        action: Action = "accept_invitation" if is_accepted else "decline_invitation"
        require(self._caller, action)
        if identity != self._caller.identity:
            raise CommandError("missing_permission", "only the invited can answer", missing_permission="identity")
        if is_accepted:
            await self._bring_on_stage(identity, action, lambda: self._space.on_accept(identity, self._now_s))
        else:
            await self._app.carry_out(self._space, self._space.on_decline(identity, self._now_s))

    # Out

    async def remove(self, identity: str, *, is_block: bool) -> None:
        """Returns when it neither sends nor receives, and its token is of no use; a block holds in all the host's."""
        action: Action = "block" if is_block else "remove"
        require_upon(self._caller, action, self._space.role_of(identity))
        await self._act(action, identity, lambda: self._space.on_remove(identity, is_block=is_block, now_s=self._now_s))
        if not is_block or not self._space.record.host:
            return
        for space in self._app.spaces_of(self._space.record.host):
            if space is not self._space:
                await self._app.carry_out(space, space.on_blocked_elsewhere(identity, self._now_s))

    async def unblock(self, identity: str) -> None:
        require(self._caller, "unblock")
        await self._carry_out("unblock", identity, self._space.on_unblock(identity))

    # The space itself

    async def start(self) -> None:
        require(self._caller, "start_space")
        await self._act("start_space", "", self._start)

    def _start(self) -> list[Effect]:
        if not self._space.is_live:
            self._app.check_capacity(msgspec.structs.replace(self._space.record, started_at_s=self._now_s))
        return self._space.on_start(self._now_s)

    async def edit(self, wanted: EditSpace) -> None:
        require(self._caller, "edit_space")
        changes = changes_of(wanted, self._space.record, self._app.config.spaces, self._now_s)
        await self._carry_out("edit_space", "", self._space.on_edit(changes))

    async def cancel(self) -> None:
        require(self._caller, "cancel_space")
        await self._carry_out("cancel_space", "", self._space.on_cancel(self._now_s))

    async def end(self) -> None:
        """For everyone."""
        require(self._caller, "end_space")
        await self._act("end_space", "", lambda: self._space.on_end(self._now_s))

    @property
    def _now_s(self) -> float:
        return self._app.clock()

    async def _act(self, action: Action, identity: str, decide: Callable[[], list[Effect]]) -> None:
        """Decides and waits for the sfu. Without an sfu nothing is decided: it could not be made true."""
        if not self._app.link.is_up:
            raise CommandError("sfu_unavailable", "the media server is not connected, so this cannot be enforced now")
        with self._app.metrics.act_seconds.time():
            await self._carry_out(action, identity, decide())
        self._app.metrics.acts.labels(action).inc()
        log.info("act", action=action, space=self._space.id, by=self._caller.identity, upon=identity)

    async def _carry_out(self, action: Action, identity: str, effects: list[Effect]) -> None:
        """With an entry in the audit trail, unless it is one's own affair."""
        if action not in _OWN_AFFAIRS:
            by, at_s = self._caller.identity, self._now_s
            entry = AuditRecord(
                at_s=at_s, space=self._space.id, action=action, by=by, upon=identity, reason=self._reason
            )
            effects = [*effects, KeepAudit(entry)]
        await self._app.carry_out(self._space, effects)

    async def _bring_on_stage(self, identity: str, action: Action, decide: Callable[[], list[Effect]]) -> None:
        try:
            await self._act(action, identity, decide)
        except CommandError as refusal:
            if refusal.code == "stage_full" and self._space.given_role(identity) not in {None, "listener"}:
                # The sfu counts those whose sessions have not quite ended; back to where they were.
                back = self._space.on_step_down if action == "step_up" else self._space.on_demote
                await self._app.carry_out(self._space, back(identity, self._now_s))
            raise


def moderation(app: Signalling, space: Space, token: Token, *, reason: str = "") -> Moderation:
    """The acts open to the holder of `token`; each checks for itself whether it may."""
    return Moderation(app, space, token, app.caller(token, space), reason=reason)
