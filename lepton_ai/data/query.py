"""Query: a SELECT over pinned datasets, run by a DuckDB that sees nothing else."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import Any, TypeVar

import duckdb
import msgspec
import polars as pl
import psutil
import pyarrow as pa

from lepton_ai.core.errors import InvalidInput, LeptonError, Unavailable
from lepton_ai.data.sql_types import check_types, with_durations

__all__ = ["Name", "Query", "names_of"]

T = TypeVar("T")
Name = tuple[str, ...]

_CONFIG: dict[str, Any] = {
    # DuckDB would write what does not fit into memory beside the program, where anyone can read
    # it; what it calls encryption of these files is not safe without an extension.
    "temp_directory": "",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
# In UTC, an answer is the same on every machine.
_LOCKED = (
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
# What makes rows from a query's own values; anything else reaches out of the query.
_FUNCTIONS = frozenset(
    {"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
)
# Scalars that tell of the process instead of the rows, or answer another query.
_REFUSED = frozenset(
    {"current_setting", "getenv", "getvariable", "json_serialize_plan", "write_log"}
)
# Namespaces that DuckDB has itself.
_OWN = frozenset({"information_schema", "memory", "pg_catalog", "system", "temp"})
# How DuckDB calls what changes rows, inside WITH too.
_WRITING = "_QUERY_NODE"
_ROWS = 131_072


class Query:
    """One SELECT that can be run any number of times, on the same versions.

    Args:
        text: one statement, which `names_of` found to be fine.
        sources: what is read, by the name that the query calls it.
        timeout: seconds that DuckDB may work.
    """

    def __init__(
        self,
        text: str,
        parameters: Sequence[Any],
        sources: dict[Name, pl.LazyFrame],
        timeout: float,
    ) -> None:
        self.text = text
        self._parameters = list(parameters)
        self._sources = sources
        self._timeout = timeout

    def frames(self) -> Iterator[pl.DataFrame]:
        """Run it, and yield the rows in frames; the first has none, only the columns.

        Raises:
            InvalidInput: it has an error, or needs more memory than there is.
            AccessDenied: the principal may not read a column.
            Unavailable: it took longer than the timeout.
        """
        failures: list[LeptonError] = []
        half = psutil.virtual_memory().total // 2
        config = {**_CONFIG, "memory_limit": f"{half // 2**20}MiB"}
        with duckdb.connect(":memory:", config=config) as connection:
            watch = _Watch(connection, self._timeout, failures)
            reader = watch.run(partial(self._begin, connection, failures))
            names = _distinct(reader.schema.names)
            yield _frame(reader.schema.empty_table(), names)
            while (batch := watch.run(partial(next, reader, None))) is not None:
                yield _frame(pa.Table.from_batches([batch]), names)

    def _begin(self, connection: Any, failures: list[LeptonError]) -> pa.RecordBatchReader:
        for number, (name, plan) in enumerate(self._sources.items()):
            connection.register(f"lepton_source_{number}", _Streamed(plan, failures))
            _alias(connection, name, f"lepton_source_{number}")
        for statement in _LOCKED:
            connection.execute(statement)
        relation = connection.sql(self.text, params=self._parameters)
        check_types(relation.columns, relation.types)
        return relation.to_arrow_reader(_ROWS)


class _Streamed(pl.LazyFrame):
    """A lazy frame as DuckDB reads it, but batch by batch, where another is collected whole.

    DuckDB asks for a frame without rows, then filters, selects, collects and takes Arrow's form.
    """

    def __init__(self, plan: pl.LazyFrame, failures: list[LeptonError]) -> None:
        self._plan = plan
        self._failures = failures
        super().__init__()

    def head(self, n: int = 5) -> pl.LazyFrame:
        """Return the first rows, or with 0 the columns alone."""
        return pl.LazyFrame(schema=self._plan.collect_schema()) if n == 0 else self._plan.head(n)

    def filter(self, *predicates: Any, **constraints: Any) -> "_Streamed":
        """Return the rows that pass."""
        return _Streamed(self._plan.filter(*predicates, **constraints), self._failures)

    def select(self, *exprs: Any, **named: Any) -> "_Streamed":
        """Return some of the columns."""
        return _Streamed(self._plan.select(*exprs, **named), self._failures)

    def collect(self, **options: Any) -> Any:
        """Return what gives the rows as they are read."""
        return self

    def to_arrow(self) -> pa.RecordBatchReader:
        """Return a stream of the rows."""
        schema = pl.DataFrame(schema=self._plan.collect_schema()).to_arrow().schema
        return pa.RecordBatchReader.from_batches(schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for frame in self._plan.collect_batches(maintain_order=True):
                yield from frame.to_arrow().to_batches(_ROWS)
        except LeptonError as error:
            self._failures.append(error)
            raise


class _Watch:
    """Runs DuckDB's part of the work in a thread, so that the clock and Ctrl-C can end it.

    Args:
        failures: what went wrong in reading tables, which DuckDB would only quote.
    """

    def __init__(self, connection: Any, seconds: float, failures: list[LeptonError]) -> None:
        self._connection = connection
        self._seconds = self._left = seconds
        self._failures = failures

    def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns; DuckDB's errors leave it as the house's.

        Raises:
            Unavailable: the time is up.
        """
        outcome: Future[T] = Future()
        start = time.monotonic()
        thread = threading.Thread(target=_settle, args=(outcome, work), daemon=True)
        thread.start()
        try:
            return outcome.result(max(self._left, 0.0))
        except TimeoutError as error:
            self._stop(thread)
            raise Unavailable(f"the query took longer than {self._seconds:g} seconds") from error
        except Exception as error:
            raise next(iter(self._failures), meaning(error)) from error
        except BaseException:
            self._stop(thread)
            raise
        finally:
            self._left -= time.monotonic() - start

    def _stop(self, thread: threading.Thread) -> None:
        # What comes before the query begins cannot be interrupted, so it is said again.
        while thread.is_alive():
            self._connection.interrupt()
            thread.join(0.05)


