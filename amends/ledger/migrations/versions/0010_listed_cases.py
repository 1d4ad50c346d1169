"""The queue in its own order, however many cases are open."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_cases_listed",
        "cases",
        [
            sa.text("undelivered DESC"),
            sa.text("(next_due_at IS NULL)"),
            *("next_due_at", "id", "is_open", "unread", "handler", "waiting", "vulnerable"),
        ],
        sqlite_where=sa.text("is_open IS 1 OR unread > 0 OR undelivered IS 1"),
        postgresql_where=sa.text("is_open IS TRUE OR unread > 0 OR undelivered IS TRUE"),
    )
