"""First tables: state, keys, objects, lineage, deployments and predictions."""

import sqlalchemy as sa
from alembic import op

from lepton_ai.storage.schema import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "state",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    op.create_table(
        "packs",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    op.create_table(
        "objects",
        sa.Column("address", sa.Text, primary_key=True),
        sa.Column("pack", sa.Text, sa.ForeignKey("packs.name"), nullable=False, index=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("sealed_size", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False, index=True),
        sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("touched_at", Moment, nullable=False),
    )
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("digest", sa.Text, index=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("kind", "name", "version"),
    )
    op.create_table(
        "edges",
        sa.Column("child_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
        sa.Column("parent_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True, index=True),
        sa.Column("role", sa.Text, primary_key=True),
    )
    op.create_table(
        "holdings",
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
        sa.Column(
            "address", sa.Text, sa.ForeignKey("objects.address"), primary_key=True, index=True
        ),
    )
    op.create_table(
        "aliases",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
    )
    op.create_table(
        "deployments",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("model_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("loaded", sa.JSON, nullable=False),
        sa.Column("started_at", Moment, nullable=False),
        sa.Column("heartbeat_at", Moment, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", Moment, nullable=False, index=True),
        sa.Column("deployment_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("model_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in (
        "predictions",
        "replicas",
        "deployments",
        "aliases",
        "holdings",
        "edges",
        "nodes",
        "objects",
        "packs",
        "secrets",
        "state",
    ):
        op.drop_table(table)
