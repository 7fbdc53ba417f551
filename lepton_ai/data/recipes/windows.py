"""Windows: what came before a row, by group and in order."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.engines import like, quoted
from lepton_ai.data.recipes.spans import seconds
from lepton_ai.data.recipes.step import Frame, Step, numeric, present, with_columns

__all__ = ["Lag", "Rolling", "RollingTime"]

_WIDEST = 64  # rows of a window whose least or most is sought


class Lag(Step, frozen=True, kw_only=True, tag="lag"):
    """Add the values of earlier rows as columns ``<column>_lag<n>``; of later ones for n < 0.

    Attributes:
        order: the columns that say what is earlier.
        by: only rows that are equal in these look at each other.
        lags: how many rows before.
        change: add the difference to the earlier value instead, ``<column>_change<n>``.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...]
    order: tuple[str, ...]
    by: tuple[str, ...] = ()
    lags: tuple[int, ...] = (1,)
    change: bool = False

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the earlier values."""
        present(frame, [*self.columns, *self.order, *self.by], "Lag")
        if self.change:
            numeric(frame, self.columns, "Lag(change=True)")
        added = []
        for name in self.columns:
            for lag in self.lags:
                before = nw.col(name).shift(lag).over(*self.by, order_by=list(self.order))
                value = nw.col(name) - before if self.change else before
                added.append(value.alias(f"{name}_{'change' if self.change else 'lag'}{lag}"))
        return with_columns(frame, *added)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order, *self.by}

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = "change since" if self.change else "values of"
        lags = ", ".join(map(str, self.lags))
        return f"{what} {lags} rows before: {', '.join(self.columns)}{_by(self.by)}"


class Rolling(Step, frozen=True, kw_only=True, tag="rolling"):
    """Add figures over a row and those before it as ``<column>_<what><window>``.

    Attributes:
        window: how many rows; the first rows of a group see what there is. For ``min`` and
            ``max`` at most 64.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...]
    order: tuple[str, ...]
    window: int
    by: tuple[str, ...] = ()
    what: tuple[Literal["mean", "sum", "std", "var", "min", "max"], ...] = ("mean",)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the windows."""
        numeric(frame, self.columns, "Rolling")
        present(frame, [*self.order, *self.by], "Rolling")
        if self.window < 2:
            raise InvalidInput(f"a window has at least 2 rows; got {self.window}")
        if self.window > _WIDEST and {"min", "max"} & set(self.what):
            raise InvalidInput(f"min and max look at {_WIDEST} rows at most; got {self.window}")
        columns = [
            self._rolled(name, what).alias(f"{name}_{what}{self.window}")
            for name in self.columns
            for what in self.what
        ]
        return with_columns(frame, *columns)

    def _rolled(self, name: str, what: str) -> nw.Expr:
        column, order = nw.col(name).cast(nw.Float64), list(self.order)
        if what in ("min", "max"):
            # No engine-neutral window has them: the rows before stand side by side.
            beside = [column.shift(n).over(*self.by, order_by=order) for n in range(1, self.window)]
            most = nw.max_horizontal if what == "max" else nw.min_horizontal
            return most(column, *beside)
        rolled: nw.Expr = getattr(column, f"rolling_{what}")(
            self.window, min_samples=2 if what in ("std", "var") else 1
        )
        return rolled.over(*self.by, order_by=order)

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, *self.order, *self.by}

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = ", ".join(self.what)
        return f"{what} of {', '.join(self.columns)} over {self.window} rows{_by(self.by)}"


class RollingTime(Step, frozen=True, kw_only=True, tag="rolling_time"):
    """Add figures over the time before a row, both ends in, as ``<column>_<what>_<window>``.

    Polars and DuckDB compute it themselves; other engines' rows are computed by Polars. Rows
    without a time get none.

    Attributes:
        time: a column of dates or times.
        window: such as ``30m``, ``2h``, ``7d``.
    """

    alone: ClassVar[bool] = False
    columns: tuple[str, ...]
    time: str
    window: str
    by: tuple[str, ...] = ()
    what: tuple[Literal["mean", "sum", "min", "max", "std", "count"], ...] = ("mean",)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the windows."""
        numeric(frame, self.columns, "RollingTime")
        present(frame, [self.time, *self.by], "RollingTime")
        if not frame.collect_schema()[self.time].is_temporal():
            raise InvalidInput(f"RollingTime goes by dates or times; {self.time!r} holds none")
        span = seconds(self.window)
        if frame.implementation.is_duckdb():
            return self._by_duckdb(frame, span)
        if frame.implementation.is_polars():
            done: Frame = nw.from_native(self._by_polars(frame.to_native(), span))
            return done
        whole = frame.collect("polars").to_native()
        return like(frame, self._by_polars(whole.lazy(), span).collect())

    def _title(self, name: str, what: str) -> str:
        return f"{name}_{what}_{self.window}"

    def _by_polars(self, frame: Any, span: int) -> Any:
        import datetime as dt

        import polars as pl

        window = dt.timedelta(seconds=span)
        time = pl.col(self.time).cast(pl.Datetime("us"))
        known = pl.col(self.time).is_not_null()
        added = []
        for name in self.columns:
            column = pl.col(name).cast(pl.Float64)
            for what in self.what:
                if what == "count":
                    column_, method = column.is_not_null().cast(pl.Float64), "sum"
                else:
                    column_, method = column, what
                options = {"min_samples": 2} if what == "std" else {"min_samples": 1}
                rolled = getattr(column_, f"rolling_{method}_by")(
                    time, window_size=window, closed="both", **options
                )
                if what == "count":
                    rolled = rolled.cast(pl.Int64)
                added.append(rolled.alias(self._title(name, what)))
        titles = [self._title(name, what) for name in self.columns for what in self.what]
        added = [one.over(list(self.by)) if self.by else one for one in added]
        numbered = frame.with_row_index("_lepton_row")
        timed = numbered.filter(known).with_columns(added).select("_lepton_row", *titles)
        return numbered.join(timed, on="_lepton_row", how="left", maintain_order="left").drop(
            "_lepton_row"
        )

    def _by_duckdb(self, frame: Frame, span: int) -> Frame:
        native: Any = frame.to_native()
        parts = [f"PARTITION BY {', '.join(map(quoted, self.by))}"] if self.by else []
        time = f"CAST({quoted(self.time)} AS TIMESTAMP)"
        parts.append(f"ORDER BY {time} RANGE BETWEEN INTERVAL {span} SECONDS PRECEDING")
        window = f"({' '.join(parts)} AND CURRENT ROW)"
        added = []
        for name in self.columns:
            column = f"CAST({quoted(name)} AS DOUBLE)"
            for what in self.what:
                function = {"mean": "avg", "std": "stddev_samp"}.get(what, what)
                value = f"{function}({column}) OVER {window}"
                known = f"CASE WHEN {quoted(self.time)} IS NOT NULL THEN {value} END"
                added.append(f"{known} AS {quoted(self._title(name, what))}")
        # Names are quoted, the rest is ours.
        done: Frame = nw.from_native(native.project(f"*, {', '.join(added)}"))
        return done

    def reads(self) -> set[str]:
        """Return the columns that the step looks at."""
        return {*self.columns, self.time, *self.by}

    def explain(self) -> str:
        """Return a sentence on the step."""
        what = ", ".join(self.what)
        return f"{what} of {', '.join(self.columns)} over {self.window}{_by(self.by)}"


def _by(names: Sequence[str]) -> str:
    return f", by {', '.join(names)}" if names else ""
