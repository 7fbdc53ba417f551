"""Engines: frames of Polars, pandas, Arrow, DuckDB and Spark come in as one kind, and go back.

Not a number (NaN) and the infinities are gaps from here on: engines order them, count them and
average them differently. Categories of Polars and pandas are text, as other engines have them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame

__all__ = ["computing", "like", "on_spark", "opened", "quoted", "settled", "without_nan"]


@contextmanager
def computing() -> Iterator[None]:
    """Say in one line what values a plan could not be computed with.

    Raises:
        InvalidInput: there were some.
    """
    from narwhals.exceptions import NarwhalsError
    from polars.exceptions import PolarsError

    try:
        yield
    except (NarwhalsError, PolarsError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise InvalidInput(f"the recipe cannot be computed on these rows: {said[0]}") from error


def _collected(frame: Frame) -> Any:
    with computing():
        return frame.collect("polars")


def opened(data: Any) -> tuple[Frame, Callable[[Frame], Any], bool]:
    """Return data as a lazy frame, what brings one back to its kind, and whether rows are at hand.

    Args:
        data: a `Table`, a frame, a mapping of columns, or a list of records.

    Raises:
        InvalidInput: it is something else.
    """
    from lepton_ai.data.table import Table

    if isinstance(data, Table):
        return (
            _plain(nw.from_native(data.scan())),
            lambda frame: _collected(frame).to_native(),
            False,
        )
    if isinstance(data, Sequence | dict):
        from lepton_ai.data.frames import frame_of

        data = frame_of(data)
    try:
        frame = nw.from_native(data)
    except TypeError as error:
        raise InvalidInput(
            "a recipe works on a Table or a frame of Polars, pandas, Arrow, DuckDB or Spark; got "
            f"{type(data).__name__}"
        ) from error
    if isinstance(frame, nw.LazyFrame):
        _refuse_names(frame)
        return _plain(frame), nw.to_native, False
    kind = frame.implementation
    if kind.is_polars():
        return _plain(frame.lazy()), lambda r: _collected(r).to_native(), True

    def back(result: Frame) -> Any:
        whole = _collected(result)
        return whole.to_pandas() if kind.is_pandas() else whole.to_arrow()

    # Other frames of memory are computed by Polars: it has every step, they do not.
    return _plain(nw.from_native(frame.to_polars().lazy())), back, True


def _refuse_names(frame: Frame) -> None:
    odd = [name for name in frame.collect_schema().names() if "." in name or "`" in name]
    if odd and on_spark(frame):
        raise InvalidInput(
            f"Spark takes dots and backticks in the names of columns for its own; rename {odd}"
        )


def without_nan(frame: Frame, names: Sequence[str] | None = None) -> Frame:
    """Return the frame with gaps where numbers are not finite."""
    schema = frame.collect_schema()
    chosen = [name for name in names or schema.names() if schema[name].is_float()]
    finite = (nw.when(nw.col(name).is_finite()).then(nw.col(name)).alias(name) for name in chosen)
    return frame.with_columns(*finite) if chosen else frame


def _plain(frame: Frame) -> Frame:
    """Return the frame with the kinds of values that every engine has."""
    schema = frame.collect_schema()
    coded = [n for n in schema.names() if schema[n] in (nw.Categorical, nw.Enum)]
    if coded:
        frame = frame.with_columns(nw.col(name).cast(nw.String) for name in coded)
    return without_nan(frame)


def settled(frame: Frame) -> tuple[Frame, int | None]:
    """Compute what a Polars frame stands for so far, and count it; others keep their own plan."""
    if not frame.implementation.is_polars():
        return frame, None
    whole = _collected(frame)
    return whole.lazy(), len(whole)


def like(frame: Frame, rows: Any) -> Frame:
    """Return a Polars frame as one of the engine, and the connection, of another frame."""
    native: Any = frame.to_native()
    kind = frame.implementation
    if kind.is_polars():
        native = rows.lazy()
    elif kind.is_duckdb():
        arrow = rows.to_arrow()  # noqa: F841  the query finds it by its name
        native = native.query("_other", "select * from arrow")
    elif on_spark(frame):
        native = native.sparkSession.createDataFrame(_signed(rows).to_arrow())
    else:
        raise InvalidInput(f"this step does not work on {kind}; use Polars or DuckDB")
    done: Frame = nw.from_native(native)
    return done


def _signed(rows: Any) -> Any:
    """Return a Polars frame without unsigned numbers, which Spark has not."""
    import polars as pl

    small = pl.col(pl.UInt8, pl.UInt16, pl.UInt32).cast(pl.Int64)
    return rows.with_columns(small, pl.col(pl.UInt64).cast(pl.Decimal(20, 0)))


def on_spark(frame: Frame) -> bool:
    """Tell whether Spark computes a frame."""
    return frame.implementation.is_pyspark() or frame.implementation.is_pyspark_connect()


def quoted(name: str, *, spark: bool = False) -> str:
    """Return a column's name as SQL has it."""
    mark = "`" if spark else '"'
    return mark + name.replace(mark, mark * 2) + mark
