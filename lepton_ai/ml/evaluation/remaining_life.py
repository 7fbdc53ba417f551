"""The evaluation of remaining useful life: errors, and how early an alarm comes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.errors import as_outputs, weighted_quantile
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import Histogram, ScatterGrid
from lepton_ai.ml.evaluation.regression import scatter_grid
from lepton_ai.ml.evaluation.resampling import Resampling, exact, intervals, unit_codes
from lepton_ai.ml.evaluation.shown import Name
from lepton_ai.ml.evaluation.slices import measure_slices

__all__ = ["LifeEvaluation", "assess_remaining_life", "phm08_score"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

# How soon early and late predictions cost e times as much (Saxena et al., 2008).
_EARLY, _LATE = 13.0, 10.0
_BARS = 30


class LifeEvaluation(Evaluation, frozen=True, kw_only=True, eq=False, tag="remaining life"):
    """The figures of predicted remaining life; as a number, it is the root mean square error.

    Errors and lead times are in the unit of life (cycles, hours). A unit is *due* when its true
    remaining life comes to the limit; an alarm is raised where the predicted one does.

    Attributes:
        rmse: root mean square error over all rows.
        mae: mean absolute error over all rows.
        bias: mean of prediction less truth; above 0 failure comes earlier than told.
        last_rmse: root mean square error of the last row of each unit.
        score: the asymmetric PHM08 score of the last rows, summed; lower is better.
        warned: share of due units with an alarm at least ``needed`` before failure.
        median_lead: median true remaining life at the alarm, of due units with one.
        short_lead: a tenth of these alarms come with less life left than this.
        premature: share of alarms that come with more than ``earliest`` left.
        limit: predicted remaining life at which an alarm is raised.
        needed: lead that a warning must have to be of use.
        earliest: lead beyond which an alarm is premature.
        due: how many units are due.
        alarms: how many units have an alarm.
        scatter: how predictions and truth go together.
        leads: histogram of the lead times.
    """

    task: ClassVar[str] = "remaining life"
    chief: ClassVar[str] = "rmse"
    names: ClassVar[Mapping[str, Name]] = {
        "rmse": Name("root mean square error", "lower", short="RMSE"),
        "mae": Name("mean absolute error", "lower", short="MAE"),
        "bias": Name("bias", ""),
        "last_rmse": Name("RMSE of last rows", "lower"),
        "score": Name("PHM08 score", "lower"),
        "warned": Name("due units warned of", percent=True),
        "median_lead": Name("median lead time"),
        "short_lead": Name("lead time, shortest tenth"),
        "premature": Name("premature alarms", "lower", percent=True),
    }

    rmse: float
    mae: float
    bias: float
    last_rmse: float
    score: float
    warned: float | None
    median_lead: float | None
    short_lead: float | None
    premature: float | None
    limit: float
    needed: float
    earliest: float
    due: int
    alarms: int
    scatter: ScatterGrid
    leads: Histogram

    def plots(self) -> dict[str, Plot]:
        """Return what draws predictions against truth and the lead times."""
        from lepton_ai.ml.evaluation import value_plots

        return {
            "predictions": lambda: value_plots.predictions(self),
            "lead times": lambda: value_plots.lead_times(self),
        }

    def about(self) -> str:
        """Return when an alarm is raised, and of how many units."""
        return f"alarm at {self.limit:g}, {self.due} units due, {self.alarms} alarms"


class LifeMeasure:
    """The figures of predicted remaining life, rows of a unit in the order of time."""

    def __init__(
        self,
        truth: Floats,
        values: Floats,
        units: Codes,
        limit: float,
        needed: float,
        earliest: float,
        confirm: int,
    ) -> None:
        error = values - truth
        self._rows = np.stack([error**2, np.abs(error), error], axis=1)
        parts = _parts(units)
        self._first = np.array([rows[0] for rows in parts])
        last = np.array([rows[-1] for rows in parts])
        self._ends = np.stack([error[last] ** 2, phm08_score(truth[last], values[last])], axis=1)
        self.lead = np.array([_lead(truth[rows], values[rows] <= limit, confirm) for rows in parts])
        self.alarmed = ~np.isnan(self.lead)
        self.due = np.array([bool((truth[rows] <= limit).any()) for rows in parts])
        lead = np.nan_to_num(self.lead, nan=-1.0)
        in_time = self.due & self.alarmed & (lead >= needed)
        early = self.alarmed & (lead > earliest)
        flags = (self.due, in_time, self.alarmed, early)
        self._flags = np.stack(flags, axis=1).astype(np.float64)
        counted = np.flatnonzero(self.due & self.alarmed)
        self._by_lead = counted[np.argsort(lead[counted], kind="stable")]

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return the figures, each (draws,), of weights that rows of a unit share."""
        square, size, error = ((weights @ self._rows) / weights.sum(axis=1)[:, None]).T
        of_unit = weights[:, self._first]
        units = of_unit.sum(axis=1)
        last, score = (of_unit @ self._ends / units[:, None]).T
        due, in_time, alarmed, early = (of_unit @ self._flags).T
        undefined = np.full(len(weights), np.nan)
        leads = [undefined, undefined]
        if len(self._by_lead):
            values, drawn = self.lead[self._by_lead], of_unit[:, self._by_lead]
            some = drawn.sum(axis=1) > 0
            leads = [
                np.where(some, weighted_quantile(values, drawn, share), np.nan)
                for share in (0.5, 0.1)
            ]
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "rmse": np.sqrt(square),
                "mae": size,
                "bias": error,
                "last_rmse": np.sqrt(last),
                # A sum over the units that there are, whatever the draw holds.
                "score": score * len(self._first),
                "warned": in_time / due,
                "median_lead": leads[0],
                "short_lead": leads[1],
                "premature": early / alarmed,
            }


