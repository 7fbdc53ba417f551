"""Scaling: columns of numbers come to comparable ranges."""

from typing import ClassVar, Literal, Self

import msgspec
import narwhals as nw
from msgspec import field

from lepton_ai.data.recipes.step import Frame, Step, numeric, statistics

__all__ = ["Scale"]


class Scale(Step, frozen=True, kw_only=True, tag="scale"):
    """Scale columns by what training rows show.

    Attributes:
        columns: which; all columns of numbers unless named.
        method: ``standard`` (mean 0, population standard deviation 1), ``minmax`` (0 to 1),
            ``robust`` (median 0, distance of the quartiles 1), ``log`` (log(1 + x)).
        scales: centre and width, learned, by column.
    """

    learns: ClassVar[bool] = True
    columns: tuple[str, ...] = ()
    method: Literal["standard", "minmax", "robust", "log"] = "standard"
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)

    def fit(self, frame: Frame) -> Self:
        """Learn centres and widths; a constant column has width 1."""
        names = numeric(frame, self.columns, "Scale")
        if self.method == "log":
            return msgspec.structs.replace(self, scales=dict.fromkeys(names, (0.0, 1.0)))
        wanted: dict[str, nw.Expr] = {}
        for place, name in enumerate(names):
            column = nw.col(name).cast(nw.Float64)
            centre, width = {
                "standard": (column.mean(), column.std(ddof=0)),
                "minmax": (column.min(), column.max() - column.min()),
                "robust": (
                    column.median(),
                    column.quantile(0.75, "linear") - column.quantile(0.25, "linear"),
                ),
            }[self.method]
            wanted |= {f"c{place}": centre, f"w{place}": width}
        found = statistics(frame, wanted)
        scales = {
            name: (found[f"c{place}"] or 0.0, found[f"w{place}"] or 1.0)
            for place, name in enumerate(names)
        }
        return msgspec.structs.replace(self, scales=scales)

    def apply(self, frame: Frame) -> Frame:
        """Return the frame with scaled columns."""
        numeric(frame, list(self.scales), "Scale")
        columns = []
        for name, (centre, width) in self.scales.items():
            column = nw.col(name).cast(nw.Float64)
            scaled = (column + 1).log() if self.method == "log" else (column - centre) / width
            columns.append(scaled.alias(name))
        return frame.with_columns(*columns)

    def explain(self) -> str:
        """Return a sentence on the step."""
        return f"scale ({self.method}) {', '.join(self.scales or self.columns) or 'all numbers'}"
