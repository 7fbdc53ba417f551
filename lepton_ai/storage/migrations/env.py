"""Runs the migrations on the connection, and inside the transaction, that the caller opened."""

from alembic import context

from lepton_ai.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
