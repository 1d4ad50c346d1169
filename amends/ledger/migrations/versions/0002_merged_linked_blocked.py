"""Cases that were merged or linked, addresses that get no automatic letters, and what the breaker counts."""

import sqlalchemy as sa
from alembic import op

from amends.ledger.columns import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("merged_into", sa.BigInteger(), nullable=True))
    merged = sa.text("merged_into IS NOT NULL")
    op.create_index("ix_cases_merged", "cases", ["merged_into"], sqlite_where=merged, postgresql_where=merged)
    op.add_column("letters", sa.Column("again", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        "ix_letters_again",
        "letters",
        ["queued_at"],
        sqlite_where=sa.text("again IS 1"),
        postgresql_where=sa.text("again IS TRUE"),
    )
    op.create_table(
        "links",
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("other_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"]),
        sa.ForeignKeyConstraint(["other_id"], ["cases.id"]),
        sa.PrimaryKeyConstraint("case_id", "other_id"),
    )
    op.create_index("ix_links_other", "links", ["other_id"])
    op.create_table(
        "blocked",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"]),
        sa.PrimaryKeyConstraint("address"),
    )
