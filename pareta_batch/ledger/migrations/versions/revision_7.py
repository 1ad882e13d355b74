"""Version 7: the tables of runs that send, some of which programs of version 6 created on demand."""

import sqlalchemy as sa
from alembic import op

revision = "7"
down_revision = "6"

metadata = sa.MetaData()

sa.Table(
    "account_runs",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("paused_until", sa.Float, nullable=False),
    sa.Column("account_per_s", sa.Float),
    sa.Column("demand_per_s", sa.Float),
    sa.Column("reported_at", sa.Float, nullable=False),
)
sa.Table(
    "member_runs",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("owner_pid", sa.Integer, nullable=False),
    sa.Column("owner_transaction", sa.String, nullable=False),
    sa.Column("shard_size", sa.Integer, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("prices", sa.JSON),
    sa.Column("doubt", sa.JSON),
)
sa.Table(
    "members",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("token", sa.String(32), primary_key=True),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("transaction", sa.String, nullable=False),
    sa.Column("share", sa.Integer, nullable=False),
    sa.Column("confirmed", sa.Integer, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("granted_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("demand", sa.JSON),
    sa.Column("prices", sa.JSON),
)
sa.Table(
    "member_shards",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.String(32)),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("billed_before_micro_usd", sa.BigInteger, nullable=False),
    sa.Index(
        "member_shards_open",
        *("batch", "shard"),
        postgresql_where=sa.text("NOT done"),
        sqlite_where=sa.text("NOT done"),
    ),
)
sa.Table(
    "member_parts",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stop", sa.Integer, nullable=False),
    sa.Column("token", sa.String(32)),
    sa.Column("parts", sa.Integer),
    sa.Column("rows", sa.BigInteger),
    sa.Column("answers", sa.BigInteger),
)
sa.Table(
    "open_batches",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("asked", sa.String(64), nullable=False),
)
sa.Table(
    "stops",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)


def upgrade() -> None:
    """Create the tables that do not exist."""
    metadata.create_all(op.get_bind())
