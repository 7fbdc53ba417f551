"""sql: one SELECT over the workspace's datasets, by DuckDB, which sees nothing else."""

import re
import threading
from collections.abc import Sequence
from typing import Any

import duckdb
import msgspec
import polars as pl
from msgspec import to_builtins

from lepton_ai.core.errors import InvalidInput, LeptonError, NotFound, Unavailable
from lepton_ai.data import tables
from lepton_ai.data.access import IMAGE_COLUMNS
from lepton_ai.data.catalog import datasets, open_dataset
from lepton_ai.data.images.image import ImageEntry
from lepton_ai.data.table import Table
from lepton_ai.storage import Workspace

__all__ = ["Answer", "sql"]

_CONFIG: dict[str, Any] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "memory_limit": "4GB",
}


class Answer:
    """The rows of a query, and what they were read from.

    Attributes:
        query: the SQL.
        rows: as a Polars frame.
        sources: the datasets that were read, by reference.
    """

    def __init__(
        self, workspace: Workspace, query: str, rows: pl.DataFrame, sources: Sequence[Any]
    ) -> None:
        self._workspace = workspace
        self._sources = sources
        self.query = query
        self.rows = rows
        self.sources = [source.ref for source in sources]

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a Polars frame."""
        return self.rows

    def to_pandas(self) -> Any:
        """Return the rows as a pandas frame."""
        return self.rows.to_pandas()

    def save(self, name: str) -> Table:
        """Store the rows as a dataset whose lineage names what they were read from."""
        parents = [(source.record().id, "data") for source in self._sources]
        node = tables.store_table(
            self._workspace, name, [self.rows], parents=parents, operation="sql",
            facts={"query": self.query},
        )  # fmt: skip
        return Table(self._workspace, node)

    def __len__(self) -> int:
        return self.rows.height

    def __repr__(self) -> str:
        return repr(self.rows)

    def _repr_html_(self) -> str:
        return str(self.rows._repr_html_())


def sql(
    query: str,
    parameters: Sequence[Any] = (),
    *,
    workspace: Workspace | None = None,
    timeout: float = 600.0,
) -> Answer:
    """Answer one SELECT over the datasets of the workspace.

    A dataset is named as anywhere else: ``german_credit``, ``hospital.patients``, and, between
    double quotes, ``"patients:3"``, ``"patients@gold"`` or ``"patients#cleaning"``. Only the
    columns and files that the query needs are read. Image and document sets are tables of what is
    known of each item.

    Args:
        query: in DuckDB's SQL; ``?`` stands for a parameter.
        parameters: one for each ``?``.
        timeout: seconds.

    Raises:
        InvalidInput: it is no SELECT, or has an error; the message shows where.
        NotFound: there is no such dataset.
        AccessDenied: the principal may not read a column.
        Unavailable: it took longer than ``timeout``.
    """
    place = workspace or Workspace.open()
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        names = _names(connection, query)
        sources = []
        for name in names:
            source, lazy = _open(place, name)
            sources.append(source)
            connection.register(f"_{len(sources)}", lazy)
            _alias(connection, name, f"_{len(sources)}")
        connection.execute("SET lock_configuration = true")
        watch = threading.Timer(timeout, connection.interrupt)
        watch.start()
        try:
            rows = pl.DataFrame(connection.sql(query, params=list(parameters)).pl())
        except duckdb.InterruptException as error:
            raise Unavailable(f"the query took longer than {timeout:g} seconds") from error
        except (duckdb.Error, RuntimeError) as error:
            raise _meaning(error) from error
        finally:
            watch.cancel()
    return Answer(place, query, rows, sources)


def _names(connection: Any, query: str) -> list[tuple[str, ...]]:
    """Return the datasets that a query names, once it is sure that it only reads."""
    try:
        kinds = [statement.type.name for statement in connection.extract_statements(query)]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            raise InvalidInput(
                f"one SELECT is answered, got {' and '.join(kinds) or 'nothing'}; to keep the "
                "rows, use sql(...).save(name), or lepton sql ... --save NAME"
            )
        selects = [s.query for s in connection.extract_statements(query)]
        bare = re.sub(r"^\s*explain(\s+analyze)?\s", "", selects[0], flags=re.IGNORECASE)
        ((tree,),) = connection.execute("SELECT json_serialize_sql(?)", [bare]).fetchall()
    except duckdb.Error as error:
        raise _meaning(error) from error
    tables_, temporary = set[tuple[str, ...]](), set[str]()
    _walk(msgspec.json.decode(tree), tables_, temporary)
    return sorted(names for names in tables_ if not (len(names) == 1 and names[0] in temporary))


def _walk(node: Any, found: set[tuple[str, ...]], temporary: set[str]) -> None:
    """Gather the tables that a parsed query names, and those that it makes itself (WITH)."""
    if isinstance(node, list):
        for part in node:
            _walk(part, found, temporary)
    elif isinstance(node, dict):
        if node.get("type") == "BASE_TABLE":
            names = (node.get(f"{kind}_name") for kind in ("catalog", "schema", "table"))
            found.add(tuple(name for name in names if name))
        for entry in (node.get("cte_map") or {}).get("map", []):
            temporary.add(entry["key"])
        for part in node.values():
            _walk(part, found, temporary)


def _open(place: Workspace, name: tuple[str, ...]) -> tuple[Any, pl.LazyFrame]:
    whole = ".".join(name)
    try:
        source = open_dataset(whole, place)
    except NotFound as error:
        known = sorted({info.name for info in datasets(place)})
        raise NotFound(
            f"there is no dataset {whole!r} to select from; there are "
            f"{', '.join(known[:20]) or 'none yet'}"
        ) from error
    if isinstance(source, Table):
        return source, source.scan()
    flat = [_record(entry) for entry in source.entries]
    frame = pl.DataFrame(flat, infer_schema_length=None)
    # Fingerprints are whole numbers of 128 bits, which Arrow does not know.
    return source, frame.with_columns(pl.col(pl.Int128).cast(pl.String)).lazy()


def _record(entry: ImageEntry) -> dict[str, Any]:
    """Return what is known of an image, a value for each of the columns that may be tagged."""
    whole = {**msgspec.structs.asdict(entry), **msgspec.structs.asdict(entry.meta)}
    return {name: _flat(to_builtins(whole[name])) for name in IMAGE_COLUMNS}


def _flat(value: Any) -> Any:
    return str(value) if isinstance(value, dict | list | tuple) else value


def _alias(connection: Any, name: tuple[str, ...], view: str) -> None:
    if len(name) > 2:
        whole = ".".join(name)
        raise InvalidInput(f'write a name with several dots between double quotes: "{whole}"')
    quoted = ['"' + part.replace('"', '""') + '"' for part in name]
    if len(quoted) == 2:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted[0]}")
    # Quoted above; the connection holds nothing but what the query may read anyway.
    connection.execute(f"CREATE VIEW {'.'.join(quoted)} AS SELECT * FROM {view}")  # noqa: S608


def _meaning(error: Exception) -> LeptonError:
    """Return the error that a reading raised, or say what DuckDB says."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LeptonError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return InvalidInput(str(error).strip())
