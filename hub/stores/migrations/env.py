"""Alembic's entry: runs on the connection (and inside the transaction) that hub.stores.migrating hands over."""

from alembic import context

from hub.stores.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite's DDL is transactional too; alembic's default for it is not to rely on that
)
context.run_migrations()
