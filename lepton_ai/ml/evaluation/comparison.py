"""Comparison: two models on the same rows, figure by figure, with paired tests."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, to_builtins
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.classification import ClassificationEvaluation
from lepton_ai.ml.evaluation.errors import ErrorMeasure, as_outputs
from lepton_ai.ml.evaluation.labels import called_as, codes_of, positive_of
from lepton_ai.ml.evaluation.paired_tests import PairedTest, bootstrap_p, delong, mcnemar
from lepton_ai.ml.evaluation.probabilities import ProbabilityMeasure
from lepton_ai.ml.evaluation.regression import RegressionEvaluation
from lepton_ai.ml.evaluation.resampling import Interval, Measure, Resampling, interval
from lepton_ai.ml.evaluation.shown import Columns, Name, between, written

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["Compared", "Comparison", "compare_classification", "compare_regression"]

Floats = NDArray[np.float64]
Groups = Sequence[Any] | NDArray[Any] | None


class Compared(Struct, frozen=True):
    """One figure of both models.

    Attributes:
        figure: which.
        difference: first less second.
        interval: of the difference, by the paired bootstrap.
        p: two-sided, by the same.
        better: ``first``, ``second``, or empty where the interval holds 0.
    """

    figure: str
    first: float
    second: float
    difference: float
    interval: Interval | None
    p: float
    better: str


class Comparison(Struct, frozen=True, kw_only=True):
    """What two models differ in, on the same rows.

    Attributes:
        first: what the first model is called.
        second: what the second is called.
        rows: how many rows.
        groups: how many groups they belong to, where groups are known.
        confidence: level of the intervals.
        figures: each figure of both, with the interval of the difference; both models are
            measured on the same resamples of rows.
        tests: named tests, which take rows for independent.
    """

    first: str
    second: str
    rows: int
    groups: int | None
    confidence: float
    figures: list[Compared]
    tests: list[PairedTest]

    def __getitem__(self, figure: str) -> Compared:
        for item in self.figures:
            if item.figure == figure:
                return item
        raise InvalidInput(
            f"no figure {figure!r} was compared; there are: "
            f"{', '.join(item.figure for item in self.figures)}"
        )

    def __str__(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.comparison_text(self)

    def __rich__(self) -> "Group":
        from lepton_ai.ml.evaluation import rendering

        return rendering.comparison_terminal(self)

    def _repr_html_(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.comparison_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = to_builtins(self)
        return values

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the comparison as one page of HTML that needs nothing else."""
        from lepton_ai.ml.evaluation import rendering

        target = Path(path)
        target.write_text(rendering.comparison_page(self), encoding="utf-8")
        return target

    def title(self) -> str:
        """Return what was compared on what."""
        groups = f" of {self.groups} groups" if self.groups is not None else ""
        return f"{self.first} against {self.second}: {self.rows} rows{groups}"

    def tables(self) -> list[Columns]:
        """Return the figures and the tests as tables."""
        names = {**ClassificationEvaluation.names, **RegressionEvaluation.names}
        rows = [
            [
                names[item.figure].title if item.figure in names else item.figure,
                written(item.first),
                written(item.second),
                written(item.difference, beside=max(abs(item.first), abs(item.second))),
                between(item.interval, beside=max(abs(item.first), abs(item.second))),
                f"{item.p:.3f}",
                {"first": self.first, "second": self.second}.get(item.better, "neither"),
            ]
            for item in self.figures
        ]
        head = ["figure", self.first, self.second, "difference", f"{self.confidence:.0%} interval"]
        tests = [
            [
                each.name,
                written(each.difference),
                between(each.interval),
                f"{each.p:.3g}",
                each.about,
            ]
            for each in self.tests
        ]
        return [
            Columns("Figures", [*head, "p", "better"], rows, range(1, 6)),
            Columns("Tests", ["test", "difference", "interval", "p", "what"], tests, (1, 2, 3)),
        ]


