"""What is kept of a person: every table is accounted for, and the erased are gone from each."""

from msgspec.structs import asdict
from sqlalchemy import JSON, String, Text, select

from signalling.records import BlockRecord, LinkRecord, LinksRecord, SpaceRecord, StandingRecord
from signalling.safety import AuditRecord, BanRecord, ReportRecord
from signalling.store import Store
from signalling.store.persons import IMPERSONAL, MENTIONING, PERSONAL
from signalling.store.tables import links, metadata
from signalling.webhooks import Happening, PersonTold, StageTold

MAX_IDENTITY = 128

HALL = SpaceRecord(
    space="hall",
    title="Town hall",
    audience="forward",
    host="ada",
    max_speakers=10,
    created_at_s=1.0,
    started_at_s=1.0,
    ended_at_s=9.0,
)


def test_every_table_says_whose_identities_stand_in_it() -> None:
    accounted = {*PERSONAL, *MENTIONING, *IMPERSONAL, links}
    assert set(metadata.tables.values()) - accounted == set()


def test_every_column_that_can_hold_an_identity_is_named_or_known_not_to() -> None:
    """Identities have up to 128 characters; a column as wide, or JSON, or text, may hold one."""
    otherwise = {
        "spaces.host_name",  # goes with its space
        "spaces.topics",
        "spaces.ticket",
        "stage_told.name",  # goes with the person
        "links.links",  # rewritten
        "idempotency_keys.key",
        "idempotency_keys.headers",
        "reports.text",  # goes with the report
    }
    wide = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, JSON | Text)
        or (isinstance(column.type, String) and column.type.length == MAX_IDENTITY)
    }
    named = {f"{table.name}.{column}" for table, personal in PERSONAL.items() for column in personal.columns}
    mentioning = {f"{table.name}.{column.name}" for table, column in MENTIONING.items()}
    assert wide - named - mentioning - otherwise == set()
    assert named <= {f"{table.name}.{column.name}" for table in PERSONAL for column in table.columns}


async def fill(store: Store, who: str) -> None:
    """Something about `who` in every table that can hold it."""
    await store.spaces.add(HALL)
    await store.spaces.add(SpaceRecord(**{**asdict(HALL), "space": f"of-{len(who)}", "host": who}))
    link = LinkRecord(link="l", url="https://x.example", title="x", added_by=who, added_at_s=1.0)
    await store.spaces.keep(
        "hall", [StandingRecord(who, is_muted=True), BlockRecord("ada", who, 1.0), LinksRecord([link])]
    )
    await store.reminders.add("hall", who, now_s=1.0)
    await store.idempotency.begin("ada", "k", fingerprint="f", now_s=1.0, max_keys=9)
    await store.idempotency.finish("ada", "k", status=201, headers={}, body=f'{{"identity":"{who}"}}')
    await store.idempotency.begin(who, "k", fingerprint="f", now_s=1.0, max_keys=9)
    person = PersonTold(identity=who, name="B", role="speaker")
    joined = Happening(id="e", type="participant.joined", space="hall", at_s=1.0, told=person)
    report = ReportRecord(
        report="r", at_s=1.0, space="hall", reporter="eve", identity="mallory", reason="spam", text="", resolved_by=who
    )
    async with store.database.writing() as connection:
        await store.safety.write_audit(connection, [AuditRecord(at_s=1.0, space="hall", action="mute", by=who)])
        await store.safety.write_report(connection, report)
        await store.safety.write_ban(connection, BanRecord(identity="mallory", at_s=1.0, by=who))
        await store.webhooks.write(connection, [joined], ["http://a"], room=9)
        await store.webhooks.write_stage(connection, StageTold("hall", [person]))


async def everything(store: Store) -> str:
    """All rows of all tables, as text."""
    rows = [row for table in metadata.sorted_tables for row in await store.database.rows(select(table))]
    return repr(rows)


async def test_the_erased_are_gone_from_every_table(store: Store) -> None:
    await fill(store, "bob")
    assert (await everything(store)).count("bob") >= 12
    async with store.database.writing() as connection:
        deliveries = await store.persons.erase(connection, "bob", pseudonym="erased-1")

    left = await everything(store)
    assert "bob" not in left
    assert left.count("erased-1") == 4, "the audit entry, the report's resolver, the ban's author, the link's"
    assert "of-3" not in left, "the space that was theirs is gone with them"
    assert len(deliveries) == 1
    assert "mallory" in left


async def test_people_of_a_similar_name_are_left_alone(store: Store) -> None:
    await fill(store, "Bob_")
    before = await everything(store)
    for similar in ("bob_", "Bob", "BobX", "Bob%", "ob_"):
        async with store.database.writing() as connection:
            await store.persons.erase(connection, similar, pseudonym="erased-1")
    assert await everything(store) == before


async def test_what_is_handed_out_names_nobody_else(store: Store) -> None:
    await fill(store, "bob")
    data = await store.persons.export("bob")

    assert set(data) >= {
        "spaces",
        "standings",
        "blocks",
        "reminders",
        "audit",
        "bans",
        "reports",
        "links",
        "stage_told",
    }
    assert [row["reporter"] for row in data["reports"]] == [None]
    assert [row["host"] for row in data["blocks"]] == [None]
    assert await store.persons.export("nobody") == {}


async def test_spaces_that_are_not_over_and_know_the_person_are_named(store: Store) -> None:
    open_hall = SpaceRecord(**{**asdict(HALL), "ended_at_s": None})
    await store.spaces.add(open_hall)
    assert await store.persons.open_spaces("ada") == ["hall"]
    assert await store.persons.open_spaces("bob") == []
    await store.spaces.keep("hall", [StandingRecord("bob", is_muted=True)])
    assert await store.persons.open_spaces("bob") == ["hall"]
