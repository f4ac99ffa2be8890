"""How alembic reaches the database: over the connection that `bring_up_to_date` holds. Edge."""

from alembic import context

from signalling.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