def compare_classification(
    truth: Sequence[str],
    first: Floats,
    second: Floats,
    classes: Sequence[str],
    *,
    names: tuple[str, str] = ("first", "second"),
    called: tuple[Sequence[str], Sequence[str]] | None = None,
    positive: str | None = None,
    groups: Groups = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two classifiers on the same rows.

    Beside the paired bootstrap of every figure: McNemar's test of the labels and, of two classes,
    DeLong's of the AUC.

    Args:
        truth: the label of each row.
        first: the first model's probabilities (rows, classes).
        second: the second model's.
        classes: the class of each column.
        names: what the models are called.
        called: the labels that each gave the rows, where those are not of the most probable class.
        positive: of two classes, the one to look for; see `assess_classification`.
        groups: rows that belong together, resampled together.
        block: for rows in the order of time, how many that follow each other are resampled
            together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, shapes differ, or a label is unknown.
    """
    true = codes_of(truth, first, classes)
    codes_of(truth, second, classes)
    place = positive_of(classes, positive)
    given = [
        called_as(labels, part, classes)
        for labels, part in zip(called or (None, None), (first, second), strict=True)
    ]
    measures = [
        ProbabilityMeasure(true, part, labels, place)
        for part, labels in zip((first, second), given, strict=True)
    ]
    tests = [mcnemar(given[0] == true, given[1] == true)]
    if place is not None and min(np.bincount(true, minlength=2)) > 1:
        scores = [part[:, place] for part in (first, second)]
        tests.append(delong(true == place, scores[0], scores[1], confidence))
    resampling = Resampling.of(
        len(true),
        groups=groups,
        block=block,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    return _compared(
        measures, resampling, ClassificationEvaluation.names, names, tests, groups is not None
    )


def compare_regression(
    truth: Any,
    first: Any,
    second: Any,
    *,
    names: tuple[str, str] = ("first", "second"),
    groups: Groups = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare predicted numbers of two models on the same rows, or their forecasts.

    Args:
        truth: (rows,) or (rows, outputs).
        first: what the first model predicted, in the same shape.
        second: what the second predicted.
        names: what the models are called.
        groups: rows that belong together, resampled together.
        block: for rows in the order of time, how many that follow each other are resampled
            together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, shapes differ, or a number is missing.
    """
    true = as_outputs("the truth", truth)
    measures: list[Measure] = []
    for name, values in zip(names, (first, second), strict=True):
        given = as_outputs(f"the predictions of {name}", values, len(true))
        if given.shape != true.shape:
            raise InvalidInput(f"the truth is {true.shape}, {name} predicted {given.shape}")
        measures.append(_mean_of(ErrorMeasure(true, given)))
    resampling = Resampling.of(
        len(true), groups=groups, block=block, resamples=resamples, confidence=confidence, seed=seed
    )
    return _compared(
        measures, resampling, RegressionEvaluation.names, names, [], groups is not None
    )


def _mean_of(measure: Measure) -> Measure:
    def of(weights: Floats) -> dict[str, Floats]:
        return {name: value.mean(axis=1) for name, value in measure(weights).items()}

    return of


def _compared(
    measures: Sequence[Measure],
    resampling: Resampling,
    known: Mapping[str, Name],
    names: tuple[str, str],
    tests: list[PairedTest],
    grouped: bool,
) -> Comparison:
    once = [measure(resampling.once()) for measure in measures]

    def apart(weights: Floats) -> dict[str, Floats]:
        first, second = (measure(weights) for measure in measures)
        return {name: first[name] - second[name] for name in known if name in first}

    figures = []
    for name, drawn in resampling.draws(apart).items():
        first, second = (float(part[name][0]) for part in once)
        if not np.isfinite(first - second):
            continue
        ends = interval(drawn, resampling.confidence)
        better = ""
        if ends is not None and known[name].better and not ends[0] <= 0 <= ends[1]:
            better = "first" if (ends[0] > 0) == (known[name].better == "higher") else "second"
        figures.append(
            Compared(name, first, second, first - second, ends, bootstrap_p(drawn), better)
        )
    return Comparison(
        first=names[0],
        second=names[1],
        rows=len(resampling.units),
        groups=resampling.count if grouped else None,
        confidence=resampling.confidence,
        figures=figures,
        tests=tests,
    )
