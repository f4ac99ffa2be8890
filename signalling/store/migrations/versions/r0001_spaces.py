"""Spaces, standings and exclusions: what releases without migrations made. Edge."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "spaces",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("title", sa.String(70), nullable=False),
        sa.Column("audience", sa.String(16), nullable=False),
        sa.Column("host", sa.String(128), nullable=False),
        sa.Column("max_speakers", sa.Integer, nullable=False),
        sa.Column("created_at_s", sa.Float(53), nullable=False),
        sa.Column("ended_at_s", sa.Float(53)),
    )
    op.create_index("ix_spaces_ended_at_s", "spaces", ["ended_at_s"])
    op.create_table(
        "standings",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("role", sa.String(16)),
        sa.Column("is_muted", sa.Boolean, nullable=False),
    )
    op.create_table(
        "exclusions",
        sa.Column("space", sa.String(64), primary_key=True),
        sa.Column("identity", sa.String(128), primary_key=True),
        sa.Column("at_s", sa.Float(53), nullable=False),
        sa.Column("is_block", sa.Boolean, nullable=False),
    )
