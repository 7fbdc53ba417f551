"""The Iceberg catalog of a workspace: PyIceberg's SQL catalog on the workspace's own database.

Inside a transaction it works on that transaction's connection, so an Iceberg commit and the
lineage of the version it makes are one database commit. The rows are those that PyIceberg's own
SQL catalog writes, so any Iceberg client can use the database as its catalog.
"""

from contextlib import suppress
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io import FileIO
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table.metadata import TableMetadata, new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.typedef import EMPTY_DICT, Properties

from lepton_ai.core.errors import Conflict, InvalidInput, NotFound
from lepton_ai.core.ids import new_id
from lepton_ai.data.tables.fileio import SCHEME, ObjectIO
from lepton_ai.data.tables.plain import PlainIO, location_of
from lepton_ai.storage import Transaction, Workspace
from lepton_ai.storage.schema import iceberg_namespace_properties, iceberg_tables

__all__ = ["CATALOG", "WorkspaceCatalog", "identifier"]

CATALOG = "lepton"

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(256 * 2**20),
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    # Each commit writes the metadata anew; a few old ones are enough.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "3",
}


def identifier(name: str) -> tuple[str, str]:
    """Return namespace and table of a dataset's name: ``hospital.patients`` lies in hospital.

    What follows a ``#`` names a branch of the table.

    Raises:
        InvalidInput: no table can have this name.
    """
    words = name.partition("#")[0].split(".")
    if not all(words) or (len(words) == 2 and words[0] == "default"):
        # What lies in no namespace lies in this one inside.
        raise InvalidInput(
            f"{name!r} cannot be the name of a table: between dots stand words, of which the "
            "first is not 'default'; choose one such as hospital.patients"
        )
    namespace, dot, table = name.partition("#")[0].rpartition(".")
    return (
        (namespace, table) if dot and namespace and table else ("default", name.partition("#")[0])
    )


class WorkspaceCatalog(SqlCatalog):
    """The Iceberg tables of one workspace.

    Args:
        transaction: reads and writes join it from the moment it holds the write lock.
    """

    def __init__(self, workspace: Workspace, transaction: Transaction | None = None) -> None:
        Catalog.__init__(self, CATALOG)
        self._schema_version = "v1"
        self._workspace = workspace
        self._transaction = transaction
        self.objects = ObjectIO(workspace=workspace, transaction=transaction)
        self.plain = PlainIO(workspace.home)

    @property
    def engine(self) -> Any:  # type: ignore[override]
        """What SQLAlchemy sessions bind to: the transaction's connection, else the engine."""
        if self._transaction is not None and self._transaction.locked:
            return self._transaction.connection
        return self._workspace.database.engine

    def find(self, name: str) -> IcebergTable | None:
        """Return the table of a dataset, as it is now; None where there is none."""
        with suppress(NoSuchTableError):
            return self.load_table(identifier(name))
        return None

    def get(self, name: str) -> IcebergTable:
        """Return the table of a dataset, as it is now.

        Raises:
            NotFound: there is none.
        """
        found = self.find(name)
        if found is None:
            raise NotFound(f"there is no table {name!r}; `lepton data ls` lists what there is")
        return found

    def draft(self, name: str, schema: Schema, *, encrypted: bool) -> TableMetadata:
        """Return the metadata of a table that is still to be inserted; nothing is written.

        Raises:
            InvalidInput: no table can have this name.
        """
        namespace, table = identifier(name)
        if "#" in name:
            raise InvalidInput(f"{name!r} names a branch; open the table and branch it")
        table_id = new_id("table")
        location = f"{SCHEME}{table_id}"
        if not encrypted:
            location = location_of(self._workspace.home, namespace, f"{table}-{table_id[6:]}")
        return new_table_metadata(
            schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, location, {**_PROPERTIES}
        )

    def insert(self, name: str, metadata: TableMetadata) -> IcebergTable:
        """Write a draft's metadata and its row, in the transaction.

        Raises:
            Conflict: another process made a table of this name meanwhile.
        """
        assert self._transaction is not None
        namespace, table = identifier(name)
        path = f"{metadata.location}/metadata/00000-{metadata.table_uuid}.metadata.json"
        row = self._create_table_row(namespace, table, path)
        inserted = self._transaction.execute(
            self._workspace.database.insert(iceberg_tables).values(**row).on_conflict_do_nothing()
        )
        if not inserted.rowcount:
            raise Conflict(f"another process made the table {name!r} meanwhile; try again")
        self._write_metadata(metadata, self.io(path), path)
        self._transaction.execute(
            self._workspace.database.insert(iceberg_namespace_properties)
            .values(
                catalog_name=CATALOG,
                namespace=namespace,
                property_key="exists",
                property_value="true",
            )
            .on_conflict_do_nothing()
        )
        return self.load_table((namespace, table))

    def keep_written(self) -> None:
        """Let the transaction, once it is durable, find all files that were written in it."""
        self.objects.keep_written()
        self.plain.sync()

    def io(self, location: str) -> FileIO:
        """Return what reads and writes the files of a table that lies somewhere."""
        return self._load_file_io(location=location)

    def _load_file_io(
        self, properties: Properties = EMPTY_DICT, location: str | None = None
    ) -> FileIO:
        if location is None or location.startswith(SCHEME):
            return self.objects
        return self.plain

    def _convert_orm_to_iceberg(self, orm_table: Any) -> IcebergTable:
        where = orm_table.metadata_location
        io = self._load_file_io(location=where)
        return IcebergTable(
            identifier=(
                *Catalog.identifier_to_tuple(orm_table.table_namespace),
                orm_table.table_name,
            ),
            metadata=FromInputFile.table_metadata(io.new_input(where)),
            metadata_location=where,
            io=io,
            catalog=self,
        )
