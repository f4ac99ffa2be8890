"""Reports, bans and the audit trail. Edge (files)."""

from collections.abc import Iterable

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signalling.safety import AuditRecord, BanRecord, ReportRecord, ReportState
from signalling.store.database import Database
from signalling.store.outreach_tables import audit, bans, reports


class SafetyRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    # The audit trail

    async def write_audit(self, connection: AsyncConnection, records: Iterable[AuditRecord]) -> None:
        """Within the transaction of the act itself."""
        rows = [msgspec.structs.asdict(record) for record in records]
        if rows:
            await connection.execute(insert(audit), rows)

    async def audit_page(
        self, space: str | None, *, before: int | None, limit: int
    ) -> tuple[list[AuditRecord], int | None]:
        """Newest first, of one space or of all; with the number of the last one shown."""
        wanted = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if space is not None:
            wanted = wanted.where(audit.c.space == space)
        if before is not None:
            wanted = wanted.where(audit.c.number < before)
        rows = await self._database.rows(wanted)
        return msgspec.convert(rows, list[AuditRecord]), rows[-1]["number"] if rows else None

    async def expire_audit(self, *, before_s: float) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(audit).where(audit.c.at_s < before_s))

    # Reports

    async def write_report(self, connection: AsyncConnection, record: ReportRecord) -> None:
        """Within the transaction that stores what is told of it."""
        await connection.execute(insert(reports).values(**msgspec.structs.asdict(record)))

    async def find_report(self, report: str) -> ReportRecord | None:
        row = await self._database.row(select(reports).where(reports.c.report == report))
        return None if row is None else msgspec.convert(row, ReportRecord)

    async def resolve(self, connection: AsyncConnection, resolved: ReportRecord) -> bool:
        """False where it is not open any more: of two operators one resolves it."""
        still_open = update(reports).where(reports.c.report == resolved.report, reports.c.state == "open")
        done = await connection.execute(still_open.values(**msgspec.structs.asdict(resolved)))
        return bool(done.rowcount)

    async def report_page(
        self, state: ReportState | None, *, after: tuple[float, str] | None, limit: int
    ) -> list[ReportRecord]:
        """Oldest first, so that what waits longest is seen first."""
        wanted = select(reports).order_by(reports.c.at_s, reports.c.report).limit(limit)
        if state is not None:
            wanted = wanted.where(reports.c.state == state)
        if after is not None:
            at_s, report = after
            wanted = wanted.where((reports.c.at_s > at_s) | ((reports.c.at_s == at_s) & (reports.c.report > report)))
        return msgspec.convert(await self._database.rows(wanted), list[ReportRecord])

    async def expire_reports(self, *, resolved_before_s: float) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(reports).where(reports.c.resolved_at_s < resolved_before_s))

    # Bans

    async def bans(self) -> list[BanRecord]:
        return msgspec.convert(await self._database.rows(select(bans).order_by(bans.c.at_s)), list[BanRecord])

    async def write_ban(self, connection: AsyncConnection, record: BanRecord) -> None:
        await connection.execute(self._database.upsert(bans, msgspec.structs.asdict(record)))

    async def lift_ban(self, connection: AsyncConnection, identity: str) -> None:
        await connection.execute(delete(bans).where(bans.c.identity == identity))