def phm08_score(truth: Any, values: Any) -> Floats:
    """Return the PHM08 score of each prediction (Saxena et al., 2008); 0 is exact.

    A prediction that is too late costs more than one as much too early:
    ``exp(error / 10) - 1`` above the truth, ``exp(-error / 13) - 1`` below it.

    Args:
        truth: remaining life.
        values: what was predicted, in the same shape.
    """
    error = np.asarray(values, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    score: Floats = np.expm1(np.where(error < 0, -error / _EARLY, error / _LATE))
    return score


def assess_remaining_life(
    truth: Any,
    values: Any,
    *,
    units: Sequence[Any] | NDArray[Any] | None = None,
    limit: float,
    needed: float = 0.0,
    earliest: float | None = None,
    confirm: int = 1,
    slices: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> LifeEvaluation:
    """Measure predicted remaining life, and the alarms that would have been raised by it.

    Args:
        truth: true remaining life (rows,).
        values: what the model predicted (rows,).
        units: which unit (engine) each row is of, a unit's rows in the order of time; whole units
            are resampled. Each row is a unit unless given.
        limit: the predicted remaining life at which an alarm is raised.
        needed: how much life must be left for a warning to be of use.
        earliest: beyond how much left an alarm is premature; twice the limit unless given.
        confirm: how many predictions one after the other must lie at or below the limit.
        slices: columns whose values part the units; each part is measured too.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, a number is missing or infinite, or shapes differ.
    """
    true = as_outputs("the truth", truth)[:, 0]
    given = as_outputs("the predictions", values, len(true))[:, 0]
    if confirm < 1:
        raise InvalidInput(f"confirm must be at least 1 prediction; got {confirm}")
    resampling = Resampling.of(
        len(true), groups=units, resamples=resamples, confidence=confidence, seed=seed
    )
    codes = np.arange(len(true)) if units is None else unit_codes(units)
    beyond = 2 * limit if earliest is None else earliest

    def of(rows: Codes) -> LifeMeasure:
        return LifeMeasure(true[rows], given[rows], codes[rows], limit, needed, beyond, confirm)

    measure = of(np.arange(len(true)))
    found = {name: float(value[0]) for name, value in measure(resampling.once()).items()}
    names = LifeEvaluation.names
    counts, edges = np.histogram(measure.lead[measure.alarmed], bins=_BARS)
    return LifeEvaluation(
        rmse=found["rmse"],
        mae=found["mae"],
        bias=found["bias"],
        last_rmse=found["last_rmse"],
        score=found["score"],
        warned=_known(found["warned"]),
        median_lead=_known(found["median_lead"]),
        short_lead=_known(found["short_lead"]),
        premature=_known(found["premature"]),
        rows=len(true),
        groups=None if units is None else resampling.count,
        confidence=confidence,
        intervals=exact(
            intervals(resampling.draws(measure), confidence),
            {"warned": int(measure.due.sum()), "premature": int(measure.alarmed.sum())},
            confidence,
        ),
        limit=limit,
        needed=needed,
        earliest=beyond,
        due=int(measure.due.sum()),
        alarms=int(measure.alarmed.sum()),
        scatter=scatter_grid(true, given),
        leads=Histogram(edges.tolist(), {"alarms": counts.tolist()}),
        slices=measure_slices(slices, of, resampling, names, "rmse"),
    )


def _parts(units: Codes) -> list[Codes]:
    """The rows of each unit, in their order."""
    order = np.argsort(units, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(units[order])) + 1)


def _lead(truth: Floats, below: NDArray[np.bool_], confirm: int) -> float:
    """The true life at the row that ends so many below the limit in a row, NaN without."""
    if confirm > 1:
        runs = np.convolve(below.astype(int), np.ones(confirm, dtype=int))[: len(below)]
        below = runs >= confirm
    return float(truth[below.argmax()]) if below.any() else float("nan")


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
