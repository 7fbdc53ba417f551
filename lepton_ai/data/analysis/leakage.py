"""leakage_suspects: columns that tell the target before a model could know it."""

import os
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import polars as pl
from msgspec import Struct
from numpy.typing import NDArray
from polars import selectors as cs

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.association import associate
from lepton_ai.data.analysis.columns import (
    Column,
    codes_of,
    identifies,
    is_classes,
    kind_of,
    nan_as_null,
    number_bins,
    outcome_of,
    usable,
)
from lepton_ai.data.analysis.measures import contingency, spearman
from lepton_ai.data.analysis.result import Result
from lepton_ai.data.analysis.source import Source
from lepton_ai.storage import Workspace

__all__ = ["Leakage", "Suspect", "leakage_suspects"]

Severity = Literal["severe", "likely", "hint"]
_ORDER = ("severe", "likely", "hint")
_FOLDS = 5
_BINS = 64
_NEAR = 0.95
_LEAST = 20  # rows, for a claim about them
_CHANCE = 0.001  # of finding it where there is nothing
_FEW = 20  # different values that are looked at one by one
_AFTERWARDS = re.compile(
    r"outcome|result|discharge|death|died|deceased|diagnos|closed|closure|resol|settle|repaid|"
    r"recover|final|churned|cancel|terminat|fail(ed|ure)_?(date|time|type|mode)|(^|_)(after|post)_",
    re.IGNORECASE,
)


class Suspect(Struct, frozen=True):
    """A column that may give the target away.

    Attributes:
        severity: ``severe``: leave it out unless you know better; ``likely``: find out where it
            comes from; ``hint``: worth a thought.
        reason: what was found, in words.
        figure: how strongly, 0 to 1.
    """

    column: str
    severity: Severity
    reason: str
    figure: float


