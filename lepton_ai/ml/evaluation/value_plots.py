"""Plots of predicted numbers: regression, remaining life, forecasts.

Each takes the evaluation and a path where the figure is saved; the ending says the format (.png,
.svg, .pdf).
"""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from lepton_ai.ml.evaluation.canvas import BLUE, GREY, ORANGE, Path, canvas, entitle, saved

if TYPE_CHECKING:
    from lepton_ai.ml.evaluation.forecasting import ForecastEvaluation
    from lepton_ai.ml.evaluation.regression import RegressionEvaluation
    from lepton_ai.ml.evaluation.remaining_life import LifeEvaluation

__all__ = ["horizon", "lead_times", "predictions", "residual_histogram", "residuals"]


def predictions(evaluation: "RegressionEvaluation | LifeEvaluation", path: Path = None) -> Figure:
    """Draw how many rows have each pair of prediction and truth; exact ones on the diagonal."""
    figure, axes = canvas(5.4, 4.6)
    edges, counts = np.array(evaluation.scatter.edges), np.array(evaluation.scatter.counts)
    shown = np.ma.masked_equal(counts, 0)
    norm = LogNorm(1, max(2, counts.max()))
    image = axes.pcolormesh(edges, edges, shown, cmap="Blues", norm=norm)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=GREY, linestyle=":")
    axes.set(xlabel="predicted", ylabel="true", aspect="equal")
    figure.colorbar(image, label="rows", shrink=0.8)
    entitle(axes, evaluation)
    return saved(figure, path)


def residuals(evaluation: "RegressionEvaluation", path: Path = None) -> Figure:
    """Draw the spread of residuals, truth less prediction, along the predictions."""
    figure, axes = canvas(5.4, 4)
    spreads = sorted(evaluation.residuals, key=lambda item: item.predicted)
    across = [item.predicted for item in spreads]
    quantiles = np.array([item.quantiles for item in spreads])
    if len(spreads) > 1:
        axes.fill_between(
            across, quantiles[:, 0], quantiles[:, 4], color=BLUE, alpha=0.15, label="5 to 95 %"
        )
        axes.fill_between(
            across, quantiles[:, 1], quantiles[:, 3], color=BLUE, alpha=0.3, label="25 to 75 %"
        )
    axes.plot(across, quantiles[:, 2], "o-", color=BLUE, markersize=3, label="median")
    axes.axhline(0, color=GREY, linestyle=":")
    axes.set(xlabel="predicted", ylabel="true less predicted")
    axes.legend(fontsize="small")
    entitle(axes, evaluation)
    return saved(figure, path)


def residual_histogram(evaluation: "RegressionEvaluation", path: Path = None) -> Figure:
    """Draw how residuals, truth less prediction, are distributed."""
    figure, axes = canvas(5.4, 3.6)
    axes.stairs(
        evaluation.histogram.counts["residuals"], evaluation.histogram.edges, fill=True, color=BLUE
    )
    axes.axvline(0, color=GREY, linestyle=":")
    axes.set(xlabel="true less predicted", ylabel="rows")
    entitle(axes, evaluation)
    return saved(figure, path)


def lead_times(evaluation: "LifeEvaluation", path: Path = None) -> Figure:
    """Draw how much life is left when an alarm comes."""
    figure, axes = canvas(5.4, 3.6)
    axes.stairs(evaluation.leads.counts["alarms"], evaluation.leads.edges, fill=True, color=BLUE)
    axes.axvline(evaluation.limit, color=ORANGE, label=f"limit {evaluation.limit:g}")
    if evaluation.needed > 0:
        axes.axvline(
            evaluation.needed, color=ORANGE, linestyle=":", label=f"needed {evaluation.needed:g}"
        )
    axes.set(xlabel="true remaining life at the alarm", ylabel="units")
    axes.legend(fontsize="small")
    entitle(axes, evaluation)
    return saved(figure, path)


def horizon(evaluation: "ForecastEvaluation", path: Path = None) -> Figure:
    """Draw the mean absolute error at each step, with its interval, beside the naive one."""
    figure, axes = canvas(6, 4)
    steps = [item.step for item in evaluation.steps]
    # None, where nothing is known of the truth, becomes NaN, which is not drawn.
    errors = np.array([item.mae for item in evaluation.steps], dtype=np.float64)
    naive = np.array([item.naive_mae for item in evaluation.steps], dtype=np.float64)
    ends = np.array([item.intervals.get("mae", (np.nan, np.nan)) for item in evaluation.steps])
    axes.fill_between(steps, ends[:, 0], ends[:, 1], color=BLUE, alpha=0.2)
    axes.plot(steps, errors, "o-", color=BLUE, markersize=4, label="model")
    if np.isfinite(naive).any():
        axes.plot(steps, naive, "s--", color=ORANGE, markersize=3, label="seasonal-naive")
    axes.set(xlabel="step ahead", ylabel="mean absolute error", ylim=(0, None))
    axes.locator_params(axis="x", integer=True)
    axes.legend(fontsize="small")
    entitle(axes, evaluation)
    return saved(figure, path)
