"""Engines: frames of Polars, pandas, Arrow, DuckDB and Spark come in as one kind, and go back.

Not a number (NaN) is a gap from here on: engines order it, count it and average it differently.
"""

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame

__all__ = ["like", "opened", "quoted", "settled", "without_nan"]


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
            without_nan(nw.from_native(data.scan())),
            lambda frame: frame.to_native().collect(),
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
        return without_nan(frame), nw.to_native, False
    kind = frame.implementation
    if kind.is_polars():
        return without_nan(frame.lazy()), lambda r: r.collect("polars").to_native(), True

    def back(result: Frame) -> Any:
        whole = result.collect("polars")
        return whole.to_pandas() if kind.is_pandas() else whole.to_arrow()

    # Other frames of memory are computed by Polars: it has every step, they do not.
    return without_nan(nw.from_native(frame.to_polars().lazy())), back, True


def without_nan(frame: Frame, names: Sequence[str] | None = None) -> Frame:
    """Return the frame with gaps where numbers are not any."""
    schema = frame.collect_schema()
    chosen = [name for name in names or schema.names() if schema[name].is_float()]
    return frame.with_columns(nw.col(name).fill_nan(None) for name in chosen) if chosen else frame


def settled(frame: Frame) -> tuple[Frame, int | None]:
    """Compute what a Polars frame stands for so far, and count it; others keep their own plan."""
    if not frame.implementation.is_polars():
        return frame, None
    whole = frame.collect("polars")
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
    elif kind.is_pyspark():
        native = native.sparkSession.createDataFrame(rows.to_arrow())
    else:
        raise InvalidInput(f"this step does not work on {kind}; use Polars or DuckDB")
    done: Frame = nw.from_native(native)
    return done


def quoted(name: str) -> str:
    """Return a column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
