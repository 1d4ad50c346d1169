"""How often the date of a deadline was moved."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deadlines", sa.Column("moved", sa.Integer(), nullable=False, server_default="0"))
