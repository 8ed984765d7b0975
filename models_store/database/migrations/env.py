"""Alembic's entry: migrations run on the connection that the caller opened and locked."""

from alembic import context

from models_store.database.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
