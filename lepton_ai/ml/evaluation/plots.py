"""ROC curves and confusion matrices as matplotlib figures; no display is needed."""

import os

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.figures import Figures

__all__ = ["confusion", "roc"]

_MOST_CELLS_WITH_NUMBERS = 400


def roc(evaluation: Figures, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the ROC curve of the positive class, or of each class against the rest.

    Args:
        evaluation: what to draw.
        path: where to save the figure; the ending says the format (.png, .svg, .pdf).
    """
    figure = Figure(figsize=(5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    areas = {item.label: item.auc for item in evaluation.per_class}
    for curve in evaluation.roc:
        area = areas[curve.label]
        name = curve.label if area is None else f"{curve.label} (AUC {area:.3f})"
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, label=_plain(name))
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    _entitle(axes, evaluation)
    axes.legend(loc="lower right")
    return _saved(figure, path)


def confusion(evaluation: Figures, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw the confusion matrix: a row for each true class, a column for each predicted one.

    Args:
        evaluation: what to draw.
        path: where to save the figure; the ending says the format (.png, .svg, .pdf).
    """
    counts = evaluation.confusion
    labels = [_plain(label) for label in evaluation.classes]
    # The colour is the share of the true class, so that a rare class is as visible as a common.
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    side = 3.5 + 0.35 * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted class", ylabel="true class")
    _entitle(axes, evaluation)
    if len(labels) ** 2 <= _MOST_CELLS_WITH_NUMBERS:
        for i, row in enumerate(counts):
            for j, number in enumerate(row):
                colour = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, str(number), ha="center", va="center", color=colour)
    return _saved(figure, path)


def _entitle(axes: Axes, evaluation: Figures) -> None:
    about = f"on {evaluation.data}: {evaluation.rows} rows" if evaluation.data else ""
    axes.set_title(_plain("\n".join(filter(None, (evaluation.model, about)))), fontsize="medium")


def _plain(text: str) -> str:
    """A class may be called anything; a dollar sign must not start a formula."""
    return text.replace("$", r"\$")


def _saved(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    if path is not None:
        figure.savefig(path)
    return figure