class Leakage(Result, frozen=True, eq=False):
    """Columns that may give the target away, the worst first; it prints as a table.

    Attributes:
        repeated: rows that equal an earlier one in all columns but the target; a split that
            parts them shows a model in training what it is tested on.
    """

    target: str
    suspects: tuple[Suspect, ...]
    repeated: int

    def to_polars(self) -> pl.DataFrame:
        """Return a row for each suspicion."""
        schema = {"column": pl.String, "severity": pl.String, "reason": pl.String}
        rows = [(s.column, s.severity, s.reason, s.figure) for s in self.suspects]
        return pl.DataFrame(rows, schema={**schema, "figure": pl.Float64}, orient="row")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw how strong each suspicion is."""
        from lepton_ai.data.analysis.plots import bars

        return bars(
            [f"{s.column} ({s.severity})" for s in self.suspects],
            [s.figure for s in self.suspects],
            f"what may give {self.target} away",
            "how strongly (orange: severe)",
            path,
            [s.severity == "severe" for s in self.suspects],
        )

    def cells(self) -> list[list[str]]:
        """Return the rows of the table that is printed."""
        return [[s.severity, s.column, s.reason] for s in self.suspects]

    def text(self) -> str:
        """Return what is printed."""
        title = f"{self.subject}, what may give {self.target!r} away; {self.sampled}"
        if self.repeated:
            title += f"\n{self.repeated:,} rows repeat another in all columns but the target"
        if not self.suspects:
            return f"{title}\n\nnothing suspicious"
        width = max(len(s.column) for s in self.suspects)
        lines = [f"  {s.severity:<6}  {s.column.ljust(width)}  {s.reason}" for s in self.suspects]
        return "\n".join([title, "", *lines])

    def _repr_html_(self) -> str:
        from lepton_ai.data.analysis.page import picture, table

        repeated = f"<p>{self.repeated:,} rows repeat another in all columns but the target</p>"
        said = repeated if self.repeated else ""
        if not self.suspects:
            return f"<p>nothing suspicious</p>{said}"
        return table(["severity", "column", "reason"], self.cells()) + said + picture(self.plot())


def leakage_suspects(
    data: Any,
    target: str,
    *,
    time: str | None = None,
    rows: int = 100_000,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Leakage:
    """Look for columns that a model must not have: they are the target in disguise.

    Looked for: a column that alone predicts nearly every row it was not shown; one that follows
    from the target; one with a value that only one class has; one that names its rows; one that
    has a value only where the outcome is known; one dated after ``time``; one whose name
    speaks of what comes afterwards.

    Args:
        data: a table, a dataset's name, a frame.
        target: the column to predict.
        time: the column of dates at which a prediction would be made; of mere steps, as numbers
            are, no date can be later.
        rows: the most that are looked at; of more, so many are drawn at random.
        seed: for that draw, and for the rows a column is tried on.
        workspace: where a name is looked up.

    Raises:
        InvalidInput: there is no such column, the target holds one value, or ``time`` no dates.
    """
    source = Source(data, workspace)
    source.check([target] if time is None else [target, time])
    if time is not None and kind_of(source.schema[time]) not in ("date", "number"):
        raise InvalidInput(f"time={time!r} holds {source.schema[time]}, neither dates nor numbers")
    sample = source.sample(rows, seed)
    outcome = outcome_of(source, sample.frame, target)
    present = sample.frame.filter(outcome.codes >= 0)
    outcome = Column(present[target])
    folds = np.random.default_rng(seed).permutation(present.height) % _FOLDS
    others, _ = usable(present.drop(target), source.whole, identifiers=True)
    suspects = [s for c in others for s in _about(c, outcome, folds, source.whole)]
    if time is not None and kind_of(source.schema[time]) == "date":
        suspects += _later(present, time, [c for c in others if c.kind == "date"])
    suspects += _gaps(present.drop(target), outcome)
    features = present.drop(target).select(~cs.by_dtype(pl.Object))
    repeated = present.height - features.n_unique() if features.width else 0
    suspects.sort(key=lambda s: (_ORDER.index(s.severity), -s.figure, s.column))
    return Leakage(source.name, sample.note, target, tuple(suspects), repeated)


def _about(column: Column, outcome: Column, folds: NDArray[Any], whole: int) -> Iterator[Suspect]:
    """Yield the worst that a column's values say, if they say anything."""
    classes = is_classes(outcome)
    name, target = column.name, outcome.name
    skill = _skill(column, outcome, folds, classes)
    enough = np.count_nonzero(column.codes >= 0) >= _LEAST
    rank = 0.0
    if column.numeric and not classes:
        rank = abs(spearman(column.numbers, outcome.numbers))
    if classes and _follows(column, outcome):
        yield Suspect(
            name, "severe", f"follows from {target!r}: each class has one value here", 1.0
        )
    elif enough and rank > 0.9995:
        yield Suspect(name, "severe", f"has the order of {target!r} in every row", rank)
    elif skill > _NEAR and column.values.len() >= _LEAST:
        how = f"alone predicts {skill:.1%} of {target!r} in rows it was not fitted on"
        yield Suspect(name, "severe", how, skill)
    elif classes and (found := _telling(column, outcome)):
        yield found
    elif identifies(column.values, whole):
        yield Suspect(name, "likely", "names its rows: a model would learn rows by heart", 1.0)
    elif _AFTERWARDS.search(name):
        seen = associate(column, outcome)
        goes_along = seen.information > 0.05 and (seen.p or 0.0) < _CHANCE
        if column.kind == "date" or goes_along:
            how = "by its name it is known only afterwards"
            yield Suspect(name, "hint", how, seen.information)


def _skill(column: Column, outcome: Column, folds: NDArray[Any], classes: bool) -> float:
    """Return how much better than the commonest class, or the mean, a column predicts: 0 to 1."""
    if column.numeric and column.different > _BINS:
        codes = number_bins(column.values, _BINS)[0]
    else:
        codes = codes_of(column.values, 1000)[0]
    codes = codes + 1  # a gap is a value too
    size = int(codes.max()) + 1
    if classes:
        return _class_skill(codes, outcome.codes, folds, size)
    values = outcome.numbers
    known = ~np.isnan(values)
    codes, values, folds = codes[known], values[known], folds[known]
    guess = np.empty(values.size)
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        if not train.any():
            return 0.0
        mean = values[train].mean()
        counts = np.bincount(codes[train], minlength=size)
        sums = np.bincount(codes[train], weights=values[train] - mean, minlength=size)
        guess[test] = mean + (sums / np.maximum(counts, 1))[codes[test]]
    spread = float(((values - values.mean()) ** 2).sum())
    return max(0.0, 1 - float(((values - guess) ** 2).sum()) / spread) if spread else 0.0


