"""What the operator does to spaces and people everywhere, and what the trail keeps of it. Edge (asyncio, randomness).

Each act asks the table of permissions first. What an act changes, its audit entry and the webhook that tells of it are
written in one transaction; then it is carried out, at the packet before the caller is answered.
"""

import asyncio
import secrets
from typing import Any

from msgspec.structs import replace

from signalling.app import Signalling
from signalling.effects import KeepAudit
from signalling.errors import CommandError
from signalling.permissions import Caller, caller_at_large, require
from signalling.safety import AuditRecord, BanRecord, ReportRecord, ResolveReport
from signalling.tokens import Token


class Operator:
    """The acts of one caller."""

    def __init__(self, app: Signalling, caller: Caller) -> None:
        self._app = app
        self._caller = caller

    async def end_space(self, space: str, reason: str) -> None:
        """For everyone, whoever its host is."""
        require(self._caller, "operate_spaces")
        ending = await self._app.space(space)
        entry = KeepAudit(self._entry("end_space", space=ending.id, reason=reason))
        effects = ending.on_end(self._app.clock(), reason="operator")
        await self._app.carry_out(ending, [*effects, entry])

    async def ban(self, identity: str, reason: str) -> BanRecord:
        """Returns when it neither sends nor receives anywhere, and its tokens are of no use.

        Raises CommandError `sfu_unavailable` where the media server is away: the ban stands, and is the first thing
        that it hears when it is back.
        """
        require(self._caller, "ban")
        if identity == self._caller.identity:
            raise CommandError("bad_request", "one cannot ban oneself")
        app = self._app
        record = BanRecord(identity=identity, at_s=app.clock(), by=self._caller.identity, reason=reason)
        async with app.reach.writing_act(self._entry("ban", upon=identity, reason=reason)) as connection:
            await app.store.safety.write_ban(connection, record)
        app.bans.add(record)
        spaces = app.open_spaces()
        outs = [app.carry_out(space, space.on_banned(identity, app.clock())) for space in spaces]
        for outcome in await asyncio.gather(*outs, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        return record

    async def unban(self, identity: str, reason: str) -> None:
        """Raises CommandError `not_banned`."""
        require(self._caller, "ban")
        if identity not in self._app.bans:
            raise CommandError("not_banned", f"{identity!r} is not banned")
        app = self._app
        async with app.reach.writing_act(self._entry("unban", upon=identity, reason=reason)) as connection:
            await app.store.safety.lift_ban(connection, identity)
        app.bans.lift(identity)

    async def resolve(self, report: str, wanted: ResolveReport) -> ReportRecord:
        """Raises CommandError `unknown_report`, `report_resolved`."""
        require(self._caller, "read_reports")
        app = self._app
        found = await app.store.safety.find_report(report) if report.isalnum() else None
        if found is None:
            raise CommandError("unknown_report", "there is no such report; resolved ones are deleted after a time")
        resolved = replace(
            found,
            state="resolved",
            resolution=wanted.resolution,
            resolved_by=self._caller.identity,
            resolved_at_s=app.clock(),
        )
        entry = self._entry("resolve_report", space=found.space, upon=found.identity or "", reason=wanted.reason)
        async with app.reach.writing_act(entry) as connection:
            if not await app.store.safety.resolve(connection, resolved):
                raise CommandError("report_resolved", "this report was resolved already; read what came of it")
        return resolved

    async def export(self, identity: str) -> dict[str, list[dict[str, Any]]]:
        """All that is kept of a person, by table."""
        require(self._caller, "export_person")
        return await self._app.store.persons.export(identity)

    async def erase(self, identity: str) -> str:
        """Deletes what is kept of a person; returns the pseudonym that stands in the audit trail from now on.

        Raises CommandError `person_is_live` where spaces that are not over know them, `person_is_banned`.
        """
        require(self._caller, "erase_person")
        app = self._app
        if identity in app.bans:
            raise CommandError("person_is_banned", f"{identity!r} is banned, which would be forgotten too; unban first")
        present = [space.id for space in app.open_spaces() if space.has(identity)]
        if involved := sorted({*present, *await app.store.persons.open_spaces(identity)}):
            raise CommandError(
                "person_is_live",
                f"{identity!r} is known in spaces that are not over: {', '.join(involved[:5])}; end these first",
                spaces=involved,
            )
        pseudonym = f"erased-{secrets.token_hex(8)}"
        async with app.reach.writing_act(self._entry("erase_person", upon=pseudonym)) as connection:
            deliveries = await app.store.persons.erase(connection, identity, pseudonym=pseudonym)
        app.reach.webhooks.forget(deliveries)
        return pseudonym

    def _entry(self, action: str, *, space: str = "", upon: str = "", reason: str = "") -> AuditRecord:
        return AuditRecord(
            at_s=self._app.clock(), space=space, action=action, by=self._caller.identity, upon=upon, reason=reason
        )


def operator(app: Signalling, token: Token) -> Operator:
    """The acts open to the holder of `token`; each checks for itself whether it may."""
    return Operator(app, caller_at_large(token))
