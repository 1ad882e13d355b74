"""Alembic's environment: revisions run on the connection, and in the transaction, of the caller."""

from alembic import context

from pareta_batch.ledger.schema import metadata, revisions

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=revisions.name
)
context.run_migrations()
