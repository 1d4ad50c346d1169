"""The store's own ledger, for what concerns no single case."""

import sqlalchemy as sa
from alembic import op

from amends.ledger.columns import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "store_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("seq", sa.Integer(), nullable=False, unique=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER store_events_no_{change.lower()} BEFORE {change} ON store_events "
                "BEGIN SELECT RAISE(ABORT, 'the ledger only grows: events are never changed or removed'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER store_events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON store_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_only_grow()"
    )
