"""Alembic's entry: migrates over the connection, and inside the transaction, that `schema.migrate` hands in."""

from alembic import context
from sqlmodel import SQLModel

from amends.ledger import tables  # noqa: F401  (registers the tables)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
)
context.run_migrations()
