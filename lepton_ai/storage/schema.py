"""The tables of the metadata database, as SQLAlchemy Core.

A change here needs a migration beside it, in :mod:`lepton_ai.storage.migrations`; a test
compares the two. What could name a person (facts, predictions, keys) is sealed.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

__all__ = [
    "REVISION",
    "Moment",
    "aliases",
    "deployments",
    "edges",
    "holdings",
    "metadata",
    "nodes",
    "objects",
    "packs",
    "predictions",
    "replicas",
    "secrets",
    "state",
]

# The newest migration. Kept as a constant, so that opening a workspace needs no Alembic.
REVISION = "0001"


class Moment(sa.TypeDecorator[datetime]):
    """A point in time: aware, in UTC, to the microsecond, in every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time into UTC; SQLite keeps no zone."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

state = sa.Table(
    "state",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

packs = sa.Table(
    "packs",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("pack", sa.Text, sa.ForeignKey("packs.name"), nullable=False, index=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("sealed_size", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False, index=True),
    sa.Column("wrapped_key", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    # When a writer last relied on the object: collection leaves young ones alone.
    sa.Column("touched_at", Moment, nullable=False),
)

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("digest", sa.Text, index=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("facts", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("kind", "name", "version"),
)

edges = sa.Table(
    "edges",
    metadata,
    sa.Column("child_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
    sa.Column("parent_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True, index=True),
    sa.Column("role", sa.Text, primary_key=True),
)

holdings = sa.Table(
    "holdings",
    metadata,
    sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), primary_key=True),
    sa.Column("address", sa.Text, sa.ForeignKey("objects.address"), primary_key=True, index=True),
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("node_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
    sa.Column("model_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("loaded", sa.JSON, nullable=False),
    sa.Column("started_at", Moment, nullable=False),
    sa.Column("heartbeat_at", Moment, nullable=False),
)

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.Column("deployment_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
    sa.Column("model_id", sa.Text, sa.ForeignKey("nodes.id"), nullable=False, index=True),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
