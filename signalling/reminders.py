"""Reminders of scheduled spaces: who wants one, and calling those that are due. Edge.

They go out by webhook; whose telephone rings is the business of the application. That it was called and the webhooks
that this becomes are one transaction, so a reminder is called once, whatever happens in between; after a restart the
calls that fell due meanwhile are made late rather than never, but no host is called to what should have begun already.
"""

from typing import Final

from signalling.app import Signalling
from signalling.errors import CommandError
from signalling.records import SpaceRecord
from signalling.resources import SpaceResource, timestamp
from signalling.store.reminders import Occasion
from signalling.webhooks import Happening, ReminderTold

HOST_BEFORE_S: Final = 30 * 60.0

MAX_PEOPLE: Final = 500
"""In one webhook, some 64 KiB at the most."""

MAX_PER_IDENTITY: Final = 200


async def opt_in(app: Signalling, space: SpaceResource, identity: str) -> None:
    """Raises CommandError `not_scheduled`, `reminders_unavailable`, `too_many_reminders`."""
    if not app.reach.webhooks.is_on:
        raise CommandError(
            "reminders_unavailable", "this server has nobody to send reminders by; its operator sets webhook.urls"
        )
    if space.state != "scheduled":
        raise CommandError("not_scheduled", f"space {space.id!r} is {space.state}; only what is to come is reminded of")
    repository = app.store.reminders
    if not await repository.is_set(space.id, identity) and await repository.count(identity) >= MAX_PER_IDENTITY:
        raise CommandError(
            "too_many_reminders",
            f"{identity!r} has {MAX_PER_IDENTITY} reminders; withdraw one first",
            limit=MAX_PER_IDENTITY,
        )
    await repository.add(space.id, identity, now_s=app.clock())


async def call_due(app: Signalling) -> None:
    """Those of hosts whose space begins within half an hour, and of everyone who waited for one that has begun."""
    if not app.reach.webhooks.is_on:
        return
    repository = app.store.reminders
    for record in await repository.hosts_due(now_s=app.clock(), before_s=HOST_BEFORE_S):
        await _call(app, record, "host_before", for_s=record.starts_at_s or 0.0)
    for record in await repository.started():
        await _call(app, record, "started", for_s=record.started_at_s or 0.0)


async def _call(app: Signalling, record: SpaceRecord, occasion: Occasion, *, for_s: float) -> None:
    people = [record.host] if occasion == "host_before" else await app.store.reminders.listeners(record.space)
    happenings = [
        _happening(app, record, occasion, identities=identities, event=f"{record.space}/{occasion}/{for_s}/{part}")
        for part, identities in enumerate(_batches(people))
    ]
    async with app.reach.writing(happenings) as connection:
        await app.store.reminders.write_call(connection, record.space, occasion, for_s=for_s, now_s=app.clock())


def _happening(
    app: Signalling, record: SpaceRecord, occasion: Occasion, *, identities: list[str], event: str
) -> Happening:
    told = ReminderTold(
        occasion=occasion,
        identities=identities,
        title=record.title,
        starts_at=None if record.starts_at_s is None else timestamp(record.starts_at_s),
    )
    return app.reach.telling.happening(
        "reminder.due", space=record.space, told=told, now_s=app.clock(), event=f"reminder/{event}"
    )


def _batches(people: list[str]) -> list[list[str]]:
    return [people[start : start + MAX_PEOPLE] for start in range(0, len(people), MAX_PEOPLE)]
