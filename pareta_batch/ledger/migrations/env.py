"""Alembic's environment: revisions run on the connection, and in the transaction, of the caller."""

from alembic import context

from pareta_batch.ledger.run_tables import account_runs
from pareta_batch.ledger.schema import revisions

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=account_runs.metadata,
    version_table=revisions.name,
)
context.run_migrations()
