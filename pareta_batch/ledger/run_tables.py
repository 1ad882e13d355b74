"""Tables of runs that send: of each account, of a run with members (shards, parts, stop), and of open batches."""

import sqlalchemy as sa

from pareta_batch.ledger.schema import metadata

# One row for each run that sends. `account`: a digest, never the key. Times are seconds since the epoch.
# `refused`: above 0 if calls of the run collide with those of others, so that all runs of the account take turns.
account_runs = sa.Table(
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

# The run that leads the batch's members. `owner_*`: the transaction that holds the lock of the batch.
member_runs = sa.Table(
    "member_runs",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("owner_pid", sa.Integer, nullable=False),
    sa.Column("owner_transaction", sa.String, nullable=False),
    sa.Column("shard_size", sa.Integer, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    # Price bounds that the members together know, and the requests, bytes and micro-USD in doubt at an unknown price.
    sa.Column("prices", sa.JSON),
    sa.Column("doubt", sa.JSON),
)

# One row for each process that joined. It lives while its transaction `pid`, `transaction` holds the members' lock.
members = sa.Table(
    "members",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("token", sa.String(32), primary_key=True),
    sa.Column("run", sa.String(32), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("transaction", sa.String, nullable=False),
    # Calls in flight: allowed by the parent, and the maximum that the member last confirmed.
    sa.Column("share", sa.Integer, nullable=False),
    sa.Column("confirmed", sa.Integer, nullable=False),
    # Set when its session is drained; a dead member never sets it.
    sa.Column("ended", sa.Boolean, nullable=False),
    sa.Column("counts", sa.JSON, nullable=False),
    # The budget that the parent has allotted to it, and its demand and its price bounds as it last wrote them.
    sa.Column("granted_micro_usd", sa.BigInteger, nullable=False),
    sa.Column("demand", sa.JSON),
    sa.Column("prices", sa.JSON),
)

# The shards of the run that have rows to send, each with the member that works on it.
member_shards = sa.Table(
    "member_shards",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.String(32)),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Column("billed_before_micro_usd", sa.BigInteger, nullable=False),
)
# Not an `Index` with conditions for two dialects: it would import the drivers of both at every start.
_OPEN_SHARDS: sa.DDL = sa.DDL("CREATE INDEX member_shards_open ON member_shards (batch, shard) WHERE NOT done")  # type: ignore[no-untyped-call]
sa.event.listen(member_shards, "after_create", _OPEN_SHARDS)

# Ranges of shards whose parts of the output folder members write, once all rows are sent: `first` to before `stop`.
member_parts = sa.Table(
    "member_parts",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("stop", sa.Integer, nullable=False),
    sa.Column("token", sa.String(32)),
    # The numbers of written parts, rows and answers; None until the range is written.
    sa.Column("parts", sa.Integer),
    sa.Column("rows", sa.BigInteger),
    sa.Column("answers", sa.BigInteger),
)

# Batches without a dataset, whose rows come in blocks. `asked`: a digest of what is asked of the model.
open_batches = sa.Table(
    "open_batches",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("asked", sa.String(64), nullable=False),
)

# The first decision to stop a run; it is read in the transaction of every group of claims.
stops = sa.Table(
    "stops",
    metadata,
    sa.Column("batch", sa.String(100), primary_key=True),
    sa.Column("run", sa.String(32), primary_key=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)
