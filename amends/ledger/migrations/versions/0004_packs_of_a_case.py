"""Which pack each deadline is of, and which packs beside the main one apply to a case."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OLD = "deadlines_case_id_kind_occurrence_key"  # as PostgreSQL names it; SQLite leaves it without a name
_NAMES = {"uq": "%(table_name)s_%(column_0_N_name)s_key"}


def upgrade() -> None:
    op.add_column("cases", sa.Column("packs", sa.JSON(), nullable=False, server_default="[]"))
    tick = sa.text("tick_at IS NOT NULL")
    op.drop_index("ix_deadlines_tick", "deadlines")
    with op.batch_alter_table("deadlines", naming_convention=_NAMES) as table:
        for name in ("pack", "pack_version", "stage"):
            table.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        table.drop_constraint(_OLD, type_="unique")
        table.create_unique_constraint(
            "deadlines_case_id_pack_kind_occurrence_key", ["case_id", "pack", "kind", "occurrence"]
        )
    op.create_index("ix_deadlines_tick", "deadlines", ["tick_at"], sqlite_where=tick, postgresql_where=tick)
    op.execute(
        "UPDATE deadlines SET pack = (SELECT pack FROM cases WHERE cases.id = deadlines.case_id), "
        "pack_version = (SELECT pack_version FROM cases WHERE cases.id = deadlines.case_id)"
    )
