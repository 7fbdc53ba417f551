"""Windows: what came before a row, by group and in order."""

from typing import Literal

import narwhals as nw

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.recipes.step import Frame, Step, numeric, present

__all__ = ["Lag", "Rolling"]


class Lag(Step, frozen=True, kw_only=True, tag="lag"):
    """Add the values of earlier rows as columns ``<column>_lag<n>``.

    Attributes:
        order: the columns that say what is earlier.
        by: only rows that are equal in these look at each other.
    """

    columns: tuple[str, ...]
    order: tuple[str, ...]
    by: tuple[str, ...] = ()
    lags: tuple[int, ...] = (1,)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the earlier values."""
        present(frame, [*self.columns, *self.order, *self.by], "Lag")
        order = list(self.order)
        return frame.with_columns(
            *(
                nw.col(name).shift(lag).over(*self.by, order_by=order).alias(f"{name}_lag{lag}")
                for name in self.columns
                for lag in self.lags
            )
        )

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{', '.join(self.columns)} of {', '.join(map(str, self.lags))} rows before"


class Rolling(Step, frozen=True, kw_only=True, tag="rolling"):
    """Add sums, means or deviations over the last rows as ``<column>_<what><window>``."""

    columns: tuple[str, ...]
    order: tuple[str, ...]
    window: int
    by: tuple[str, ...] = ()
    what: tuple[Literal["mean", "sum", "std", "var"], ...] = ("mean",)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with the windows; the first rows see what there is."""
        numeric(frame, self.columns, "Rolling")
        present(frame, [*self.order, *self.by], "Rolling")
        if self.window < 2:
            raise InvalidInput(f"a window has at least 2 rows; got {self.window}")
        columns = []
        for name in self.columns:
            for what in self.what:
                rolled = getattr(nw.col(name).cast(nw.Float64), f"rolling_{what}")(
                    self.window, min_samples=2 if what in ("std", "var") else 1
                )
                title = f"{name}_{what}{self.window}"
                columns.append(rolled.over(*self.by, order_by=list(self.order)).alias(title))
        return frame.with_columns(*columns)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"{', '.join(self.what)} of {', '.join(self.columns)} over {self.window} rows"
