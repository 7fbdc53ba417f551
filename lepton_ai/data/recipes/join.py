"""Joins: columns of another dataset, by equal keys or by the time before."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Literal, Self

import msgspec
import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like, on_spark, quoted, without_nan
from lepton_ai.data.recipes.spans import seconds
from lepton_ai.data.recipes.step import Frame, Step, present, statistics

__all__ = ["AsOf", "Join", "Looked", "joining_in", "reference"]

_WORKSPACE: ContextVar[Any] = ContextVar("workspace", default=None)
_MOST = 8 << 20  # bytes of another dataset that a model may carry with it


class Looked(Step, frozen=True, kw_only=True):
    """What both joins have: another dataset, its columns, and the version that was found.

    Attributes:
        table: the dataset, such as ``labs`` or ``hospital.labs:3``; fitting settles the version.
        columns: those wanted of it; all but the keys unless named.
        prefix: put in front of their names.
        pinned: the version that was found, learned.
        rows_kept: its rows, as Parquet, where the recipe serves a model.
    """

    learns: ClassVar[bool] = True
    table: str
    columns: tuple[str, ...] = ()
    prefix: str = ""
    pinned: str = ""
    rows_kept: bytes = b""

    def keys(self) -> tuple[str, ...]:
        """Return the columns of the other dataset that are compared."""
        raise NotImplementedError

    def fit(self, frame: Frame) -> Self:
        """Settle which version is joined, and which columns of it."""
        present(frame, self.keys(), f"{type(self).__name__}({self.table!r})")
        other = _opened(self.table)
        names = list(self.columns) or [n for n in other.columns if n not in self.keys()]
        unknown = [name for name in (*self.keys(), *names) if name not in other.columns]
        if unknown:
            raise InvalidInput(f"{other.ref} has no columns {unknown}; it has {other.columns}")
        there = set(frame.collect_schema().names())
        twice = [self.prefix + name for name in names if self.prefix + name in there]
        if twice:
            raise InvalidInput(
                f"the rows have columns {twice} already; name those wanted of {self.table} by "
                "columns=, or give prefix="
            )
        return msgspec.structs.replace(self, pinned=other.ref, columns=tuple(names))

    def other(self, frame: Frame) -> Frame:
        """Return the rows of the other dataset, on the engine of these."""
        import polars as pl

        names = [*dict.fromkeys([*self.keys(), *self.columns])]
        if self.rows_kept:
            lazy = pl.read_parquet(self.rows_kept).lazy()
        else:
            lazy = _opened(self.pinned or self.table).scan(names)
        named = {name: self.prefix + name for name in self.columns if self.prefix}
        right = without_nan(nw.from_native(self.settled(lazy.select(names).rename(named))))
        if frame.implementation.is_polars():
            return right
        return like(frame, right.collect("polars").to_native())

    def settled(self, rows: Any) -> Any:
        """Return the rows of the other dataset as the join needs them; a lazy frame of Polars."""
        return rows

    def carried(self) -> Self:
        """Return the step with the rows of the other dataset in it, as a model needs it."""
        import io

        names = [*dict.fromkeys([*self.keys(), *self.columns])]
        data = io.BytesIO()
        _opened(self.pinned).to_polars(names).write_parquet(data, compression="zstd")
        if data.tell() > _MOST:
            raise InvalidInput(
                f"{self.pinned} has {data.tell() >> 20} MB, more than the {_MOST >> 20} MB that a "
                "model carries with it; join first, recipe.run(table, name=...), and train on that"
            )
        return msgspec.structs.replace(self, rows_kept=data.getvalue())

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return set(self.keys())


class Join(Looked, frozen=True, kw_only=True, tag="join"):
    """Add columns of another dataset where keys are equal.

    Attributes:
        on: the columns, of the same name on both sides; a key occurs once in the other dataset.
        how: ``left`` keeps rows that have no match, ``inner`` drops them.
    """

    on: tuple[str, ...]
    how: Literal["left", "inner"] = "left"

    @property
    def rows(self) -> bool:  # type: ignore[override]
        """Whether rows are dropped."""
        return self.how == "inner"

    def keys(self) -> tuple[str, ...]:
        """Return the columns that are compared."""
        return self.on

    def fit(self, frame: Frame) -> Self:
        """Settle the version, once it is sure that no key occurs twice."""
        done = super().fit(frame)
        right: Frame = nw.from_native(_opened(done.pinned).scan(list(self.on)))
        found = statistics(right, {"rows": nw.len()})["rows"]
        if statistics(right.unique(), {"rows": nw.len()})["rows"] < found:
            raise InvalidInput(
                f"{done.pinned} has {', '.join(self.on)} more than once, which would multiply "
                "rows; aggregate it first, or take the last before a time with AsOf"
            )
        return done

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the other dataset's columns."""
        present(frame, self.on, "Join")
        other = self.other(frame)
        if not frame.implementation.is_polars():
            return frame.join(other, on=list(self.on), how=self.how)
        left: Any = frame.to_native()
        right: Any = other.to_native()
        joined = left.join(right, on=list(self.on), how=self.how, maintain_order="left")
        done: Frame = nw.from_native(joined)
        return done

    def explain(self) -> str:
        """Return a sentence on the step and what it found."""
        columns = ", ".join(self.prefix + name for name in self.columns) or "columns"
        return f"{columns} of {self.pinned or self.table} by {', '.join(self.on)} ({self.how})"


