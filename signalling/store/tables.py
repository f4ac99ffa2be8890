"""The tables as the newest migration leaves them; a test compares the two. Pure.

Other domains have their tables in modules beside this one, over the same `metadata`.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    false,
    text,
)

metadata: Final = MetaData()

spaces: Final = Table(
    "spaces",
    metadata,
    Column("space", String(64), primary_key=True),
    Column("title", String(70), nullable=False),
    Column("audience", String(16), nullable=False),
    Column("host", String(128), nullable=False, index=True),
    Column("max_speakers", Integer, nullable=False),
    Column("created_at_s", Float(53), nullable=False),
    Column("ended_at_s", Float(53), index=True),
    Column("host_name", String(128), nullable=False, server_default=""),
    Column("description", String(1000), nullable=False, server_default=""),
    Column("topics", JSON, nullable=False, server_default=text("'[]'")),
    Column("language", String(64)),
    Column("speak", String(16), nullable=False, server_default="invited"),
    Column("entry", String(16), nullable=False, server_default="open"),
    Column("max_cohosts", Integer, nullable=False, server_default="2"),
    Column("starts_at_s", Float(53)),
    Column("started_at_s", Float(53)),
    Column("end_reason", String(16)),
    Column("has_been_hosted", Boolean, nullable=False, server_default=false()),
    Column("hostless_since_s", Float(53)),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("peak", Integer, nullable=False, server_default="0"),
    Column("ticket", JSON(none_as_null=True)),
)
standings: Final = Table(
    "standings",
    metadata,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("role", String(16)),
    Column("is_muted", Boolean, nullable=False),
    Column("is_self_muted", Boolean, nullable=False, server_default=false()),
    Column("has_stepped_down", Boolean, nullable=False, server_default=false()),
    Column("hand_raised_at_s", Float(53)),
    Column("invited_as", String(16)),
    PrimaryKeyConstraint("space", "identity"),
)
exclusions: Final = Table(
    "exclusions",
    metadata,
    Column("space", String(64), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("at_s", Float(53), nullable=False),
    Column("is_block", Boolean, nullable=False),
    PrimaryKeyConstraint("space", "identity"),
)
blocks: Final = Table(
    "blocks",
    metadata,
    Column("host", String(128), nullable=False),
    Column("identity", String(128), nullable=False),
    Column("at_s", Float(53), nullable=False),
    PrimaryKeyConstraint("host", "identity"),
)
tickets: Final = Table(
    "tickets",
    metadata,
    Column("ticket", String(64), primary_key=True),
    Column("space", String(64), ForeignKey("spaces.space", ondelete="CASCADE"), nullable=False, index=True),
    Column("identity", String(128), nullable=False),
    Column("issued_at_s", Float(53), nullable=False),
    Column("used_at_s", Float(53)),
    Column("revoked_at_s", Float(53)),
)
links: Final = Table(
    "links",
    metadata,
    Column("space", String(64), ForeignKey("spaces.space", ondelete="CASCADE"), primary_key=True),
    Column("links", JSON, nullable=False),
)
