"""How large a message is of which only the beginning is stored, what an operator must look into, and letters by day."""

import sqlalchemy as sa
from alembic import op

from amends.ledger.columns import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("arrivals", sa.Column("left_size", sa.BigInteger(), nullable=True))
    op.create_table(
        "incidents",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mailbox", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("settled_because", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(
        "ix_letters_automatic",
        "letters",
        ["queued_at", "to_address"],
        sqlite_where=sa.text("automatic IS 1 AND staff IS 0"),
        postgresql_where=sa.text("automatic IS TRUE AND staff IS FALSE"),
    )
