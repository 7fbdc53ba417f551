"""Query: a SELECT over pinned datasets, run by a DuckDB that sees nothing else."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial
from itertools import count
from typing import Any, TypeVar

import duckdb
import polars as pl
import psutil
import pyarrow as pa

from lepton_ai.core.background import start
from lepton_ai.core.errors import InvalidInput, LeptonError, Unavailable
from lepton_ai.data.sql_types import check_types, with_durations
from lepton_ai.data.statement import CONFIG, Name, meaning

__all__ = ["Query"]

T = TypeVar("T")

# In UTC, an answer is the same on every machine.
_LOCKED = (
    "SET TimeZone = 'UTC'",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
# Namespaces that DuckDB has itself.
_OWN = frozenset({"information_schema", "memory", "pg_catalog", "system", "temp"})
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
        config = {**CONFIG, "memory_limit": f"{half // 2**20}MiB"}
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
        begun = time.monotonic()
        outcome = start(work)
        try:
            return outcome.result(max(self._left, 0.0))
        except TimeoutError as error:
            self._stop(outcome)
            raise Unavailable(f"the query took longer than {self._seconds:g} seconds") from error
        except Exception as error:
            raise next(iter(self._failures), meaning(error)) from error
        except BaseException:
            self._stop(outcome)
            raise
        finally:
            self._left -= time.monotonic() - begun

    def _stop(self, outcome: "Future[Any]") -> None:
        # What comes before the query begins cannot be interrupted, so it is said again.
        while not outcome.done():
            self._connection.interrupt()
            wait([outcome], 0.05)


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