def _class_skill(
    codes: NDArray[Any], classes: NDArray[np.intp], folds: NDArray[Any], size: int
) -> float:
    count = int(classes.max()) + 1
    right = 0
    for fold in range(_FOLDS):
        train, test = folds != fold, folds == fold
        if not train.any():
            return 0.0
        votes = np.bincount(codes[train] * count + classes[train], minlength=size * count)
        table = votes.reshape(size, count)
        guess = table.argmax(axis=1)
        guess[~table.any(axis=1)] = table.sum(axis=0).argmax()
        right += int((guess[codes[test]] == classes[test]).sum())
    base = np.bincount(classes).max() / classes.size
    return max(0.0, float((right / classes.size - base) / (1 - base))) if base < 1 else 0.0


def _follows(column: Column, outcome: Column) -> bool:
    """Say whether each class has one value of the column, not all the same, and not by chance."""
    codes = column.codes if not column.numeric else _exact(column.numbers)
    table = contingency(codes, outcome.codes)
    if min(table.shape) < 2 or (np.count_nonzero(table, axis=0) > 1).any():
        return False
    # Two rows have the same value by chance; so must every row but the first of each class.
    alike = ((table.sum(axis=1) / table.sum()) ** 2).sum()
    return bool(alike ** (table.sum() - table.shape[1]) < _CHANCE)


def _telling(column: Column, outcome: Column) -> Suspect | None:
    """Return the value that occurs in one class only, a rare one."""
    if column.different > _FEW:
        return None
    table = contingency(column.codes, outcome.codes)
    whole = table.sum(axis=0)
    if min(table.shape) < 2:
        return None
    for value, counts in enumerate(table):
        label = int(counts.argmax())
        pure = counts[label] > 0.98 * counts.sum() >= _LEAST
        if pure and whole[label] < 0.5 * whole.sum() and counts[label] > 0.05 * whole[label]:
            shown = column.categories[int(np.unique(column.codes[column.codes >= 0])[value])]
            name = outcome.categories[int(np.unique(outcome.codes[outcome.codes >= 0])[label])]
            share = float(counts[label] / counts.sum())
            how = f"is {shown!r} only where {outcome.name!r} is {name!r} ({share:.1%})"
            return Suspect(column.name, "likely", how, share)
    return None


def _exact(values: NDArray[np.float64]) -> NDArray[np.intp]:
    known = ~np.isnan(values)
    codes = np.full(values.shape, -1, dtype=np.intp)
    different, places = np.unique(values[known], return_inverse=True)
    # More values than any classes have cannot follow from classes.
    codes[known] = np.minimum(places, 1000) if different.size > 1000 else places
    return codes


def _gaps(frame: pl.DataFrame, outcome: Column) -> Iterator[Suspect]:
    """Yield the columns that have values for one class only."""
    if not is_classes(outcome):
        return
    for values in frame:
        there = nan_as_null(values).is_not_null().to_numpy()
        rows = int(there.sum())
        if rows < _LEAST or rows > values.len() - _LEAST:
            continue
        counts = np.bincount(outcome.codes[there], minlength=len(outcome.categories))
        whole = np.bincount(outcome.codes, minlength=len(outcome.categories))
        most = int(counts.argmax())
        share = counts[most] / rows
        if share > 0.99 and whole[most] < 0.9 * whole.sum():
            label = outcome.categories[most]
            how = f"has a value almost only where {outcome.name!r} is {label!r}"
            yield Suspect(values.name, "severe", how, float(share))


def _later(frame: pl.DataFrame, time: str, dates: list[Column]) -> Iterator[Suspect]:
    moment = Column(frame[time]).numbers
    for column in dates:
        both = ~(np.isnan(moment) | np.isnan(column.numbers))
        if column.name == time or both.sum() < _LEAST:
            continue
        share = float((column.numbers[both] > moment[both]).mean())
        if share > 0.5:
            how = f"is later than {time!r} in {share:.0%} of the rows"
            yield Suspect(column.name, "likely", how, share)
