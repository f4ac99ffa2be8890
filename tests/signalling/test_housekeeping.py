"""What is over is kept for as long as the operator says, and not longer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from sfu.contract.config import Config, Control, Retention
from signalling.app import Signalling
from signalling.housekeeping import let_go
from signalling.metrics import Metrics
from signalling.records import SpaceRecord
from signalling.safety import AuditRecord, ReportRecord
from signalling.store import Store
from signalling.webhook_queue import GiveUp
from signalling.webhooks import Happening, ReportTold

DAY_S = 86_400.0
RETENTION = Retention(
    idempotency_hours=24, delivered_webhook_days=3, dead_webhook_days=30, resolved_report_days=180, audit_days=365
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000 * DAY_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def app(store_url: str, tmp_path: Path) -> AsyncIterator[Signalling]:
    config = Config(keys={"key": "s" * 40}, control=Control(socket=str(tmp_path / "sfu.sock")), retention=RETENTION)
    made = Signalling(config, Store(store_url), Metrics(), clock=Clock())
    await made.store.open()
    yield made
    await made.store.close()


async def fill(app: Signalling) -> None:
    """One of each, over at this moment."""
    store, now_s = app.store, app.clock()
    report = ReportRecord(report="r", at_s=now_s, space="hall", reporter="eve", identity=None, reason="spam", text="")
    told = ReportTold(id="r", identity=None, reason="spam")
    happenings = [
        Happening(id=name, type="report.filed", space="hall", at_s=now_s, told=told)
        for name in ("delivered", "dead", "waits")
    ]
    async with store.database.writing() as connection:
        await store.safety.write_audit(connection, [AuditRecord(at_s=now_s, space="hall", action="mute", by="ada")])
        await store.safety.write_report(connection, report)
        await store.safety.write_report(connection, replace(report, report="open"))
        await store.safety.resolve(connection, replace(report, state="resolved", resolved_at_s=now_s))
        delivered, dead, _ = await store.webhooks.write(connection, happenings, ["http://a"], room=9)
    await store.webhooks.keep_delivered(delivered.number, 1, now_s=now_s)
    await store.webhooks.keep_failed(GiveUp(dead.number, 15), error="it answered 500", now_s=now_s)
    await store.idempotency.begin("ada", "k", fingerprint="f", now_s=now_s, max_keys=9)
    over = SpaceRecord(
        space="hall", title="Hall", audience="forward", host="ada", max_speakers=9, created_at_s=now_s, ended_at_s=now_s
    )
    await store.spaces.add(over)
    await store.reminders.add("hall", "eve", now_s=now_s)


async def kept(app: Signalling) -> set[str]:
    """What is still there."""
    store = app.store
    found = {record.event for record in await store.webhooks.page(None, before=None, limit=9)}
    found |= {record.report for record in await store.safety.report_page(None, after=None, limit=9)}
    found |= {"audit" for _ in (await store.safety.audit_page(None, before=None, limit=9))[0]}
    found |= {"reminder"} if await store.reminders.is_set("hall", "eve") else set()
    return found


@pytest.mark.parametrize(
    ("after_days", "gone"),
    [
        (0.9, {"reminder"}),
        (2.9, {"reminder"}),
        (3.1, {"reminder", "delivered"}),
        (30.1, {"reminder", "delivered", "dead"}),
        (180.1, {"reminder", "delivered", "dead", "r"}),
        (365.1, {"reminder", "delivered", "dead", "r", "audit"}),
    ],
)
async def test_each_thing_goes_in_its_time_and_what_is_not_over_stays(
    app: Signalling, after_days: float, gone: set[str]
) -> None:
    await fill(app)
    everything = await kept(app)
    assert isinstance(app.clock, Clock)
    app.clock.now_s += after_days * DAY_S
    await let_go(app)

    assert everything - await kept(app) == gone
    assert {"waits", "open"} <= await kept(app), "a webhook that is on its way, a report that nobody has read"


async def test_an_idempotency_key_is_kept_for_a_day(app: Signalling) -> None:
    assert isinstance(app.clock, Clock)
    await fill(app)
    for hours, is_kept in ((23.0, True), (1.1, False)):
        app.clock.now_s += hours * 3600.0
        await let_go(app)
        begun = await app.store.idempotency.begin("ada", "k", fingerprint="other", now_s=app.clock.now_s, max_keys=9)
        assert (begun is not None) == is_kept
