"""What storing many small files does not need: an index of master keys, and row ids of holdings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.drop_index("ix_objects_key_id", "objects")
    _rebuild(sqlite_with_rowid=False)


def downgrade() -> None:
    op.create_index("ix_objects_key_id", "objects", ["key_id"])
    _rebuild(sqlite_with_rowid=True)


def _rebuild(*, sqlite_with_rowid: bool) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("ix_holdings_address", "holdings")
    op.rename_table("holdings", "holdings_before")
    op.create_table(
        "holdings",
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
        sa.Column(
            "address", sa.Text, sa.ForeignKey("objects.address"), primary_key=True, index=True
        ),
        sqlite_with_rowid=sqlite_with_rowid,
    )
    op.execute("INSERT INTO holdings SELECT node_id, address FROM holdings_before")
    op.drop_table("holdings_before")
