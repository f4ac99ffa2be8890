"""The tables of what reaches beyond a space: webhooks, reminders, safety, idempotency, search. Pure."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import VARCHAR

from signalling.store.tables import metadata

NUMBER: Final[Any] = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by themselves only where the key is an INTEGER, which has 64 bits there."""

TERM: Final[Any] = String(80).with_variant(VARCHAR(80, collation="C"), "postgresql")
"""Compared byte by byte on both, so that a prefix is a range."""

webhook_deliveries: Final = Table(
    "webhook_deliveries",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("event", String(160), nullable=False),
    Column("url", String(1024), nullable=False),
    Column("space", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at_s", Float(53), nullable=False),
    Column("created_at_s", Float(53), nullable=False),
    Column("finished_at_s", Float(53)),
    Column("error", String(200), nullable=False),
    UniqueConstraint("event", "url", name="uq_webhook_deliveries_event_url"),
    Index("ix_webhook_deliveries_state_number", "state", "number"),
    sqlite_autoincrement=True,  # a number is never given twice, even after the newest rows were deleted
)
stage_told: Final = Table(
    "stage_told",
    metadata,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    PrimaryKeyConstraint("space", "identity"),
)
reminders: Final = Table(
    "reminders",
    metadata,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("space", "identity"),
    Index("ix_reminders_identity", "identity"),
)
reminder_calls: Final = Table(
    "reminder_calls",
    metadata,
    Column("space", String(64), nullable=False),
    Column("occasion", String(16), nullable=False),
    Column("for_s", Float(53), nullable=False),
    Column("at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("space", "occasion", "for_s"),
)
reports: Final = Table(
    "reports",
    metadata,
    Column("report", String(32), primary_key=True),
    Column("at_s", Float(53), nullable=False),
    Column("space", String(64), nullable=False),
    Column("reporter", String(128), nullable=False),
    Column("identity", String(128)),
    Column("reason", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("resolution", String(32)),
    Column("resolved_by", String(128)),
    Column("resolved_at_s", Float(53)),
    Index("ix_reports_state_at_s", "state", "at_s"),
)
audit: Final = Table(
    "audit",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("at_s", Float(53), nullable=False),
    Column("space", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("by", String(128), nullable=False),
    Column("upon", String(128), nullable=False),
    Column("reason", String(280), nullable=False),
    Index("ix_audit_space_number", "space", "number"),
    sqlite_autoincrement=True,
)
bans: Final = Table(
    "bans",
    metadata,
    Column("identity", String(128), primary_key=True),
    Column("at_s", Float(53), nullable=False),
    Column("by", String(128), nullable=False),
    Column("reason", String(280), nullable=False),
)
idempotency_keys: Final = Table(
    "idempotency_keys",
    metadata,
    Column("identity", String(128), nullable=False),
    Column("key", String(128), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at_s", Float(53), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("identity", "key"),
    Index("ix_idempotency_keys_at_s", "at_s"),
)
terms: Final = Table(
    "terms",
    metadata,
    Column("term", TERM, nullable=False),
    Column("space", String(64), nullable=False),
    PrimaryKeyConstraint("term", "space"),
    Index("ix_terms_space", "space"),
)
