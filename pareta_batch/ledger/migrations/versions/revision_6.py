"""Version 6: counts per shard and the state of each batch, which the next registration of a batch fills."""

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = "5"

_SUMMED = (
    *("to_send", "settled", "failed", "pending", "billed_micro_usd", "prompt_tokens", "completion_tokens"),
    *("unknown", "unknown_bytes", "billed_unanswered", "unanswered_micro_usd", "resent", "replayed"),
    *("replayed_prompt_tokens", "replayed_completion_tokens", "asked_again", "asked_again_micro_usd", "lost_turns"),
    *("lost_turn_bytes", "copies", "open_copies", "copied", "reused", "saved_micro_usd", "unbilled"),
    *("unbilled_bytes", "superseded_micro_usd", "superseded_unknown", "superseded_bytes"),
)


def upgrade() -> None:
    """Create the tables; on PostgreSQL, leave free space in pages of `rows` that are written from now on."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rows SET (fillfactor = 70)")
    # Programs of version 5 create it on demand.
    columns = sa.Column("number", sa.Integer, primary_key=True), sa.Column("id", sa.String(32))
    op.create_table("ledger_identity", *columns, if_not_exists=True)
    op.create_table(
        "batches",
        sa.Column("batch", sa.String(100), primary_key=True),
        sa.Column("state", sa.String(11), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("shares", sa.Boolean, nullable=False),
    )
    op.create_table(
        "shards",
        sa.Column("batch", sa.String(100), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in _SUMMED),
        sa.Column("kinds", sa.Text),
        sa.Column("prompt_quotient", sa.Float),
        sa.Column("completion_quotient", sa.Float),
        sa.Column("least_prompt_tokens", sa.BigInteger),
        sa.Column("most_completion_tokens", sa.BigInteger),
        sa.Column("rise", sa.Float),
    )
