"""Schedules, rules of the stage, hands, hosts' blocks and tickets. Edge.

Columns are added with defaults, so that the rows that are there already keep their meaning: spaces began when they were
made, and whom a host had blocked from one space is blocked from all of that host's.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in _space_columns():
        op.add_column("spaces", column)
    op.create_index("ix_spaces_host", "spaces", ["host"])
    op.execute("UPDATE spaces SET started_at_s = created_at_s")
    op.execute("UPDATE spaces SET end_reason = 'ended' WHERE ended_at_s IS NOT NULL")
    for column in _standing_columns():
        op.add_column("standings", column)
    _add_blocks()
    _add_tickets()
    _add_links()


def _space_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("host_name", sa.String(128), nullable=False, server_default=""),
        sa.Column("description", sa.String(1000), nullable=False, server_default=""),
        sa.Column("topics", sa.JSON, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("language", sa.String(64)),
        sa.Column("speak", sa.String(16), nullable=False, server_default="invited"),
        sa.Column("entry", sa.String(16), nullable=False, server_default="open"),
        sa.Column("max_cohosts", sa.Integer, nullable=False, server_default="2"),
        sa.Column("starts_at_s", sa.Float(53)),
        sa.Column("started_at_s", sa.Float(53)),
        sa.Column("end_reason", sa.String(16)),
        sa.Column("has_been_hosted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("hostless_since_s", sa.Float(53)),
        sa.Column("total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("peak", sa.Integer, nullable=False, server_default="0"),
        sa.Column("ticket", sa.JSON),
    ]


def _standing_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("is_self_muted", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("has_stepped_down", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("hand_raised_at_s", sa.Float(53)),
        sa.Column("invited_as", sa.String(16)),
    ]


def _add_blocks() -> None:
    op.create_table(
        "blocks",
        sa.Column("host", sa.String(128), primary_key=True),
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
    )
    op.execute(
        "INSERT INTO blocks SELECT spaces.host, exclusions.identity, MAX(exclusions.at_s) FROM exclusions "
        "JOIN spaces ON spaces.space = exclusions.space WHERE exclusions.is_block AND spaces.host <> '' "
        "GROUP BY spaces.host, exclusions.identity"
    )
    op.execute(
        "UPDATE exclusions SET is_block = FALSE WHERE is_block AND space IN (SELECT space FROM spaces WHERE host <> '')"
    )


def _add_tickets() -> None:
    op.create_table(
        "tickets",
        sa.Column("ticket", sa.String(64), primary_key=True),
        sa.Column("space", sa.String(64), sa.ForeignKey("spaces.space", ondelete="CASCADE"), nullable=False),
        sa.Column("identity", sa.String(128), nullable=False),
        sa.Column("issued_at_s", sa.Float(53), nullable=False),
        sa.Column("used_at_s", sa.Float(53)),
        sa.Column("revoked_at_s", sa.Float(53)),
    )
    op.create_index("ix_tickets_space", "tickets", ["space"])


def _add_links() -> None:
    op.create_table(
        "links",
        sa.Column("space", sa.String(64), sa.ForeignKey("spaces.space", ondelete="CASCADE"), primary_key=True),
        sa.Column("links", sa.JSON, nullable=False),
    )
