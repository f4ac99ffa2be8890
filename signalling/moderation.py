"""What people do to each other in a space: permission, decision, and the wait until it is in force. Edge (clock)."""

from collections.abc import Callable

import structlog

from signalling.app import Signalling
from signalling.effects import Effect
from signalling.errors import CommandError
from signalling.permissions import OUTRANKS, Action, Caller, Role, require, require_upon
from signalling.spaces import Space
from signalling.tokens import Token

log = structlog.get_logger("signalling")


class Moderation:
    """The acts of one caller in one space."""

    def __init__(self, app: Signalling, space: Space, caller: Caller) -> None:
        self._app = app
        self._space = space
        self._caller = caller

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

    async def promote(self, identity: str, role: Role) -> None:
        """On stage: heard as soon as there is a session to speak in."""
        action: Action = "promote_to_cohost" if role == "cohost" else "promote"
        require_upon(self._caller, action, self._space.role_of(identity))
        await self._bring_on_stage(identity, action, lambda: self._space.on_promote(identity, role, self._now_s))

    async def demote(self, identity: str) -> None:
        require_upon(self._caller, "demote", self._space.role_of(identity))
        await self._act("demote", identity, lambda: self._space.on_demote(identity, self._now_s))

    async def remove(self, identity: str, *, is_block: bool) -> None:
        """Returns when it neither sends nor receives, and its token is of no use."""
        action: Action = "block" if is_block else "remove"
        require_upon(self._caller, action, self._space.role_of(identity))
        await self._act(action, identity, lambda: self._space.on_remove(identity, is_block=is_block, now_s=self._now_s))

    async def invite(self, identity: str) -> None:
        require_upon(self._caller, "invite", self._space.role_of(identity))
        await self._app.carry_out(self._space, self._space.on_invite(identity))

    async def accept_invitation(self, identity: str) -> None:
        """For oneself only."""
        require(self._caller, "accept_invitation")
        if identity != self._caller.identity:
            raise CommandError("missing_permission", "only the invited can accept", missing_permission="identity")
        await self._bring_on_stage(identity, "accept_invitation", lambda: self._space.on_accept(identity, self._now_s))

    async def raise_hand(self, *, is_raised: bool) -> None:
        require(self._caller, "raise_hand")
        effects = self._space.on_hand(self._caller.identity, is_raised=is_raised, now_s=self._now_s)
        await self._app.carry_out(self._space, effects)

    async def rename(self, title: str) -> None:
        require(self._caller, "edit_space")
        await self._app.carry_out(self._space, self._space.on_rename(title))

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
            await self._app.carry_out(self._space, decide())
        self._app.metrics.acts.labels(action).inc()
        log.info("act", action=action, space=self._space.id, by=self._caller.identity, upon=identity)

    async def _bring_on_stage(self, identity: str, action: Action, decide: Callable[[], list[Effect]]) -> None:
        try:
            await self._act(action, identity, decide)
        except CommandError as refusal:
            if refusal.code == "stage_full" and self._space.given_role(identity) not in {None, "listener"}:
                # The sfu counts those whose sessions have not quite ended; back to where they were.
                await self._app.carry_out(self._space, self._space.on_demote(identity, self._now_s))
            raise


def moderation(app: Signalling, space: Space, token: Token) -> Moderation:
    """The acts open to the holder of `token`; each checks for itself whether it may."""
    return Moderation(app, space, app.caller(token, space))
