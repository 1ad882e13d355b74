"""The ledger's tables."""

import sqlalchemy as sa

VERSION = 7
"""Version of the tables below: the latest revision of `migrations/versions`, which migrate older ledgers."""

metadata = sa.MetaData()

# One row for each version of a dataset's row: `fingerprint` identifies its request. `position`: null once it has left
# the dataset.
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
    # Set before a request is sent, cleared once its result is certain.
    sa.Column("in_doubt", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("resent", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("request_id", sa.String),
    sa.Column("latency_ms", sa.Float),
    sa.Column("prompt_bytes", sa.Integer, nullable=False, default=0, server_default=sa.text("0")),
    sa.Column("prompt_tokens", sa.BigInteger),
    sa.Column("completion_tokens", sa.BigInteger),
    sa.Column("billed_micro_usd", sa.BigInteger),
    sa.Column("updated_at", sa.DateTime, nullable=False),
    # Kept only until the row is answered: the ledger must not accumulate documents.
    sa.Column("messages", sa.JSON),
    # A reply's content besides its text, as JSON text: an unreadable value must not prevent opening the ledger.
    sa.Column("message", sa.Text),
    sa.Column("notes", sa.Text),
    # JSON text: the row's own sampling, and the paths of its files; null for most rows.
    sa.Column("options", sa.Text),
    # Asking again for an answer that does not fit. `turns`: JSON text of the earlier turns.
    sa.Column("turns", sa.Text),
    sa.Column("turn_bytes", sa.BigInteger, nullable=False, default=0, server_default=sa.text("0")),
    sa.Column("asked_again_micro_usd", sa.BigInteger),
    sa.Column("lost_receipts", sa.Integer, nullable=False, default=0, server_default=sa.text("0")),
    # `scope`: the rows it may share its answer with. `copy_batch`, `copy_of`: the row whose answer it gets.
    sa.Column("scope", sa.String(6), nullable=False, default="ledger", server_default="ledger"),
    sa.Column("copy_batch", sa.String(100)),
    sa.Column("copy_of", sa.String),
    sa.Column("saved_micro_usd", sa.BigInteger),
    # The key under which the row was sent, if a column changed since that is part of its key.
    sa.Column("sent_as", sa.String),
    sa.Index("rows_in_order", "batch", "position"),
)
# Free space for the new version of a row in its own page: claims and answers then write no index.
_FILL_FACTOR: sa.DDL = sa.DDL(f"ALTER TABLE {rows.name} SET (fillfactor = 70)")  # type: ignore[no-untyped-call]
sa.event.listen(rows, "after_create", _FILL_FACTOR.execute_if(dialect="postgresql"))

# The service's id of each eval set and eval run; a restart finds it and does not pay again.
eval_work = sa.Table(
    "eval_work",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
)

# Purchase decisions, written before the purchase: the eval runs to buy, and those to use again.
eval_plans = sa.Table(
    "eval_plans",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("bought", sa.JSON, nullable=False),
    sa.Column("reused", sa.JSON, nullable=False),
)

# Eval runs with complete scores of a model on an eval set.
eval_scores = sa.Table(
    "eval_scores",
    metadata,
    sa.Column("eval_set_id", sa.String, primary_key=True),
    sa.Column("model", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, primary_key=True),
)

# The measured quality of a model on each occasion of a watch.
quality = sa.Table(
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

# Scores of all answered rows: later occurrences are compared with them.
quality_scores = sa.Table(
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

# Quoted and paid costs of the same work; `number` counts the quotes of one piece of work.
quotes = sa.Table(
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
    # Null until the quote is checked.
    sa.Column("paid_micro_usd", sa.BigInteger),
    sa.Column("paid_at", sa.DateTime),
)

# The highest budget of a batch while no price was known; null if a run had no budget.
ceilings = sa.Table(
    "ceilings", metadata, sa.Column("batch", sa.String(100), primary_key=True), sa.Column("micro_usd", sa.BigInteger)
)

# Purchases other than batch rows: each counts with its bill, or with its bound until it is billed.
purchases = sa.Table(
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

# The running run of each batch: its control request, its last progress and its heartbeat.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("max_in_flight", sa.Integer),
    sa.Column("snapshot", sa.JSON),
    # Only the heartbeat distinguishes a killed run from one under way.
    sa.Column("told_at", sa.Float, key="heartbeat_at", nullable=False),
)

# The owner of each answers file. `current`: the batch still writes there. `written_as`: identity of the written file.
outputs = sa.Table(
    "outputs",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("batch", sa.String(100), nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("written_as", sa.Text),
)

# The origin of each batch: a deployment as `flow/deployment`, else a flow.
origins = sa.Table(
    "origins",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),
)

# Model and tags of each account from a time (UTC) on: the owner of the money that is spent until the next entry.
owners = sa.Table(
    "owners",
    metadata,
    sa.Column("account", sa.String(120), primary_key=True),
    sa.Column("since", sa.DateTime, primary_key=True),
    sa.Column("model", sa.Text),
    sa.Column("team", sa.String(100)),
    sa.Column("project", sa.String(100)),
)

# One row with a random id: it differs between two ledgers.
identity = sa.Table(
    "ledger_identity", metadata, sa.Column("number", sa.Integer, primary_key=True), sa.Column("id", sa.String(32))
)

# One row per registered batch. `state`: `registering` until the last of its rows is written, then `registered`.
batches = sa.Table(
    "batches",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("state", sa.String(11), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    # Whether equal requests share one answer.
    sa.Column("shares", sa.Boolean, nullable=False),
)

SUMMED = (
    *("to_send", "settled", "failed", "pending", "billed_micro_usd", "prompt_tokens", "completion_tokens"),
    *("unknown", "unknown_bytes", "billed_unanswered", "unanswered_micro_usd", "resent", "replayed"),
    *("replayed_prompt_tokens", "replayed_completion_tokens", "asked_again", "asked_again_micro_usd", "lost_turns"),
    *("lost_turn_bytes", "copies", "open_copies", "copied", "reused", "saved_micro_usd", "unbilled"),
    *("unbilled_bytes", "superseded_micro_usd", "superseded_unknown", "superseded_bytes"),
)
"""Counts and sums of a shard; null without a value."""

# Counts and sums of the rows of 500 positions each; shard -1 has the rows that left the dataset. They hold while
# `counted` is true: the transaction that writes a row clears it. `kinds`: JSON text of the counts by state, error and
# flag. `prompt_quotient`, `completion_quotient`: lowest receipt per token; `rise`: see `prices_of`.
shards = sa.Table(
    "shards",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("counted", sa.Boolean, nullable=False),
    *(sa.Column(name, sa.BigInteger) for name in SUMMED),
    sa.Column("kinds", sa.Text),
    sa.Column("prompt_quotient", sa.Float),
    sa.Column("completion_quotient", sa.Float),
    sa.Column("least_prompt_tokens", sa.BigInteger),
    sa.Column("most_completion_tokens", sa.BigInteger),
    sa.Column("rise", sa.Float),
)

# The version of the tables, for programs of version 5 and older.
versions = sa.Table("ledger_version", metadata, sa.Column("version", sa.Integer, primary_key=True))
# Alembic's table, under a name of its own: the database may be that of a Prefect server, which has `alembic_version`.
revisions = sa.Table("ledger_revision", metadata, sa.Column("version_num", sa.String(32), primary_key=True))
