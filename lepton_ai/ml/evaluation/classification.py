"""The evaluation of a classification: labels and probabilities against the true classes."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from msgspec import field
from numpy.typing import NDArray

from lepton_ai.ml.evaluation.calibration import calibration_curve
from lepton_ai.ml.evaluation.decision import decision_curve
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import (
    Bin,
    CalibrationCurve,
    ClassFigures,
    Curve,
    DecisionCurve,
    Gain,
    PrecisionRecall,
)
from lepton_ai.ml.evaluation.labels import called_as, codes_of, positive_of
from lepton_ai.ml.evaluation.metrics import (
    confusion_matrix,
    reliability,
)
from lepton_ai.ml.evaluation.probabilities import ProbabilityMeasure
from lepton_ai.ml.evaluation.ranking import (
    gain_curve,
    precision_recall_curve,
    roc_curve,
    thinned,
)
from lepton_ai.ml.evaluation.resampling import Resampling, exact, interval, intervals
from lepton_ai.ml.evaluation.shown import Columns, Name, written
from lepton_ai.ml.evaluation.slices import measure_slices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ClassificationEvaluation", "assess", "assess_classification"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


class ClassificationEvaluation(
    Evaluation, frozen=True, kw_only=True, eq=False, tag="classification"
):
    """The figures of a classifier; as a number, it is the accuracy.

    Figures are shares from 0 to 1; ``log_loss`` is in nats, ``top_decile_lift`` a ratio to the
    share of the class among all rows, ``brier`` up to 1 (of more than two classes up to 2).

    Attributes:
        classes: the model's classes; the axes of ``confusion`` (true class, predicted class).
        positive: of two classes, the one that precision, recall, specificity, F1, AUC and average
            precision are about. For more they are means over the classes (macro).
        threshold: the probability from which on a row was called positive, where one was set.
    """

    task: ClassVar[str] = "classification"
    chief: ClassVar[str] = "accuracy"
    names: ClassVar[Mapping[str, Name]] = {
        "accuracy": Name("accuracy"),
        "balanced_accuracy": Name("balanced accuracy", short="balanced"),
        "precision": Name("precision"),
        "recall": Name("recall"),
        "specificity": Name("specificity"),
        "f1": Name("F1"),
        "auc": Name("AUC"),
        "average_precision": Name("average precision"),
        "top_decile_lift": Name("top decile lift"),
        "log_loss": Name("log loss", "lower"),
        "brier": Name("Brier score", "lower"),
        "calibration_error": Name("calibration error", "lower"),
    }
    sliced: ClassVar[Mapping[str, Name]] = {
        "selection_rate": Name("selection rate", ""),
        "prevalence": Name("prevalence", ""),
    }

    classes: tuple[str, ...]
    positive: str | None
    threshold: float | None = None
    accuracy: float
    balanced_accuracy: float
    precision: float
    recall: float
    specificity: float | None = None
    f1: float
    auc: float | None
    average_precision: float | None = None
    top_decile_lift: float | None = None
    log_loss: float
    brier: float | None = None
    calibration_error: float
    confusion: list[list[int]]
    per_class: list[ClassFigures]
    roc: list[Curve]
    precision_recall: list[PrecisionRecall] = field(default_factory=list)
    gain: list[Gain] = field(default_factory=list)
    reliability: list[Bin]
    calibration: list[CalibrationCurve] = field(default_factory=list)
    decision: DecisionCurve | None = None

    def plot_roc(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the ROC curves; see :func:`lepton_ai.ml.evaluation.plots.roc`."""
        from lepton_ai.ml.evaluation import plots

        return plots.roc(self, path)

    def plot_confusion(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the confusion matrix; see :func:`lepton_ai.ml.evaluation.plots.confusion`."""
        from lepton_ai.ml.evaluation import plots

        return plots.confusion(self, path)

    def plots(self) -> dict[str, Plot]:
        """Return what draws each plot, by its title; those of curves where both kinds occur."""
        from lepton_ai.ml.evaluation import plots

        drawn: dict[str, Plot] = {"confusion": lambda: plots.confusion(self)}
        if self.roc:
            drawn["roc"] = lambda: plots.roc(self)
        if self.precision_recall:
            drawn["precision recall"] = lambda: plots.precision_recall(self)
            drawn["gain"] = lambda: plots.gain(self)
        if self.calibration:
            drawn["calibration"] = lambda: plots.calibration(self)
        if self.decision is not None:
            drawn["decision"] = lambda: plots.decision(self)
        return drawn

    def tables(self) -> list[Columns]:
        """Return a line for each true class: its figures, then how often it got each label."""
        head = ["class", "rows", "precision", "recall", "F1", "AUC"]
        head += [f"as {label}" for label in self.classes]
        lines = []
        for item, counts in zip(self.per_class, self.confusion, strict=True):
            figures = map(written, (item.precision, item.recall, item.f1, item.auc))
            lines.append([item.label, str(item.support), *figures, *map(str, counts)])
        return [Columns("Classes", head, lines, range(1, len(head)))]

    def about(self) -> str:
        """Return which class is looked for."""
        if self.positive is None:
            return ""
        limit = "" if self.threshold is None else f", threshold {self.threshold:.3f}"
        return f"positive class {self.positive}{limit}"


def assess_classification(
    truth: Sequence[str],
    probabilities: Floats,
    classes: Sequence[str],
    *,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    slices: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
    positive: str | None = None,
    threshold: float | None = None,
    called: Sequence[str] | None = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> ClassificationEvaluation:
    """Measure a classifier's answers against the truth.

    Args:
        truth: the label of each row.
        probabilities: what the model answered (rows, classes).
        classes: the class of each column.
        groups: rows that belong together (a patient's images), resampled together.
        slices: columns whose values part the rows; each part is measured too.
        positive: of two classes, the one to look for; by default the second in order, unless its
            name says that nothing was found ("normal", "no", "0", ...) and the first's doesn't.
        threshold: of two classes, the probability from which on a row is called positive; else
            the most probable class is given.
        called: the label that the model gave each row, where another rule than these two made it.
        block: for rows in the order of time, how many that follow each other are resampled
            together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, a label that is none of the classes, or a number that is
            no probability.
    """
    true = codes_of(truth, probabilities, classes)
    resampling = Resampling.of(
        len(true),
        groups=groups,
        block=block,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    place = positive_of(classes, positive)
    given = called_as(called, probabilities, classes, place, threshold)
    measure = ProbabilityMeasure(true, probabilities, given, place)
    once = measure(resampling.once())
    figures = {name: float(value[0]) for name, value in once.items() if value.ndim == 1}
    draws = resampling.draws(measure)
    by_class = _groups(true, resampling.units, len(classes))
    evenly = np.ones(len(true))
    confusion = confusion_matrix(true, given, len(classes), evenly)
    bins = reliability(true, probabilities, evenly)
    curves = [
        (classes[code], true == code, probabilities[:, code])
        for code in (range(len(classes)) if place is None else (place,))
        if 0 < (true == code).sum() < len(true)
    ]
    thin = partial(thinned, curves=len(curves))
    names = ClassificationEvaluation.names
    return ClassificationEvaluation(
        accuracy=figures["accuracy"],
        balanced_accuracy=figures["balanced_accuracy"],
        precision=figures["precision"],
        recall=figures["recall"],
        specificity=_known(figures.get("specificity", np.nan)),
        f1=figures["f1"],
        auc=_known(figures["auc"]),
        average_precision=_known(figures["average_precision"]),
        top_decile_lift=_known(figures["top_decile_lift"]),
        log_loss=figures["log_loss"],
        brier=figures["brier"],
        calibration_error=figures["calibration_error"],
        rows=len(true),
        groups=None if groups is None else resampling.count,
        classes=tuple(classes),
        positive=None if place is None else classes[place],
        threshold=threshold,
        confidence=confidence,
        intervals=exact(
            {n: e for n, e in intervals(draws, confidence).items() if n in names},
            _support(true, resampling.units, len(classes), place),
            confidence,
        ),
        confusion=confusion.astype(int).tolist(),
        per_class=_per_class(classes, confusion.sum(axis=1), once, draws, by_class, confidence),
        roc=[Curve(label, *thin(*roc_curve(of, score))) for label, of, score in curves],
        precision_recall=[
            PrecisionRecall(label, *thin(*precision_recall_curve(of, score)), float(of.mean()))
            for label, of, score in curves
        ],
        gain=[Gain(label, *thin(*gain_curve(of, score))) for label, of, score in curves],
        reliability=[Bin(int(n), float(c), float(a)) for n, c, a in bins if n],
        calibration=[
            calibration_curve(of, score, label, resampling) for label, of, score in curves
        ],
        decision=None
        if place is None or not curves
        else decision_curve(curves[0][1], curves[0][2], classes[place], resampling),
        slices=measure_slices(
            slices,
            lambda rows: _Defined(
                ProbabilityMeasure(true[rows], probabilities[rows], given[rows], place)
            ),
            resampling,
            names if place is None else {**names, **ClassificationEvaluation.sliced},
            "accuracy",
            lambda rows: _support(true[rows], resampling.units[rows], len(classes), place),
        ),
    )


assess = assess_classification  # the name by which it was known before there were other tasks


class _Defined:
    """The figures of a slice: a recall of nothing is not 0 there, as it would be worst of all."""

    def __init__(self, measure: ProbabilityMeasure) -> None:
        self._measure = measure

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        found = self._measure(weights)
        if "prevalence" in found:
            true, given = found["prevalence"] > 0, found["selection_rate"] > 0
            rests_on = {"recall": true, "precision": given, "f1": true | given}
            found |= {n: np.where(some, found[n], np.nan) for n, some in rests_on.items()}
        return found


def _support(truth: Codes, units: Codes, classes: int, positive: int | None) -> dict[str, int]:
    """How many groups each share rests on; where both classes count, the fewer."""
    by_class = _groups(truth, units, classes)
    fewest = min(count for count in by_class if count)
    asked = fewest if positive is None else by_class[positive]
    other = 0 if positive is None else by_class[1 - positive]
    return {
        "accuracy": len(np.unique(units)),
        "balanced_accuracy": fewest,
        "auc": fewest,
        "average_precision": fewest,
        "specificity": other,
        **dict.fromkeys(("precision", "recall", "f1"), asked),
    }


def _groups(truth: Codes, units: Codes, classes: int) -> list[int]:
    """How many groups have a row of each class."""
    return [len(np.unique(units[truth == code])) for code in range(classes)]


def _per_class(
    classes: Sequence[str],
    counts: Floats,
    once: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    by_class: Sequence[int],
    confidence: float,
) -> list[ClassFigures]:
    names = [name for name in once if name.startswith("class_")]
    result = []
    for place, label in enumerate(classes):
        ends = {n.removeprefix("class_"): interval(draws[n][:, place], confidence) for n in names}
        known = {name: pair for name, pair in ends.items() if pair is not None}
        precision, recall, f1, area = (float(once[name][0, place]) for name in names)
        result.append(
            ClassFigures(
                label,
                int(counts[place]),
                precision,
                recall,
                f1,
                _known(area),
                exact(known, dict.fromkeys(known, by_class[place]), confidence),
            )
        )
    return result


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
