"""Deciding: calibration and threshold of a classifier, intervals of a regressor.

They are fitted to answers out of fold, on which no model that gave one had learned, and kept as
data that is applied where the model is served.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.evaluation.conformal import split_conformal
from lepton_ai.ml.evaluation.labels import positive_of
from lepton_ai.ml.evaluation.recalibrating import Method, recalibrate
from lepton_ai.ml.evaluation.thresholds import CostRule, Threshold, choose_threshold
from lepton_ai.ml.outcome import Classes, Values

__all__ = ["CALIBRATIONS", "Decision", "check_aim", "check_interval", "decide", "surround"]

Matrix = NDArray[np.float64]

# What callers say -> the method.
CALIBRATIONS: dict[str, Method] = {
    "isotonic": "isotonic",
    "sigmoid": "platt",
    "temperature": "temperature",
}
_AIMS = ("recall", "precision", "costs")


class Decision(Struct, frozen=True):
    """How what an estimator gives becomes answers.

    Attributes:
        outcome: the classes, or the value, with what is applied.
        threshold: how the threshold was chosen, where one was.
    """

    outcome: Classes | Values
    threshold: Threshold | None = None


def check_aim(aim: Any, calibrate: str | None) -> None:
    """Refuse what no decision can be made by, before anything is fitted.

    Raises:
        InvalidInput: the message says what is taken.
    """
    if calibrate is not None and calibrate not in CALIBRATIONS:
        raise InvalidInput(
            f"calibrate={calibrate!r} is unknown; choose one of: {', '.join(CALIBRATIONS)}"
        )
    if aim is None or _is_share(aim):
        return
    known = isinstance(aim, Mapping) and aim.keys() <= {*_AIMS, "assured"}
    if not known or len(set(_AIMS) & aim.keys()) != 1:
        raise InvalidInput(
            "threshold is a probability between 0 and 1, or what to choose one by: "
            "{'recall': 0.9}, {'precision': 0.8} or {'costs': [[0, 1], [5, 0]]} with a row for "
            f"each true class and a column for each given one; got {aim!r}"
        )


def check_interval(level: Any) -> None:
    """Refuse a share of intervals that none can have.

    Raises:
        InvalidInput: it is no number from 0.5 to below 1.
    """
    if level is None:
        return
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0.5 <= level < 1:
        raise InvalidInput(
            "interval is the share of intervals that are to hold the truth, from 0.5 to below 1, "
            f"such as 0.9; got {level!r}"
        )


def decide(
    labels: NDArray[np.str_],
    answers: Matrix,
    classes: tuple[str, ...],
    *,
    aim: Any = None,
    calibrate: str | None = None,
    positive: str | None = None,
    groups: Any = None,
    seed: int = 0,
) -> Decision:
    """Fit calibration, then the threshold to what is calibrated.

    Args:
        labels: the class of each row (rows,).
        answers: probabilities out of fold (rows, classes).
        classes: their names.
        aim: see `check_aim`; None leaves labels to the most probable class.
        calibrate: a key of :data:`CALIBRATIONS`, or None.
        positive: of two classes, the one that the aim is about; by default the one whose name
            does not say that nothing was found.
        groups: of the rows, drawn together for the threshold's interval.
        seed: of the draws.

    Raises:
        InvalidInput: a class has too few rows, or the aim cannot be reached.
    """
    check_aim(aim, calibrate)
    place = positive_of(classes, positive)
    name = None if place is None else classes[place]
    recalibration = None
    if calibrate is not None:
        method = CALIBRATIONS[calibrate]
        recalibration = recalibrate(labels.tolist(), answers, classes, method=method)
        answers = recalibration.apply(answers)
    outcome = Classes(classes, positive=positive, recalibration=recalibration)
    if aim is None:
        return Decision(outcome)
    if _is_share(aim):
        return Decision(_cut(outcome, name, float(aim), "a threshold"))
    if name is None and "costs" in aim:
        rule = _rule(aim["costs"], len(classes))
        return Decision(Classes(classes, costs=rule, recalibration=recalibration))
    _cut(outcome, name, 0.5, "a recall or a precision")
    assert place is not None
    costs = aim.get("costs")
    chosen = choose_threshold(
        labels == name,
        answers[:, place],
        costs=None if costs is None else _turned(_rule(costs, 2), place),
        recall=aim.get("recall"),
        precision=aim.get("precision"),
        assured=bool(aim.get("assured", False)),
        groups=groups,
        seed=seed,
    )
    return Decision(_cut(outcome, name, chosen.value, "a threshold"), chosen)


def surround(values: Matrix, answers: Matrix, name: str, *, level: float) -> Decision:
    """Fit intervals of one width around predictions.

    Args:
        values: the truth (rows,).
        answers: predictions out of fold (rows, 1).
        name: of what is predicted.
        level: the share of intervals that is to hold the truth.

    Raises:
        InvalidInput: there are too few rows for the level.
    """
    around = split_conformal(values, answers[:, 0], level=level)
    return Decision(Values((name,), around.reach[0], level))


def _is_share(aim: Any) -> bool:
    return isinstance(aim, int | float) and not isinstance(aim, bool) and 0 < aim < 1


def _cut(outcome: Classes, positive: str | None, value: float, what: str) -> Classes:
    if positive is None:
        raise InvalidInput(
            f"{what} is about one of two classes; the model has {len(outcome.names)}: use "
            "threshold={'costs': ...} with a row and a column for each"
        )
    return Classes(
        outcome.names,
        positive=positive,
        threshold=value,
        recalibration=outcome.recalibration,
    )


def _rule(costs: Any, classes: int) -> CostRule:
    try:
        matrix = np.asarray(costs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"costs must be numbers, a row for each class; got {costs!r}") from error
    if matrix.shape != (classes, classes) or not np.isfinite(matrix).all():
        raise InvalidInput(
            f"costs must have a row for each of {classes} true classes and a column for each given "
            f"one, in the order of the classes; got {matrix.shape}"
        )
    return CostRule(tuple(tuple(row) for row in matrix.tolist()))


def _turned(rule: CostRule, place: int) -> tuple[tuple[float, ...], ...]:
    """Return costs by class as costs of negative and positive, in this order."""
    if place == 1:
        return rule.costs
    (first, mistaken), (missed, second) = rule.costs
    return ((second, missed), (mistaken, first))
