"""Plots of clusters and of anomaly scores.

Each takes the evaluation and a path where the figure is saved; the ending says the format (.png,
.svg, .pdf).
"""

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.canvas import (
    BLUE,
    COLOURS,
    GREY,
    ORANGE,
    Path,
    canvas,
    entitle,
    plain,
    saved,
)

if TYPE_CHECKING:
    from lepton_ai.ml.evaluation.clustering import ClusteringEvaluation
    from lepton_ai.ml.evaluation.detection import DetectionEvaluation

__all__ = ["precision_recall", "roc", "scores", "silhouettes"]

_MOST_CLUSTERS = 30


def silhouettes(evaluation: "ClusteringEvaluation", path: Path = None) -> Figure:
    """Draw the silhouettes of each cluster's rows, as wide as the cluster is large."""
    known = [item for item in evaluation.clusters if item.quantiles][:_MOST_CLUSTERS]
    figure, axes = canvas(6, 1.6 + 0.5 * max(2, len(known)))
    total = sum(item.rows for item in known) or 1
    begin, places = 0.0, []
    for item, colour in zip(known, cycle(COLOURS)):
        height = item.rows / total
        across = begin + height * np.linspace(0, 1, len(item.quantiles))
        axes.fill_betweenx(across, 0, item.quantiles, color=colour, alpha=0.8)
        places.append(begin + height / 2)
        begin += height + 0.02
    axes.set_yticks(places, [plain(f"{item.label} ({item.rows})") for item in known])
    if evaluation.silhouette is not None:
        label = f"mean {evaluation.silhouette:.2f}"
        axes.axvline(evaluation.silhouette, color=GREY, linestyle="--", label=label)
        axes.legend(fontsize="small")
    axes.set(xlabel="silhouette")
    axes.invert_yaxis()
    entitle(axes, evaluation)
    return saved(figure, path)


def scores(evaluation: "DetectionEvaluation", path: Path = None) -> Figure:
    """Draw how scores are distributed, and from where on a row is an anomaly."""
    figure, axes = canvas(6, 3.6)
    edges = evaluation.histogram.edges
    for (name, counts), colour in zip(evaluation.histogram.counts.items(), cycle((BLUE, ORANGE))):
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.6, label=name)
    if evaluation.threshold is not None:
        axes.axvline(evaluation.threshold, color="black", linestyle="--", label="threshold")
    axes.set(xlabel="score, higher is stranger", ylabel="rows", yscale="symlog")
    axes.set_ylim(0, None)
    axes.legend(fontsize="small")
    entitle(axes, evaluation)
    return saved(figure, path)


def roc(evaluation: "DetectionEvaluation", path: Path = None) -> Figure:
    """Draw the ROC curve of the anomalies."""
    figure, axes = canvas(5, 5)
    for curve in evaluation.roc:
        area = "" if evaluation.auc is None else f" (AUC {evaluation.auc:.3f})"
        axes.plot(
            curve.false_positive_rate,
            curve.true_positive_rate,
            color=BLUE,
            label=f"{curve.label}{area}",
        )
    axes.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="chance")
    axes.set(xlabel="false alarm rate", ylabel="anomalies found", aspect="equal")
    axes.legend(loc="lower right")
    entitle(axes, evaluation)
    return saved(figure, path)


def precision_recall(evaluation: "DetectionEvaluation", path: Path = None) -> Figure:
    """Draw precision against recall of the anomalies."""
    figure, axes = canvas(5, 5)
    for curve in evaluation.precision_recall:
        axes.step(curve.recall, curve.precision, where="pre", color=BLUE, label=curve.label)
        axes.axhline(curve.share, linestyle=":", color=GREY, label="chance")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03), aspect="equal")
    axes.legend(loc="upper right")
    entitle(axes, evaluation)
    return saved(figure, path)
