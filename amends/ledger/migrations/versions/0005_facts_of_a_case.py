"""What is known of a case and has happened to it, as its policy packs ask."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("facts", "happened"):
        op.add_column("cases", sa.Column(name, sa.JSON(), nullable=False, server_default="{}"))
