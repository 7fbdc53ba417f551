"""Thresholds: from which probability on to act, by costs or by a wanted recall or precision.

A leaf. What is chosen is data, applied where a model is served. Choose on rows that the model was
not trained on, and measure on others: the figures of a threshold on the rows it was chosen on
flatter it somewhat.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.resampling import Interval, Resampling, interval, intervals

__all__ = ["CostRule", "Threshold", "choose_threshold"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Costs = Sequence[Sequence[float]]


class Threshold(Struct, frozen=True, kw_only=True):
    """The probability from which on a row is called positive.

    Attributes:
        value: that probability.
        aim: what it was chosen for, in words.
        interval: bootstrap interval of the choice itself: how much it hangs on the rows.
        figures: ``recall``, ``precision``, ``specificity``, ``alarms`` (share of rows called
            positive) and, of costs, ``cost`` (mean of a row), on the rows it was chosen on.
        intervals: bootstrap interval of each.
        rows: how many those were.
        confidence: level of the intervals.
    """

    value: float
    aim: str
    interval: Interval | None
    figures: dict[str, float | None]
    intervals: dict[str, Interval]
    rows: int
    confidence: float

    def apply(self, probability: Floats) -> Flags:
        """Return which rows are called positive, by the probability of it (rows,)."""
        called: Flags = probability >= self.value
        return called


class CostRule(Struct, frozen=True):
    """Gives each row the class of the least expected cost (Elkan, 2001), of any number of classes.

    It takes probabilities at their word, so they must be calibrated; a `Threshold` need not.

    Attributes:
        costs: (true class, given class), in any unit.
    """

    costs: tuple[tuple[float, ...], ...]

    def apply(self, probabilities: Floats) -> NDArray[np.int64]:
        """Return the code of the class to give, of probabilities (rows, classes)."""
        codes: NDArray[np.int64] = (probabilities @ np.array(self.costs)).argmin(axis=1)
        return codes


def choose_threshold(
    positive: Any,
    probability: Any,
    *,
    costs: Costs | None = None,
    recall: float | None = None,
    precision: float | None = None,
    assured: bool = False,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Threshold:
    """Choose a threshold by one aim.

    Args:
        positive: which rows are of the class that is looked for (rows,).
        probability: of that class, or any score that is higher for it (rows,).
        costs: of each outcome, ``[[true negative, false positive], [false negative, true
            positive]]``; the threshold of the least mean cost is chosen.
        recall: the share of positive rows to find; the highest threshold that does is chosen.
        precision: the share of calls to be right; the threshold that finds most so is chosen.
        assured: for a recall or a precision, whether the lower end of its interval is to reach
            it, not only the figure itself.
        groups: rows that belong together, resampled together.
        resamples: bootstrap resamples behind the intervals.
        confidence: level of the intervals.
        seed: of the bootstrap.

    Raises:
        InvalidInput: not one aim was given, a kind of row is absent, or no threshold reaches it.
    """
    flags = np.asarray(positive).astype(bool)
    score = np.asarray(probability, dtype=np.float64)
    if flags.shape != score.shape or score.ndim != 1 or not np.isfinite(score).all():
        raise InvalidInput(
            f"expected a finite probability for each row; got {flags.shape} and {score.shape}"
        )
    if not 0 < flags.sum() < len(flags):
        raise InvalidInput(
            f"{int(flags.sum())} of {len(flags)} rows are positive; a threshold needs both kinds"
        )
    aims = {"costs": costs, "recall": recall, "precision": precision}
    given = [name for name, value in aims.items() if value is not None]
    if len(given) != 1 or (assured and costs is not None):
        raise InvalidInput(
            f"choose by one of costs=, recall= and precision=; got {given or 'none'}"
            + (", and assured= goes with the latter two" if assured else "")
        )
    resampling = Resampling.of(
        len(flags), groups=groups, resamples=resamples, confidence=confidence, seed=seed
    )
    steps = _Steps(flags, score)
    matrix = None if costs is None else _checked(costs)
    wanted = recall if recall is not None else precision
    if wanted is not None and not 0 < wanted <= 1:
        raise InvalidInput(f"{given[0]} must lie above 0 and at most at 1; got {wanted}")
    drawn = []
    reached = []
    for weights in resampling.weights():
        hits, alarms = steps.sums(weights)
        if matrix is not None:
            drawn.append(_cheapest(hits, alarms, matrix))
            continue
        share = _shares(hits, alarms, given[0])
        drawn.append(_first(share, float(wanted or 0), given[0]))
        if assured:
            reached.append(share.astype(np.float32))
    hits, alarms = steps.sums(resampling.once())
    if matrix is not None:
        place = int(_cheapest(hits, alarms, matrix)[0])
    else:
        share = _shares(hits, alarms, given[0])
        if assured:
            tail = (1 - confidence) / 2
            share = np.quantile(np.concatenate(reached), tail, axis=0)[None].astype(np.float64)
        place = int(_first(share, float(wanted or 0), given[0])[0])
        if place < 0:
            raise InvalidInput(
                f"no threshold reaches a {given[0]} of {wanted:g}"
                + (" with that confidence" if assured else "")
                + f"; the highest is {np.nanmax(share):.3f}"
            )
    places = np.concatenate(drawn)
    cuts = steps.cuts
    value = float(cuts[place])
    measure = _At(flags, score >= value, matrix)
    once = {name: float(v[0]) for name, v in measure(resampling.once()).items()}
    return Threshold(
        value=value,
        aim=_aim(given[0], wanted, matrix, assured, confidence),
        interval=interval(np.where(places >= 0, cuts[places], np.nan), confidence),
        figures={n: v if np.isfinite(v) else None for n, v in once.items()},
        intervals=intervals(resampling.draws(measure), confidence),
        rows=len(flags),
        confidence=confidence,
    )


class _Steps:
    """The thresholds that part the rows differently: none, then one below each score."""

    def __init__(self, positive: Flags, score: Floats) -> None:
        self._order = np.argsort(-score, kind="stable")
        ordered = score[self._order]
        self._ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
        self._positive = positive[self._order].astype(np.float64)
        levels = ordered[self._ends]
        # Half way to the next score, a new row near the last one is called alike.
        between = np.r_[(levels[:-1] + levels[1:]) / 2, levels[-1]]
        self.cuts = np.r_[np.nextafter(levels[0], np.inf), between]

    def sums(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the weight of the positive and of the other rows that each threshold calls."""
        drawn = weights[:, self._order]
        hits = np.cumsum(drawn * self._positive, axis=1)[:, self._ends]
        total = np.cumsum(drawn, axis=1)[:, self._ends]
        none = np.zeros((len(weights), 1))
        return np.hstack([none, hits]), np.hstack([none, total - hits])


