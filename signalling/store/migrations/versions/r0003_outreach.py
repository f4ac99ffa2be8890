"""Webhooks, reminders, reports, the audit trail, bans, idempotency keys and the words of titles. Edge."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import VARCHAR

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TERM = sa.String(80).with_variant(VARCHAR(80, collation="C"), "postgresql")


def upgrade() -> None:
    _webhooks()
    _reminders()
    _safety()
    _idempotency_and_search()


def _webhooks() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("event", sa.String(160), nullable=False),
        sa.Column("url", sa.String(1024), nullable=False),
        sa.Column("space", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_s", sa.Float(53), nullable=False),
        sa.Column("created_at_s", sa.Float(53), nullable=False),
        sa.Column("finished_at_s", sa.Float(53)),
        sa.Column("error", sa.String(200), nullable=False),
        sa.UniqueConstraint("event", "url", name="uq_webhook_deliveries_event_url"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_deliveries_state_number", "webhook_deliveries", ["state", "number"])
    op.create_table(
        "stage_told",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
    )


def _reminders() -> None:
    op.create_table(
        "reminders",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
    )
    op.create_index("ix_reminders_identity", "reminders", ["identity"])
    op.create_table(
        "reminder_calls",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("occasion", sa.String(16), primary_key=True),
        sa.Column("for_s", sa.Float(53), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
    )


def _safety() -> None:
    op.create_table(
        "reports",
        sa.Column("report", sa.String(32), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("space", sa.String(64), nullable=False),
        sa.Column("reporter", sa.String(128), nullable=False),
        sa.Column("identity", sa.String(128)),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("resolution", sa.String(32)),
        sa.Column("resolved_by", sa.String(128)),
        sa.Column("resolved_at_s", sa.Float(53)),
    )
    op.create_index("ix_reports_state_at_s", "reports", ["state", "at_s"])
    op.create_table(
        "audit",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("space", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("upon", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(280), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_space_number", "audit", ["space", "number"])
    op.create_table(
        "bans",
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(280), nullable=False),
    )


def _idempotency_and_search() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_idempotency_keys_at_s", "idempotency_keys", ["at_s"])
    op.create_table(
        "terms",
        sa.Column("term", _TERM, primary_key=True),
        sa.Column("space", sa.String(64), primary_key=True),
    )
    op.create_index("ix_terms_space", "terms", ["space"])
