"""An evaluation: how well a model answered on rows whose labels are known."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import to_builtins
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.figures import Bin, ClassFigures, Curve, Figures
from lepton_ai.ml.evaluation.metrics import (
    Measure,
    bootstrap,
    confusion_matrix,
    precision_recall_f1,
    reliability,
    roc_curve,
    winners,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

__all__ = ["Evaluation", "assess"]

# Of two classes, the one with such a name is the absence of what is looked for.
_ABSENT = {
    "0", "0.0", "-1", "false", "no", "n", "none", "absent", "benign", "control", "good",
    "healthy", "negative", "normal", "ok", "pass", "passed",
}  # fmt: skip
_MOST_POINTS = 400


class Evaluation(Figures, frozen=True, kw_only=True, eq=False):
    """The figures of one evaluation; as a number, it is the accuracy.

    It formats (``f"{evaluation:.2f}"``), converts (``float(evaluation)``) and compares as its
    accuracy. Figures are shares from 0 to 1; ``log_loss`` is in nats.

    Attributes:
        model: the model's reference, such as ``chest:3``.
        data: what it was tried on.
        rows: how many rows.
        groups: how many groups (patients) they belong to, where groups are known.
        classes: the model's classes; the axes of ``confusion`` (true class, predicted class).
        positive: of two classes, the one that precision, recall, F1 and AUC are about. For more
            they are means over the classes (macro).
        intervals: bootstrap interval (low, high) of each figure, at the level ``confidence``.
        seen: how many rows the model was trained on, which makes the figures worthless.
        node: id of the stored evaluation.
    """

    def __float__(self) -> float:
        return self.accuracy

    def __format__(self, spec: str) -> str:
        return format(self.accuracy, spec) if spec else str(self)

    def __eq__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.accuracy == number

    def __hash__(self) -> int:
        return hash(self.accuracy)

    def __lt__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.accuracy < number

    def __le__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.accuracy <= number

    def __gt__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.accuracy > number

    def __ge__(self, other: object) -> bool:
        number = _number(other)
        return NotImplemented if number is None else self.accuracy >= number

    def __repr__(self) -> str:
        return f"Evaluation(model={self.model!r}, accuracy={self.accuracy:.4f}, rows={self.rows})"

    def __str__(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.text(self)

    def __rich__(self) -> "Group":
        from lepton_ai.ml.evaluation import rendering

        return rendering.terminal(self)

    def _repr_html_(self) -> str:
        from lepton_ai.ml.evaluation import rendering

        return rendering.html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = to_builtins(self)
        return values

    def plot_roc(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the ROC curves; see :func:`lepton_ai.ml.evaluation.plots.roc`."""
        from lepton_ai.ml.evaluation import plots

        return plots.roc(self, path)

    def plot_confusion(self, path: str | os.PathLike[str] | None = None) -> "Figure":
        """Draw the confusion matrix; see :func:`lepton_ai.ml.evaluation.plots.confusion`."""
        from lepton_ai.ml.evaluation import plots

        return plots.confusion(self, path)


def assess(
    truth: Sequence[str],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    positive: str | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    model: str = "",
    data: str = "",
    seen: int = 0,
) -> Evaluation:
    """Measure answers against the truth.

    Args:
        truth: the label of each row.
        probabilities: what the model answered (rows, classes).
        classes: the class of each column.
        groups: rows that belong together (a patient's images), resampled together.
        positive: of two classes, the one to look for; by default the second in order, unless its
            name says that nothing was found ("normal", "no", "0", ...) and the first's doesn't.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.
        model: goes into the result as it is, like ``data`` and ``seen``.
        data: see ``model``.
        seen: see ``model``.

    Raises:
        InvalidInput: there is no row, or a label that is none of the classes.
    """
    codes = {label: code for code, label in enumerate(classes)}
    unknown = sorted({str(label) for label in truth} - codes.keys())
    if unknown or not len(truth):
        problem = f"labels that the model does not know: {unknown}" if unknown else "no rows"
        raise InvalidInput(f"the test data has {problem}; the model's classes are {list(classes)}")
    true = np.array([codes[str(label)] for label in truth], dtype=np.int64)
    place = _positive(classes, positive)
    measure = Measure(true, probabilities, place)
    once = np.ones(len(true))
    group = np.arange(len(true)) if groups is None else _codes(groups)
    confusion = confusion_matrix(true, winners(probabilities), len(classes), once)
    bins = reliability(true, probabilities, once)
    curves = range(len(classes)) if place is None else (place,)
    figures = measure(once)
    return Evaluation(
        accuracy=figures["accuracy"],
        balanced_accuracy=figures["balanced_accuracy"],
        precision=figures["precision"],
        recall=figures["recall"],
        f1=figures["f1"],
        auc=_known(figures["auc"]),
        log_loss=figures["log_loss"],
        calibration_error=figures["calibration_error"],
        model=model,
        data=data,
        rows=len(true),
        groups=None if groups is None else int(group.max()) + 1,
        classes=tuple(classes),
        positive=None if place is None else classes[place],
        confidence=confidence,
        intervals=bootstrap(measure, group, resamples=resamples, confidence=confidence, seed=seed),
        confusion=confusion.astype(int).tolist(),
        per_class=[
            ClassFigures(label, int(support), float(p), float(r), float(f), _known(area))
            for label, support, p, r, f, area in zip(
                classes,
                confusion.sum(axis=1),
                *precision_recall_f1(confusion),
                measure.areas(),
                strict=True,
            )
        ],
        roc=[
            _curve(classes[code], true == code, probabilities[:, code])
            for code in curves
            if 0 < (true == code).sum() < len(true)
        ],
        reliability=[Bin(int(n), float(c), float(a)) for n, c, a in bins if n],
        seen=seen,
    )


def _positive(classes: Sequence[str], wanted: str | None) -> int | None:
    if wanted is not None:
        if str(wanted) not in classes or len(classes) != 2:
            raise InvalidInput(
                f"positive={wanted!r} must be one of two classes; the model has {list(classes)}"
            )
        return list(classes).index(str(wanted))
    if len(classes) != 2:
        return None
    first, second = (label.strip().casefold() in _ABSENT for label in classes)
    return 0 if second and not first else 1


def _curve(label: str, positive: NDArray[np.bool_], score: NDArray[np.float64]) -> Curve:
    alarms, hits = roc_curve(positive, score)
    kept = np.unique(np.linspace(0, len(hits) - 1, min(len(hits), _MOST_POINTS)).astype(int))
    return Curve(label, alarms[kept].tolist(), hits[kept].tolist())


def _codes(groups: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1].astype(np.int64)


def _number(value: object) -> float | None:
    if isinstance(value, Evaluation):
        return value.accuracy
    return float(value) if isinstance(value, int | float | np.number) else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
