"""target_associations: how strongly each column goes with the target."""

import os
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from lepton_ai.data.analysis.columns import Column, LeftOut, is_classes, outcome_of, usable
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.data.analysis.measures import (
    between_groups,
    contingency,
    correlation_ratio,
    cramers_v,
    entropy,
    mutual_information,
    spearman,
    titled,
)
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Association", "TargetAssociations", "target_associations"]


class Association(Struct, frozen=True):
    """How strongly one column goes with the target.

    Attributes:
        measure: ``spearman``, ``correlation ratio`` or ``cramer``.
        strength: its size, 0 to 1; None where it is not defined.
        direction: of numbers with numbers: 1 rises with the target, -1 falls.
        information: mutual information, as a share of what there is to know of the target.
        p: the chance of so strong an association where there is none, by the F, chi-squared or t
            test.
        q: the same, corrected for the number of columns by Benjamini and Hochberg: of the columns
            with q below 0.05, about one in twenty is there by chance.
        rows: how many rows have both.
    """

    column: str
    measure: str
    strength: float | None
    direction: int
    information: float
    p: float | None
    q: float | None
    rows: int


class TargetAssociations(Result, frozen=True, eq=False):
    """Every column's association with the target, the strongest first; it prints as a table."""

    target: str
    items: tuple[Association, ...]
    left_out: tuple[LeftOut, ...]

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each column."""
        rows = [{name: getattr(item, name) for name in _FIELDS} for item in self.items]
        return pl.DataFrame(rows, schema=_FIELDS)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the strengths as bars, at most 30."""
        from lepton_ai.data.analysis.plots import bars

        return bars(
            [item.column for item in self.items],
            [item.strength or 0.0 for item in self.items],
            f"what goes with {self.target}",
            "strength (orange: q below 0.05)",
            path,
            [item.q is not None and item.q < _SURE for item in self.items],
        )

    def cells(self) -> list[list[str]]:
        """Return the rows of the table that is printed."""
        return [
            [
                item.column,
                "-" if item.strength is None else f"{item.strength:.3f}",
                {1: "rises", -1: "falls"}.get(item.direction, ""),
                f"{item.information:.3f}",
                _chance(item.p),
                _chance(item.q),
                titled(item.measure),
            ]
            for item in self.items
        ]

    def text(self) -> str:
        """Return what is printed."""
        table = aligned(HEAD, self.cells(), numbers=(1, 3, 4, 5))
        return f"{self.subject}, what goes with {self.target!r}; {self.sampled}\n\n{table}"

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        return table(HEAD, self.cells(), numbers=(1, 3, 4, 5)) + picture(self.plot())


HEAD = ["column", "strength", "", "information", "p", "q", "measure"]
_SURE = 0.05
_FIELDS: dict[str, Any] = {
    "column": pl.String,
    "measure": pl.String,
    "strength": pl.Float64,
    "direction": pl.Int64,
    "information": pl.Float64,
    "p": pl.Float64,
    "q": pl.Float64,
    "rows": pl.Int64,
}


def target_associations(
    data: Any,
    target: str,
    *,
    rows: int = 100_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> TargetAssociations:
    """Rank the columns by how strongly each one alone goes with the target.

    Strength is the rank correlation between numbers, the correlation ratio between numbers and
    classes, Cramer's V between categories, the last two corrected for bias: many small groups
    differ by chance. Information also sees what rises
    and falls again: it is the mutual information of the two, numbers in bins, less what chance
    alone gives (Miller and Madow's correction), as a share of the target's entropy.

    Args:
        data: a table, a dataset's name, a frame.
        target: the column to explain: text, booleans and at most ten different numbers are
            classes; other numbers and dates have an order.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there is no such column, or it holds one value.
    """
    source = Source(data, workspace)
    source.check([target])
    sample = source.sample(rows, seed)
    outcome = outcome_of(source, sample.frame, target)
    found, left = usable(sample.frame.drop(target), source.whole)
    items = _corrected([associate(column, outcome) for column in found])
    items.sort(key=lambda item: (-(item.strength or 0.0), -item.information, item.column))
    return TargetAssociations(source.name, sample.note, target, tuple(items), left)


def _corrected(items: list[Association]) -> list[Association]:
    from scipy.stats import false_discovery_control

    tested = [place for place, item in enumerate(items) if item.p is not None]
    corrected = false_discovery_control([items[place].p for place in tested]) if tested else []
    q = dict(zip(tested, map(float, corrected), strict=True))
    return [replace(item, q=q.get(place)) for place, item in enumerate(items)]


def _chance(p: float | None) -> str:
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def associate(column: Column, outcome: Column) -> Association:
    """Measure one column against the target."""
    table = contingency(column.codes, outcome.codes)
    measure, value, p = _measured(column, outcome, table)
    numeric = column.numeric and outcome.numeric and not is_classes(outcome)
    return Association(
        column=column.name,
        measure=measure,
        strength=None if np.isnan(value) else abs(value),
        direction=int(np.sign(value)) if numeric and not np.isnan(value) else 0,
        information=_information(table),
        p=None if np.isnan(p) else p,
        q=None,
        rows=int(table.sum()),
    )


def _measured(column: Column, outcome: Column, table: Any) -> tuple[str, float, float]:
    from scipy import stats

    classes = is_classes(outcome)
    if column.numeric and not classes:
        value = spearman(column.numbers, outcome.numbers)
        both = int((~(np.isnan(column.numbers) | np.isnan(outcome.numbers))).sum())
        if both < 3 or np.isnan(value):
            return "spearman", value, float("nan")
        rest = max(1e-300, 1 - value**2)
        t = abs(value) * np.sqrt((both - 2) / rest)
        return "spearman", value, float(2 * stats.t.sf(t, both - 2))
    if column.numeric or not classes:
        category, number = (outcome, column) if classes else (column, outcome)
        value = correlation_ratio(category.codes, number.numbers)
        if np.isnan(value):
            return "correlation ratio", value, value
        between, groups, both = between_groups(category.codes, number.numbers)
        f = between / (groups - 1) / (max(1e-300, 1 - between) / (both - groups))
        return "correlation ratio", value, float(stats.f.sf(f, groups - 1, both - groups))
    if min(table.shape) < 2:
        return "cramer", float("nan"), float("nan")
    test = stats.chi2_contingency(table, correction=False)
    return "cramer", cramers_v(table), float(test.pvalue)


def _information(table: Any) -> float:
    total = int(table.sum())
    if not total or min(table.shape) < 2:
        return 0.0
    known = entropy(table.sum(axis=0))
    chance = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * total)
    return float(min(1.0, max(0.0, mutual_information(table) - chance) / known))