class _At:
    """The figures of calls, under many weightings of the rows at a time."""

    def __init__(self, positive: Flags, called: Flags, costs: Floats | None) -> None:
        parts = (called & positive, called & ~positive, ~called & positive, ~called & ~positive)
        self._parts = np.stack(parts, axis=1).astype(np.float64)
        self._costs = costs

    def __call__(self, weights: Floats) -> dict[str, Floats]:
        hits, alarms, missed, clear = (weights @ self._parts).T
        total = weights.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {
                "recall": hits / (hits + missed),
                "precision": hits / (hits + alarms),
                "specificity": clear / (clear + alarms),
                "alarms": (hits + alarms) / total,
            }
            if self._costs is not None:
                (negative, false), (miss, hit) = self._costs
                cost = negative * clear + false * alarms + miss * missed + hit * hits
                found["cost"] = cost / total
        return found


def _checked(costs: Costs) -> Floats:
    matrix = np.asarray(costs, dtype=np.float64)
    if matrix.shape != (2, 2) or not np.isfinite(matrix).all():
        raise InvalidInput(
            "costs must be [[true negative, false positive], [false negative, true positive]]; "
            f"got {matrix.shape}"
        )
    if matrix[0, 1] <= matrix[0, 0] or matrix[1, 0] <= matrix[1, 1]:
        raise InvalidInput(
            f"a mistake must cost more than the right call of the same row; got {matrix.tolist()}"
        )
    return matrix


def _cheapest(hits: Floats, alarms: Floats, costs: Floats) -> NDArray[np.int64]:
    (negative, false), (miss, hit) = costs
    # Up to a constant of the draw: what each call changes.
    cost = (hit - miss) * hits + (false - negative) * alarms
    places: NDArray[np.int64] = cost.argmin(axis=1)
    return places


def _shares(hits: Floats, alarms: Floats, aim: str) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = hits / (hits[:, -1:] if aim == "recall" else hits + alarms)
    return share


def _first(share: Floats, wanted: float, aim: str) -> NDArray[np.int64]:
    """The place of the threshold that reaches the aim and calls fewest, or for precision most,
    rows; -1 where none does."""
    enough = np.nan_to_num(share, nan=-1.0) >= wanted - 1e-9
    if aim == "recall":
        place = enough.argmax(axis=1)
    else:
        place = enough.shape[1] - 1 - enough[:, ::-1].argmax(axis=1)
    return np.where(enough.any(axis=1), place, -1)


def _aim(
    name: str, wanted: float | None, costs: Floats | None, assured: bool, confidence: float
) -> str:
    if costs is not None:
        (negative, false), (miss, hit) = costs
        return f"least cost: false positive {false - negative:g}, false negative {miss - hit:g}"
    surely = f", with {confidence:.0%} confidence" if assured else ""
    return f"{name} of at least {wanted:g}{surely}"
