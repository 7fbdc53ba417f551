"""The tables of the metadata database, as SQLAlchemy Core.

A change here needs a migration beside it, in :mod:`lepton_ai.storage.migrations`; a test
compares the two. What could name a person (facts, predictions, keys) is sealed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from lepton_ai.core.errors import Corrupt

__all__ = [
    "REVISION",
    "Moment",
    "aliases",
    "backups",
    "budgets",
    "deployments",
    "edges",
    "entries",
    "files",
    "grants",
    "holdings",
    "iceberg_namespace_properties",
    "iceberg_tables",
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
REVISION = "0003"


class Moment(sa.TypeDecorator[datetime]):
    """A point in time: aware, in UTC, to the microsecond, in every database.

    SQLite has no type for it; there it is text such as ``2026-11-23 14:36:08.000000``, made
    here because the dialect's own conversion costs as much as hashing a small file.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any] | None:
        """Convert what goes into the database."""
        return _to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None] | None:
        """Convert what comes out of the database."""
        return _from_text if dialect.name == "sqlite" else _to_utc


def _to_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


def _to_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _from_text(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError as error:
        raise Corrupt(
            f"the metadata database holds {value!r} where a time belongs: it was altered; "
            "restore it from a backup"
        ) from error


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
    sa.Column("key_id", sa.Text, nullable=False),
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
    # Sealed by `KeyRing.seal`, bound to all other columns.
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
    # The key is all there is: with row ids, SQLite would keep each pair once more.
    sqlite_with_rowid=False,
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
    # Sealed by `KeyRing.seal`, bound to the id.
    sa.Column("body", sa.LargeBinary, nullable=False),
)

# The files of Iceberg tables: a location inside a table's warehouse, and the object it is kept as.
files = sa.Table(
    "files",
    metadata,
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("address", sa.Text, sa.ForeignKey("objects.address"), nullable=False, index=True),
    sa.Column("created_at", Moment, nullable=False),
)

# As PyIceberg's SQL catalog has them, so that any Iceberg client can use the database as one.
iceberg_tables = sa.Table(
    "iceberg_tables",
    metadata,
    sa.Column("catalog_name", sa.String(255), primary_key=True),
    sa.Column("table_namespace", sa.String(255), primary_key=True),
    sa.Column("table_name", sa.String(255), primary_key=True),
    sa.Column("metadata_location", sa.String(1000)),
    sa.Column("previous_metadata_location", sa.String(1000)),
    sa.Column("iceberg_type", sa.String(5)),
)

iceberg_namespace_properties = sa.Table(
    "iceberg_namespace_properties",
    metadata,
    sa.Column("catalog_name", sa.String(255), primary_key=True),
    sa.Column("namespace", sa.String(255), primary_key=True),
    sa.Column("property_key", sa.String(255), primary_key=True),
    sa.Column("property_value", sa.String(1000), nullable=False),
)

# What people say of a dataset: owner, description, tags, rules; of all its versions at once.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # Sealed by `KeyRing.seal`, bound to the name.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)

# Which principal sees columns of which tag; the scope is a dataset's name, or * for all.
grants = sa.Table(
    "grants",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    # Sealed by `KeyRing.seal`, bound to the other columns.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

# What differentially private answers have cost; rows are only ever added.
budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, nullable=False, index=True),
    # Sealed by `KeyRing.seal`, bound to the other columns.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

# Where this workspace was backed up to, so that an erasure reaches every copy.
backups = sa.Table(
    "backups",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, nullable=False, index=True),
    # Sealed by `KeyRing.seal`, bound to the id.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)
