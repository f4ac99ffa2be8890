"""What must outlive a process, in one database: SQLite by default, PostgreSQL by URL. Edge (files, sockets).

`database` opens it and takes turns, `tables` says what is in it, `migrations` brings an older one up to date, and each
other module is the repository of one domain.
"""

from typing import Final

from signalling.store.database import Database
from signalling.store.discovery import DiscoveryRepository
from signalling.store.idempotency import IdempotencyRepository
from signalling.store.persons import PersonRepository
from signalling.store.reminders import ReminderRepository
from signalling.store.safety import SafetyRepository
from signalling.store.spaces import SpaceRepository
from signalling.store.webhooks import WebhookRepository

IN_MEMORY: Final = "sqlite://"
"""A database that is gone when it is closed."""


class Store:
    """Every repository over one database. What a repository has returned from is on the disk."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.spaces = SpaceRepository(self.database)
        self.discovery = DiscoveryRepository(self.database)
        self.idempotency = IdempotencyRepository(self.database)
        self.persons = PersonRepository(self.database)
        self.reminders = ReminderRepository(self.database)
        self.safety = SafetyRepository(self.database)
        self.webhooks = WebhookRepository(self.database)

    async def open(self) -> None:
        """Makes or migrates the tables. Raises OSError where the database cannot be reached."""
        await self.database.open()

    async def close(self) -> None:
        await self.database.close()