class AsOf(Looked, frozen=True, kw_only=True, tag="as_of"):
    """Add columns of another dataset's last row before, or at, a row's time.

    Rows without a time stay, with nothing added. Of several rows of the other dataset at one
    time, it is the one stored last.

    Attributes:
        on: a column of times, of the same name on both sides.
        by: columns that must be equal besides.
        within: how long before at most, such as ``7d``.
    """

    on: str
    by: tuple[str, ...] = ()
    within: str = ""

    def keys(self) -> tuple[str, ...]:
        """Return the columns that are compared."""
        return (self.on, *self.by)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the other dataset's columns."""
        present(frame, self.keys(), "AsOf")
        names: Sequence[str] = frame.collect_schema().names()
        if frame.implementation.is_polars():
            # Their order is kept: an answer belongs to its record.
            native: Any = frame.to_native()
            frame = nw.from_native(native.with_row_index("_lepton_place"))
            return (
                self._apply(frame, ["_lepton_place", *names])
                .sort("_lepton_place")
                .drop("_lepton_place")
            )
        return self._apply(frame, names)

    def _apply(self, frame: Frame, names: Sequence[str]) -> Frame:
        added = [self.prefix + name for name in self.columns]
        timed, rest = (
            frame.filter(~nw.col(self.on).is_null()),
            frame.filter(nw.col(self.on).is_null()),
        )
        joined = self._joined(timed, added)
        if self.within:
            when, now = nw.col("_lepton_when"), nw.col(self.on)
            if joined.collect_schema()[self.on] == nw.Date:
                when, now = when.cast(nw.Datetime("us")), now.cast(nw.Datetime("us"))
            near = when.dt.offset_by(f"{seconds(self.within)}s") >= now
            joined = joined.with_columns(nw.when(near).then(nw.col(n)).alias(n) for n in added)
        joined = joined.select(*names, *added)
        schema: Any = joined.collect_schema()
        empty = rest.with_columns(nw.lit(None, dtype=schema[name]).alias(name) for name in added)
        return nw.concat([joined, empty.select(*names, *added)])

    def settled(self, rows: Any) -> Any:
        """Return one row of the other dataset for each time, numbered."""
        import polars as pl

        keys = [*self.keys()]
        single = rows.drop_nulls(keys).unique(keys, keep="last", maintain_order=True)
        return single.with_columns(pl.col(self.on).alias("_lepton_when")).with_row_index(
            "_lepton_found"
        )

    def _joined(self, frame: Frame, added: Sequence[str]) -> Frame:
        right = self.other(frame)
        if on_spark(frame):
            return self._by_filling(frame, right)
        if not frame.implementation.is_duckdb():
            right = right.drop("_lepton_found").sort(self.on)
            return frame.sort(self.on).join_asof(right, on=self.on, by=list(self.by) or None)
        # On the connection that the rows are on; names are quoted, the rest is ours.
        other: Any = right.to_native()
        assert other is not None
        same = [f"l.{quoted(name)} = r.{quoted(name)}" for name in self.by]
        on = " AND ".join([*same, f"l.{quoted(self.on)} >= r.{quoted(self.on)}"])
        wanted = "".join(f", r.{quoted(name)}" for name in added)
        native: Any = frame.to_native()
        query = (
            f"SELECT l.*, r.{quoted(self.on)} AS _lepton_when{wanted} "  # noqa: S608
            f"FROM _left l ASOF LEFT JOIN other r ON {on}"
        )
        done: Frame = nw.from_native(native.query("_left", query))
        return done

    def _by_filling(self, frame: Frame, right: Frame) -> Frame:
        """Put the rows of both sides in order, and carry the number of the last one found on."""
        names, keys = frame.collect_schema().names(), [*self.keys()]
        late = frame.with_columns(
            nw.lit(None, dtype=nw.Int64).alias("_lepton_found"), nw.lit(1).alias("_lepton_late")
        )
        schema = late.collect_schema()
        gaps = (nw.lit(None, dtype=schema[n]).alias(n) for n in names if n not in keys)
        early = right.select(*keys, "_lepton_found").with_columns(
            *gaps, nw.lit(0).alias("_lepton_late")
        )
        every = [*names, "_lepton_found", "_lepton_late"]
        both = nw.concat([late.select(*every), early.select(*every)])
        order = [self.on, "_lepton_late"]
        last = nw.col("_lepton_found").fill_null(strategy="forward").over(*self.by, order_by=order)
        found = both.with_columns(last).filter(nw.col("_lepton_late") == 1)
        return found.drop("_lepton_late").join(right.drop(keys), on="_lepton_found", how="left")

    def explain(self) -> str:
        """Return a sentence on the step and what it found."""
        columns = ", ".join(self.prefix + name for name in self.columns) or "columns"
        by = f" by {', '.join(self.by)}" if self.by else ""
        within = f", at most {self.within} before" if self.within else ""
        return f"last {columns} of {self.pinned or self.table} at {self.on}{by}{within}"


@contextmanager
def joining_in(workspace: Any) -> Iterator[None]:
    """Look datasets up in this workspace; None: where it was looked before."""
    token = _WORKSPACE.set(workspace or _WORKSPACE.get())
    try:
        yield
    finally:
        _WORKSPACE.reset(token)


def reference(table: str, column: str, most: int) -> tuple[str, tuple[Any, ...]]:
    """Return the version of a dataset that was found, and the values that a column of it lists.

    Raises:
        InvalidInput: there is no such column, or it lists none or more than so many values.
    """
    other = _opened(table)
    if column not in other.columns:
        raise InvalidInput(f"{other.ref} has no column {column!r}; it has {other.columns}")
    values = other.to_polars([column])[column].drop_nulls().unique().sort().to_list()
    if not 0 < len(values) <= most:
        raise InvalidInput(
            f"{column!r} of {other.ref} lists {len(values):,} values; a reference has 1 to {most:,}"
        )
    return other.ref, tuple(values)


def _opened(ref: str) -> Any:
    from lepton_ai.data.catalog import open_dataset
    from lepton_ai.data.table import Table

    found = open_dataset(ref, _WORKSPACE.get())
    if not isinstance(found, Table):
        raise InvalidInput(f"{ref} holds no table to join with")
    return found
