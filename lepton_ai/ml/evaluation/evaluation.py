"""Evaluation: what one measuring of a model found, whatever its task."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from msgspec import Struct, to_builtins

from lepton_ai.ml.evaluation.figures import Slices
from lepton_ai.ml.evaluation.shown import Columns, Name

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

__all__ = ["Evaluation"]

Plot = Callable[[], "Figure"]


class Evaluation(Struct, frozen=True, kw_only=True, eq=False, tag_field="task", tag="any"):
    """The figures of one evaluation; as a number, it is the chief one of its task.

    It formats (``f"{evaluation:.2f}"``), converts (``float(evaluation)``) and compares as that
    figure: of a classification the accuracy, of a regression R², of a forecast the mean absolute
    error, of a clustering the silhouette, of a detection the AUC, of remaining life the root mean
    square error; NaN where it is undefined.

    Attributes:
        model: the model's reference, such as ``chest:3``.
        data: what it was tried on.
        rows: how many rows.
        groups: how many groups (patients) they belong to, where groups are known.
        confidence: level of the intervals.
        intervals: bootstrap interval (low, high) of each figure, whole groups resampled.
        slices: the figures of parts of the rows, one item a column.
        seen: how many rows the model was trained on, which makes the figures worthless.
        node: id of the stored evaluation.
    """

    task: ClassVar[str]
    chief: ClassVar[str]
    names: ClassVar[Mapping[str, Name]]
    # Figures that only slices have.
    sliced: ClassVar[Mapping[str, Name]] = {}

    model: str = ""
    data: str = ""
    rows: int
    groups: int | None
    confidence: float
    intervals: dict[str, tuple[float, float]]
    slices: list[Slices] = []
    seen: int = 0
    node: str | None = None

    def __float__(self) -> float:
        value = getattr(self, self.chief)
        return float("nan") if value is None else float(value)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __eq__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else float(self) == number

    def __hash__(self) -> int:
        return hash(float(self))

    def __lt__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else float(self) < number

    def __le__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else float(self) <= number

    def __gt__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else float(self) > number

    def __ge__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else float(self) >= number

    def __repr__(self) -> str:
        chief = f"{self.chief}={float(self):.4f}"
        return f"{type(self).__name__}(model={self.model!r}, {chief}, rows={self.rows})"

    def __str__(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.text(self)

    def __rich__(self) -> "Group":
        from lepton_ai.ml.evaluation import rendering

        return rendering.terminal(self)

    def _repr_html_(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.html(self)

    @property
    def figures(self) -> dict[str, float | None]:
        """Each figure that is one number, by the name of its attribute; None: undefined."""
        return {name: getattr(self, name) for name in self.names}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = to_builtins(self)
        return values

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write figures, tables and plots as one page of HTML that needs nothing else.

        Args:
            path: of the file; one that is there is replaced.
        """
        from lepton_ai.ml.evaluation import rendering

        target = Path(path)
        target.write_text(rendering.page(self), encoding="utf-8")
        return target

    def save_plots(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Draw every plot of the task into a folder, as PNG, and return the files."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        files = []
        for name, draw in self.plots().items():
            files.append(target / f"{name.replace(' ', '-')}.png")
            draw().savefig(files[-1])
        return files

    def plots(self) -> "dict[str, Plot]":
        """Return what draws each plot of the task, by its title."""
        return {}

    def tables(self) -> list[Columns]:
        """Return the tables beside that of the figures, of this task."""
        return []

    def about(self) -> str:
        """Return what a reader must know to read the figures, in a few words, or nothing."""
        return ""


def _number(value: object) -> float | None:
    if isinstance(value, Evaluation):
        return float(value)
    return float(value) if isinstance(value, int | float | np.number) else None
