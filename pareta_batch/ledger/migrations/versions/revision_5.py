"""Version 5: ledgers of the versions 1 to 5 get the tables and columns that they lack.

The tables below are those of version 5, and stay as they are: later revisions change them.
"""

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = None

metadata = sa.MetaData()

rows = sa.Table(
    "rows",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("answer", sa.Text),
    sa.Column("finish_reason", sa.String),
    sa.Column("flag", sa.String(10)),
    sa.Column("error", sa.String),
    sa.Column("error_message", sa.Text),
    sa.Column("retryable", sa.Boolean, nullable=False, default=False),
    sa.Column("in_doubt", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("resent", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("request_id", sa.String),
    sa.Column("latency_ms", sa.Float),
    sa.Column("prompt_bytes", sa.Integer, nullable=False, default=0, server_default=sa.text("0")),
    sa.Column("prompt_tokens", sa.BigInteger),
    sa.Column("completion_tokens", sa.BigInteger),
    sa.Column("billed_micro_usd", sa.BigInteger),
    sa.Column("updated_at", sa.DateTime, nullable=False),
    sa.Column("messages", sa.JSON),
    sa.Column("message", sa.Text),
    sa.Column("notes", sa.Text),
    sa.Column("options", sa.Text),
    sa.Column("turns", sa.Text),
    sa.Column("turn_bytes", sa.BigInteger, nullable=False, default=0, server_default=sa.text("0")),
    sa.Column("asked_again_micro_usd", sa.BigInteger),
    sa.Column("lost_receipts", sa.Integer, nullable=False, default=0, server_default=sa.text("0")),
    sa.Column("scope", sa.String(6), nullable=False, default="ledger", server_default="ledger"),
    sa.Column("copy_batch", sa.String(100)),
    sa.Column("copy_of", sa.String),
    sa.Column("saved_micro_usd", sa.BigInteger),
    sa.Column("sent_as", sa.String),
    sa.Index("rows_in_order", "batch", "position"),
)
sa.Table(
    "eval_work",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)
sa.Table(
    "eval_plans",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("bought", sa.JSON, nullable=False),
    sa.Column("reused", sa.JSON, nullable=False),
)
sa.Table(
    "eval_scores",
    metadata,
    sa.Column("eval_set_id", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
)
sa.Table(
    "quality",
    metadata,
    sa.Column("watch", sa.String(100), primary_key=True),
    sa.Column("occasion", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("quality", sa.Float),
    sa.Column("ci_low", sa.Float),
    sa.Column("ci_high", sa.Float),
)
sa.Table(
    "quality_scores",
    metadata,
    sa.Column("watch", sa.String(100), primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False),
    sa.Column("scores", sa.JSON, nullable=False),
    sa.Column("mean", sa.Float),
    sa.Column("standard_error", sa.Float),
)
sa.Table(
    "quotes",
    metadata,
    sa.Column("kind", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("basis", sa.String(12), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("low_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("likely_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("high_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("settled_before", sa.Integer, nullable=False),
    sa.Column("billed_before_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("quoted_at", sa.DateTime, nullable=False),
    sa.Column("paid_micro_usd", sa.BigInteger),
    sa.Column("paid_at", sa.DateTime),
)
sa.Table(
    "ceilings",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("micro_usd", sa.BigInteger),
)
sa.Table(
    "purchases",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(120), nullable=False, index=True),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("listed_micro_usd", sa.Float, nullable=False),
    sa.Column("bound_micro_usd", sa.BigInteger),
    sa.Column("id", sa.String),
    sa.Column("billed_micro_usd", sa.BigInteger),
    sa.Column("created_at", sa.DateTime, nullable=False),
)
sa.Table(
    "runs",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("max_in_flight", sa.Integer),
    sa.Column("snapshot", sa.JSON),
    sa.Column("told_at", sa.Float, key="heartbeat_at", nullable=False),
)
sa.Table(
    "outputs",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("batch", sa.String(100), nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("written_as", sa.Text),
)
sa.Table(
    "origins",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),
)
sa.Table(
    "owners",
    metadata,
    sa.Column("account", sa.String(120), primary_key=True),
    sa.Column("since", sa.DateTime, primary_key=True),
    sa.Column("model", sa.Text),
    sa.Column("team", sa.String(100)),
    sa.Column("project", sa.String(100)),
)
sa.Table("ledger_version", metadata, sa.Column("version", sa.Integer, primary_key=True))

_WIDENED = ("prompt_tokens", "completion_tokens")
"""Columns of `rows` that versions 1 and 2 created for 32 bits; SQLite stores integers of any size without a change."""


def upgrade() -> None:
    """Add the missing tables and columns. Version 5 itself has no recorded revision, and may lack the last tables."""
    db = op.get_bind()
    found = {column["name"] for column in sa.inspect(db).get_columns(rows.name)}
    for column in rows.columns:
        if column.name not in found:
            op.execute(
                f"ALTER TABLE {rows.name} ADD COLUMN {sa.schema.CreateColumn(column).compile(dialect=db.dialect)}"
            )
    if db.dialect.name == "postgresql":
        for name in _WIDENED:
            op.alter_column(rows.name, name, type_=sa.BigInteger)
    metadata.create_all(db)
