"""The times in which the clock of a deadline stood still, and whether that of the next one does."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deadlines", sa.Column("pauses", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("cases", sa.Column("next_paused", sa.Boolean(), nullable=False, server_default=sa.false()))
