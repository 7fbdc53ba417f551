"""Plots of a classification: curves, the confusion matrix, calibration, decisions.

Each takes the evaluation and a path where the figure is saved; the ending says the format (.png,
.svg, .pdf).
"""

from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.canvas import COLOURS, GREY, Path, canvas, entitle, plain, saved

if TYPE_CHECKING:
    from lepton_ai.ml.evaluation.classification import ClassificationEvaluation

__all__ = ["calibration", "confusion", "decision", "gain", "precision_recall", "roc"]

_MOST_CELLS_WITH_NUMBERS = 400


def roc(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw the ROC curve of the positive class, or of each class against the rest."""
    figure, axes = canvas(5, 5)
    areas = {item.label: item.auc for item in evaluation.per_class}
    for curve, colour in zip(evaluation.roc, cycle(COLOURS)):
        area = areas[curve.label]
        name = plain(curve.label) if area is None else f"{plain(curve.label)} (AUC {area:.3f})"
        axes.plot(curve.false_positive_rate, curve.true_positive_rate, color=colour, label=name)
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    entitle(axes, evaluation)
    axes.legend(loc="lower right")
    return saved(figure, path)


def precision_recall(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw precision against recall; a dotted line is the precision of chance."""
    figure, axes = canvas(5, 5)
    for curve, colour in zip(evaluation.precision_recall, cycle(COLOURS)):
        # Between two thresholds nothing can be had: precision falls before recall rises.
        axes.step(
            curve.recall, curve.precision, where="pre", color=colour, label=plain(curve.label)
        )
        axes.axhline(curve.share, linestyle=":", color=colour, linewidth=1)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03), aspect="equal")
    entitle(axes, evaluation)
    axes.legend(loc="lower left")
    return saved(figure, path)


def gain(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw what share of a class is found among the rows of the highest scores."""
    figure, axes = canvas(5, 5)
    for curve, colour in zip(evaluation.gain, cycle(COLOURS)):
        axes.plot(curve.taken, curve.found, color=colour, label=plain(curve.label))
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="chance")
    axes.set(xlabel="share of rows taken", ylabel="share of the class found", aspect="equal")
    entitle(axes, evaluation)
    axes.legend(loc="lower right")
    return saved(figure, path)


def calibration(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw observed shares against predicted ones; on the diagonal a model is calibrated."""
    figure, axes = canvas(5, 5)
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="calibrated")
    for curve, colour in zip(evaluation.calibration, cycle(COLOURS)):
        predicted = [item.predicted for item in curve.bins]
        observed = [item.observed for item in curve.bins]
        axes.vlines(
            predicted,
            [item.interval[0] for item in curve.bins],
            [item.interval[1] for item in curve.bins],
            color=colour,
            alpha=0.4,
        )
        axes.plot(predicted, observed, "o-", color=colour, markersize=4, label=plain(curve.label))
    axes.set(
        xlabel="predicted probability",
        ylabel="observed share",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    entitle(axes, evaluation)
    axes.legend(loc="upper left")
    return saved(figure, path)


def decision(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw the net benefit of acting on the model, on every row, and on none."""
    figure, axes = canvas(6, 4.2)
    curve = evaluation.decision
    if curve is not None:
        axes.fill_between(curve.thresholds, curve.low, curve.high, color=COLOURS[0], alpha=0.15)
        axes.plot(
            curve.thresholds,
            curve.net_benefit,
            color=COLOURS[0],
            label=plain(evaluation.model) or "model",
        )
        axes.plot(curve.thresholds, curve.treat_all, color=COLOURS[1], label="act on every row")
        highest = max(0.01, *curve.net_benefit, *curve.treat_all)
        axes.set_ylim(-0.25 * highest, 1.1 * highest)
        axes.set_ylabel(f"net benefit, {plain(curve.label)}")
    axes.axhline(0, color=GREY, linestyle=":", label="act on no row")
    axes.set(xlabel="probability from which one acts", xlim=(0, 1))
    entitle(axes, evaluation)
    axes.legend(loc="best", fontsize="small")
    return saved(figure, path)


def confusion(evaluation: "ClassificationEvaluation", path: Path = None) -> Figure:
    """Draw the confusion matrix: a row for each true class, a column for each predicted one."""
    counts = evaluation.confusion
    labels = [plain(label) for label in evaluation.classes]
    # The colour is the share of the true class, so that a rare class is as visible as a common.
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    side = 3.5 + 0.35 * len(labels)
    figure, axes = canvas(side, side)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted class", ylabel="true class")
    entitle(axes, evaluation)
    if len(labels) ** 2 <= _MOST_CELLS_WITH_NUMBERS:
        for i, row in enumerate(counts):
            for j, number in enumerate(row):
                colour = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, str(number), ha="center", va="center", color=colour)
    return saved(figure, path)
