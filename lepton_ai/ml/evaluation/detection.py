"""The evaluation of anomaly detection: scores against labels, or their distribution alone."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import field
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.errors import as_outputs
from lepton_ai.ml.evaluation.evaluation import Evaluation, Plot
from lepton_ai.ml.evaluation.figures import Curve, Histogram, PrecisionRecall
from lepton_ai.ml.evaluation.ranking import Ranking, precision_recall_curve, roc_curve, thinned
from lepton_ai.ml.evaluation.resampling import Resampling, exact, intervals
from lepton_ai.ml.evaluation.shown import Name
from lepton_ai.ml.evaluation.slices import measure_slices

__all__ = ["DetectionEvaluation", "assess_detection"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_BARS = 50
_SHARES = (0.5, 0.9, 0.95, 0.99, 1.0)


class DetectionEvaluation(Evaluation, frozen=True, kw_only=True, eq=False, tag="detection"):
    """The figures of anomaly scores; as a number, it is the AUC, NaN where labels are unknown.

    Attributes:
        auc: how often an anomaly has a higher score than another row.
        average_precision: the precision at each anomaly, in the mean.
        precision_at_k: share of anomalies among the ``k`` rows of the highest scores.
        precision: share of anomalies among the rows from the threshold on.
        recall: share of the anomalies that are among them.
        false_alarms: share of the other rows that are among them.
        alarms: share of all rows from the threshold on.
        anomalies: share of all rows that are anomalies, where labels are known.
        k: rows that ``precision_at_k`` looks at.
        threshold: the score from which on a row is called an anomaly.
        quantiles: the scores at 50, 90, 95, 99 and 100 %.
        histogram: of the scores, by label where those are known.
        roc: the ROC curve, at most one.
        precision_recall: the precision-recall curve, at most one.
    """

    task: ClassVar[str] = "detection"
    chief: ClassVar[str] = "auc"
    names: ClassVar[Mapping[str, Name]] = {
        "auc": Name("AUC"),
        "average_precision": Name("average precision"),
        "precision_at_k": Name("precision at k"),
        "precision": Name("precision"),
        "recall": Name("recall"),
        "false_alarms": Name("false alarm rate", "lower", percent=True),
        "alarms": Name("rows called anomalies", "", percent=True),
        "anomalies": Name("rows that are anomalies", "", percent=True),
    }

    auc: float | None = None
    average_precision: float | None = None
    precision_at_k: float | None = None
    precision: float | None = None
    recall: float | None = None
    false_alarms: float | None = None
    alarms: float | None = None
    anomalies: float | None = None
    k: int | None = None
    threshold: float | None = None
    quantiles: list[float]
    histogram: Histogram
    roc: list[Curve] = field(default_factory=list)
    precision_recall: list[PrecisionRecall] = field(default_factory=list)

    def plots(self) -> dict[str, Plot]:
        """Return what draws the scores, and the curves where labels are known."""
        from lepton_ai.ml.evaluation import score_plots

        drawn: dict[str, Plot] = {"scores": lambda: score_plots.scores(self)}
        if self.roc:
            drawn["roc"] = lambda: score_plots.roc(self)
            drawn["precision recall"] = lambda: score_plots.precision_recall(self)
        return drawn

    def about(self) -> str:
        """Return from which score on a row is an anomaly, and what k is."""
        known = [
            "" if self.threshold is None else f"anomaly from {self.threshold:.4g} on",
            "" if self.k is None else f"k = {self.k}",
        ]
        return ", ".join(filter(None, known)) or "no labels"


class DetectionMeasure:
    """The figures of scores, under many weightings of the rows at a time."""

    def __init__(
        self, scores: Floats, truth: Flags | None, threshold: float | None, share: float | None
    ) -> None:
        """Prepare what every weighting shares.

        Args:
            scores: (rows,).
            truth: which rows are anomalies, where that is known (rows,).
            threshold: the score of an alarm.
            share: of all rows, that precision at k looks at.
        """
        self._truth = None if truth is None else truth.astype(np.float64)
        self._alarm = None if threshold is None else (scores >= threshold).astype(np.float64)
        self._ranking = None if truth is None else Ranking(truth, scores)
        self._share = share

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        """Return what is defined of the figures, each (draws,)."""
        total = weights.sum(axis=1)
        found: dict[str, Floats] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            if self._alarm is not None:
                alarms = weights @ self._alarm
                found["alarms"] = alarms / total
            if self._truth is not None and self._ranking is not None:
                anomalies = weights @ self._truth
                found["anomalies"] = anomalies / total
                ranked = self._ranking(weights)
                found["auc"] = ranked["auc"]
                found["average_precision"] = ranked["average_precision"]
                if self._share is not None:
                    found["precision_at_k"] = self._ranking.precision_at(weights, self._share)
                if self._alarm is not None:
                    hits = weights @ (self._alarm * self._truth)
                    found["precision"] = hits / alarms
                    found["recall"] = hits / anomalies
                    found["false_alarms"] = (alarms - hits) / (total - anomalies)
        return found


def assess_detection(
    scores: Any,
    truth: Sequence[Any] | NDArray[Any] | None = None,
    *,
    threshold: float | None = None,
    k: int | None = None,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    slices: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> DetectionEvaluation:
    """Measure anomaly scores, against labels where there are any.

    Args:
        scores: higher for what is stranger (rows,).
        truth: whether each row is an anomaly (rows,).
        threshold: the score from which on a row is called an anomaly.
        k: how many rows of the highest scores are looked at; as many as there are anomalies
            unless given.
        groups: rows that belong together, resampled together.
        slices: columns whose values part the rows; each part is measured too.
        block: for rows in the order of time, how many are resampled together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: there is no row, a score is not finite, or shapes differ.
    """
    given = as_outputs("the scores", scores)[:, 0]
    flags = None if truth is None else np.asarray(truth).astype(bool)
    if flags is not None and flags.shape != given.shape:
        raise InvalidInput(f"expected a label for each of {given.shape} scores; got {flags.shape}")
    rows = len(given)
    if flags is not None:
        k = int(flags.sum()) if k is None else k
        if k is not None and not 0 <= k <= rows:
            raise InvalidInput(f"k={k} must be a number of rows, at most {rows}")
    resampling = Resampling.of(
        rows,
        groups=groups,
        block=block,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    share = k / rows if flags is not None and k else None

    def of(chosen: NDArray[np.int64]) -> DetectionMeasure:
        return DetectionMeasure(
            given[chosen], None if flags is None else flags[chosen], threshold, share
        )

    measure = of(np.arange(rows))
    once = {name: float(value[0]) for name, value in measure(resampling.once()).items()}
    draws = resampling.draws(measure) if once else {}
    both = flags is not None and 0 < flags.sum() < rows
    names = DetectionEvaluation.names
    return DetectionEvaluation(
        **{name: value for name, value in once.items() if np.isfinite(value)},  # type: ignore[arg-type]
        rows=rows,
        groups=None if groups is None else resampling.count,
        confidence=confidence,
        intervals=exact(
            intervals(draws, confidence),
            _support(resampling.units, given, flags, threshold),
            confidence,
        ),
        k=k if flags is not None else None,
        threshold=threshold,
        quantiles=np.quantile(given, _SHARES).tolist(),
        histogram=_histogram(given, flags),
        roc=[Curve("anomaly", *thinned(*roc_curve(flags, given)))]
        if flags is not None and both
        else [],
        precision_recall=[
            PrecisionRecall(
                "anomaly", *thinned(*precision_recall_curve(flags, given)), float(flags.mean())
            )
        ]
        if flags is not None and both
        else [],
        slices=measure_slices(
            slices,
            of,
            resampling,
            names,
            "auc" if both else "alarms",
            lambda part: _support(
                resampling.units[part],
                given[part],
                None if flags is None else flags[part],
                threshold,
            ),
        )
        if once
        else [],
    )


def _support(
    units: NDArray[np.int64], scores: Floats, truth: Flags | None, threshold: float | None
) -> dict[str, int]:
    """How many groups each share rests on."""
    everyone = len(np.unique(units))
    found = {"alarms": everyone, "anomalies": everyone}
    if truth is not None:
        anomalies, others = (len(np.unique(units[part])) for part in (truth, ~truth))
        fewest = min(anomalies, others)
        found |= {"auc": fewest, "average_precision": fewest, "precision_at_k": anomalies}
        found |= {"recall": anomalies, "false_alarms": others}
    if threshold is not None:
        found["precision"] = len(np.unique(units[scores >= threshold]))
    return found


def _histogram(scores: Floats, truth: Flags | None) -> Histogram:
    edges = np.histogram_bin_edges(scores, bins=_BARS)
    parts = {"rows": scores}
    if truth is not None:
        parts = {"normal": scores[~truth], "anomaly": scores[truth]}
    counts = {name: np.histogram(part, edges)[0].tolist() for name, part in parts.items()}
    return Histogram(edges.tolist(), counts)