def _settle(outcome: "Future[T]", work: Callable[[], T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:
        outcome.set_exception(error)


def meaning(error: Exception) -> LeptonError:
    """Return what an error of DuckDB means, in the house's words."""
    text = str(error).strip()
    if isinstance(error, LeptonError):
        return error
    if isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in text:
        return InvalidInput(
            "the query needs more memory than half of this machine's, and nothing is written to "
            f"the disk unencrypted; select fewer rows or columns, or group before a join: {text}"
        )
    return InvalidInput(text)


def names_of(text: str) -> list[Name]:
    """Return the datasets that a query names, once it is sure that it only reads.

    Raises:
        InvalidInput: it is not one SELECT, or calls what reaches out of the query.
    """
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        try:
            text.encode()  # DuckDB only says that a lone surrogate is no text
            kinds = [statement.type.name for statement in connection.extract_statements(text)]
            if kinds not in (["SELECT"], ["EXPLAIN"]):
                raise InvalidInput(
                    f"one SELECT is answered, got {' and '.join(kinds) or 'nothing'}; to keep the "
                    "rows, use sql(...).save(name), or lepton sql ... --save NAME"
                )
            bare = re.sub(r"^\s*explain(\s+analyze)?\s", "", text, flags=re.IGNORECASE)
            ((tree,),) = connection.execute("SELECT json_serialize_sql(?)", [bare]).fetchall()
        except (duckdb.Error, ValueError) as error:  # a statement that its binding has no name for
            raise meaning(error) from error
    found = set[Name]()
    try:
        parsed = msgspec.json.decode(tree)
        if parsed.get("error"):
            raise InvalidInput(f"only a plain SELECT is answered: {parsed.get('error_message')}")
        _walk(parsed, found, frozenset())
    except RecursionError as error:
        raise InvalidInput("the query is nested too deeply; name its parts by WITH") from error
    return sorted(found)


def _walk(node: Any, found: set[Name], made: frozenset[str]) -> None:
    """Gather the tables that a parsed query names, without those that it makes itself (WITH).

    Args:
        made: what the query makes itself, as far as it can be seen from here.
    """
    if isinstance(node, list):
        for part in node:
            _walk(part, found, made)
    elif isinstance(node, dict):
        _check(node)
        if node.get("type") == "RECURSIVE_CTE_NODE":
            made |= {node["cte_name"].lower()}
        for entry in (node.get("cte_map") or {}).get("map", []):
            _walk(entry["value"], found, made)
            made |= {entry["key"].lower()}
        if node.get("type") == "BASE_TABLE":
            parts = (node.get(f"{kind}_name") for kind in ("catalog", "schema", "table"))
            names = tuple(part for part in parts if part)
            if len(names) > 1 or names[0].lower() not in made:
                found.add(names)
        for key, part in node.items():
            if key != "cte_map":
                _walk(part, found, made)


def _check(node: dict[str, Any]) -> None:
    """Refuse what writes, what lists DuckDB's own tables, and what reaches out of the query."""
    kind = str(node.get("type"))
    if kind.endswith(_WRITING):
        raise InvalidInput(
            f"one SELECT is answered, and {kind.removesuffix(_WRITING)} is none, inside WITH "
            "neither; select the rows, and keep them by sql(...).save(name)"
        )
    if kind == "SHOW_REF" and node.get("query") is None:
        raise InvalidInput(
            "SHOW is not answered; `lepton data ls` lists the datasets, DESCRIBE NAME their columns"
        )
    if kind == "TABLE_FUNCTION":
        called = str(node["function"].get("function_name") or "").lower()
        _refuse(called, called not in _FUNCTIONS)
    function = str(node.get("function_name") or "").lower()
    _refuse(function, function in _REFUSED)


def _refuse(function: str, wrong: bool) -> None:
    if wrong:
        raise InvalidInput(
            f"{function}() is out of reach of a query, which reads datasets only; name a dataset "
            f"in its place, or one of {', '.join(sorted(_FUNCTIONS))}"
        )


def _alias(connection: Any, name: Name, source: str) -> None:
    if len(name) > 2 or (len(name) == 2 and name[0].lower() in _OWN):
        whole = ".".join(name)
        raise InvalidInput(
            f'DuckDB reads this name otherwise; write it in double quotes: "{whole}"'
        )
    quoted = ['"' + part.replace('"', '""') + '"' for part in name]
    if len(quoted) == 2:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted[0]}")
    # Quoted above; the connection holds nothing but what the query may read anyway.
    connection.execute(f"CREATE VIEW {'.'.join(quoted)} AS SELECT * FROM {source}")  # noqa: S608


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of columns of which none comes twice."""
    taken: dict[str, None] = {}
    for name in names:
        other = (f"{name}_{number}" for number in count(1))
        new = name
        while new in taken:
            new = next(other)
        taken[new] = None
    return [*taken]


def _frame(table: pa.Table, names: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(with_durations(table.rename_columns(names)))
    assert isinstance(frame, pl.DataFrame)
    # Each batch has categories of its own.
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
