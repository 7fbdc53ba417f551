"""The evaluation of a regression: predicted numbers against the true ones."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import field
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.errors import (
    ErrorMeasure,
    IntervalMeasure,
    PinballMeasure,
    as_outputs,
)
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import Histogram, OutputFigures, ScatterGrid, Spread
from lepton_ai.ml.evaluation.resampling import (
    Interval,
    Measure,
    Resampling,
    exact,
    interval,
    intervals,
)
from lepton_ai.ml.evaluation.shown import Columns, Name, written
from lepton_ai.ml.evaluation.slices import measure_slices

__all__ = ["RegressionEvaluation", "assess_regression", "scatter_grid"]

Floats = NDArray[np.float64]

_CELLS, _BARS, _SPREADS = 40, 40, 20
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class RegressionEvaluation(Evaluation, frozen=True, kw_only=True, eq=False, tag="regression"):
    """The figures of a regressor; as a number, it is R².

    Errors are in the target's unit; of several outputs each figure is the mean.

    Attributes:
        r2: coefficient of determination, None where the truth does not vary.
        mae: mean absolute error.
        rmse: root mean square error.
        mape: mean of the error's share of the truth, over the rows whose truth is not 0.
        median_error: median absolute error.
        bias: mean of prediction less truth.
        pinball: mean pinball loss, where quantiles were predicted.
        coverage: share of intervals that hold the truth, where intervals were given.
        width: their mean width.
        interval_score: width and misses in one; lower is better.
        level: the share of intervals that was to hold the truth.
        outputs: the figures of each output, where there are several.
        scatter: how predictions and truth go together.
        residuals: their spread along the predictions.
        histogram: of the residuals, truth less prediction.
    """

    task: ClassVar[str] = "regression"
    chief: ClassVar[str] = "r2"
    names: ClassVar[Mapping[str, Name]] = {
        "r2": Name("R²"),
        "mae": Name("mean absolute error", "lower", short="MAE"),
        "rmse": Name("root mean square error", "lower", short="RMSE"),
        "mape": Name("mean error in percent", "lower", percent=True, short="MAPE"),
        "median_error": Name("median absolute error", "lower"),
        "bias": Name("bias", ""),
        "pinball": Name("pinball loss", "lower"),
        "coverage": Name("interval coverage", "", percent=True),
        "width": Name("interval width", "lower"),
        "interval_score": Name("interval score", "lower"),
    }

    r2: float | None
    mae: float
    rmse: float
    mape: float | None
    median_error: float
    bias: float
    pinball: float | None = None
    coverage: float | None = None
    width: float | None = None
    interval_score: float | None = None
    level: float | None = None
    outputs: list[OutputFigures] = field(default_factory=list)
    scatter: ScatterGrid
    residuals: list[Spread]
    histogram: Histogram

    def plots(self) -> dict[str, Plot]:
        """Return what draws predictions against truth and the residuals."""
        from lepton_ai.ml.evaluation import value_plots

        return {
            "predictions": lambda: value_plots.predictions(self),
            "residuals": lambda: value_plots.residuals(self),
            "residual histogram": lambda: value_plots.residual_histogram(self),
        }

    def tables(self) -> list[Columns]:
        """Return the figures of each output, where there are several."""
        if not self.outputs:
            return []
        known = list(self.outputs[0].figures)
        head = ["output", *(self.names[name].head for name in known)]
        rows = [
            [item.output, *(written(item.figures[n], self.names[n].percent) for n in known)]
            for item in self.outputs
        ]
        return [Columns("Outputs", head, rows, range(1, len(head)))]

    def about(self) -> str:
        """Return at what level intervals were measured."""
        return "" if self.level is None else f"intervals at {self.level:.0%}"


def assess_regression(
    truth: Any,
    values: Any,
    *,
    intervals_at: tuple[float, Any, Any] | None = None,
    quantiles: Mapping[float, Any] | None = None,
    outputs: Sequence[str] = (),
    groups: Sequence[Any] | NDArray[Any] | None = None,
    slices: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> RegressionEvaluation:
    """Measure predicted numbers against the truth.

    Args:
        truth: (rows,) or (rows, outputs).
        values: what the model predicted, in the same shape.
        intervals_at: the level, such as 0.9, with the lower and upper ends of the interval of
            each prediction, in the same shape; see :mod:`lepton_ai.ml.evaluation.conformal`.
        quantiles: predicted quantiles by their share, such as 0.1, in the same shape.
        outputs: the name of each output.
        groups: rows that belong together, resampled together.
        slices: columns whose values part the rows; each part is measured too.
        block: for rows in the order of time, how many that follow each other are resampled
            together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, a number is missing or infinite, or shapes differ.
    """
    true = as_outputs("the truth", truth)
    given = as_outputs("the predictions", values, len(true))
    if given.shape != true.shape:
        raise InvalidInput(f"the truth is {true.shape}, the predictions {given.shape}")
    resampling = Resampling.of(
        len(true),
        groups=groups,
        block=block,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    errors = ErrorMeasure(true, given)
    measures: list[Measure] = [_Mean(errors)]
    level = None
    if intervals_at is not None:
        level = intervals_at[0]
        low, high = (as_outputs("an end of intervals", end, len(true)) for end in intervals_at[1:])
        measures.append(IntervalMeasure(true, low, high, level))
    if quantiles:
        known = {
            share: as_outputs(f"the quantile {share}", each, len(true))
            for share, each in quantiles.items()
        }
        measures.append(PinballMeasure(true, known))
    figures: dict[str, float | None] = {}
    found: dict[str, Interval] = {}
    for measure in measures:
        figures |= {n: _known(float(v[0])) for n, v in measure(resampling.once()).items()}
        found |= intervals(resampling.draws(measure), confidence)
    residuals = (true - given).ravel()
    r2, mape = figures.pop("r2"), figures.pop("mape")
    certain = {name: value for name, value in figures.items() if value is not None}
    return RegressionEvaluation(
        r2=r2,
        mape=mape,
        **certain,  # type: ignore[arg-type]
        rows=len(true),
        groups=None if groups is None else resampling.count,
        confidence=confidence,
        intervals=exact(found, {"coverage": resampling.count}, confidence),
        level=level,
        outputs=_outputs(errors, resampling, outputs) if true.shape[1] > 1 else [],
        scatter=scatter_grid(true.ravel(), given.ravel()),
        residuals=_spreads(given.ravel(), residuals),
        histogram=_histogram(residuals),
        slices=measure_slices(
            slices,
            lambda rows: _Mean(ErrorMeasure(true[rows], given[rows])),
            resampling,
            RegressionEvaluation.names,
            "mae",
        ),
    )


class _Mean:
    """The figures of several outputs, each the mean over them."""

    def __init__(self, measure: Measure) -> None:
        self._measure = measure

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        return {name: value.mean(axis=1) for name, value in self._measure(weights).items()}


def _outputs(
    measure: ErrorMeasure, resampling: Resampling, names: Sequence[str]
) -> list[OutputFigures]:
    once, draws = measure(resampling.once()), resampling.draws(measure)
    result = []
    for place in range(once["mae"].shape[1]):
        ends = {n: interval(v[:, place], resampling.confidence) for n, v in draws.items()}
        result.append(
            OutputFigures(
                names[place] if place < len(names) else str(place + 1),
                {name: _known(float(value[0, place])) for name, value in once.items()},
                {name: pair for name, pair in ends.items() if pair is not None},
            )
        )
    return result


def scatter_grid(truth: Floats, values: Floats) -> ScatterGrid:
    """Return how many rows have each pair of truth and prediction; far ones lie at the edge."""
    low, high = (float(end) for end in np.quantile(np.r_[truth, values], (0.001, 0.999)))
    edges = np.linspace(low, high if high > low else low + 1, _CELLS + 1)
    up, across = (np.clip(part, edges[0], edges[-1]) for part in (truth, values))
    counts, _, _ = np.histogram2d(up, across, bins=[edges, edges])
    return ScatterGrid(edges.tolist(), counts.astype(int).tolist())


def _spreads(values: Floats, residuals: Floats) -> list[Spread]:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _SPREADS + 1)[1:-1]))
    place = np.searchsorted(edges, values)
    parts = [place == n for n in range(len(edges) + 1)]
    return [
        Spread(
            int(part.sum()),
            float(values[part].mean()),
            np.quantile(residuals[part], _QUANTILES).tolist(),
        )
        for part in parts
        if part.any()
    ]


def _histogram(residuals: Floats) -> Histogram:
    counts, edges = np.histogram(residuals, bins=_BARS)
    return Histogram(edges.tolist(), {"residuals": counts.tolist()})


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
