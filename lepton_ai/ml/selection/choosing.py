"""Choosing: what a training is to be, as its caller asked: searched, tuned, decided or as it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.selection.deciding import (
    Decision,
    check_aim,
    check_interval,
    decide,
    surround,
)
from lepton_ai.ml.selection.ground import Given
from lepton_ai.ml.selection.leaderboard import Leaderboard
from lepton_ai.ml.selection.searching import BUDGET, Found, out_of_fold, search
from lepton_ai.ml.task import CLASSIFICATION, REGRESSION, Task
from lepton_ai.ml.zoo import Entry

__all__ = ["AUTO", "Choice", "Effort", "check_effort", "choose", "is_auto"]

AUTO = "auto"


class Effort(Struct, frozen=True, kw_only=True):
    """What a caller asked of the choice; see `lepton_ai.ml.training.train_classifier`."""

    tune: bool = False
    budget: float | None = None
    trials: int | None = None
    threshold: Any = None
    calibrate: str | None = None
    positive: str | None = None
    interval: float | None = None

    @property
    def searching(self) -> bool:
        """Whether settings are to be searched."""
        return self.tune or self.budget is not None or self.trials is not None

    @property
    def deciding(self) -> bool:
        """Whether a calibration, a threshold or intervals are to be fitted."""
        return any(each is not None for each in (self.threshold, self.calibrate, self.interval))


class Choice(Struct, frozen=True):
    """What is to be trained.

    Attributes:
        entry: which model.
        parameters: with which parameters.
        leaderboard: what it was chosen among, where it was.
        decision: what its answers become, where that was asked for.
    """

    entry: Entry
    parameters: dict[str, Any]
    leaderboard: Leaderboard | None = None
    decision: Decision | None = None


def is_auto(model_type: Any) -> bool:
    """Return whether the caller leaves the choice of the model to the platform."""
    return isinstance(model_type, str) and model_type.strip().casefold() == AUTO


def check_effort(
    task: Task, model_type: Any, effort: Effort, parameters: Mapping[str, Any]
) -> None:
    """Refuse what does not go together, before any data is read.

    Raises:
        InvalidInput: the message says what does not.
    """
    auto = is_auto(model_type)
    if not (auto or effort.searching or effort.deciding or effort.positive is not None):
        return
    if task not in (CLASSIFICATION, REGRESSION):
        raise InvalidInput(
            f"models are compared for classification and regression, not {task.name}"
        )
    if auto and parameters:
        raise InvalidInput(
            f"model_type='auto' chooses parameters itself; leave out {', '.join(parameters)}, or "
            "name a model type and pass tune=True"
        )
    if task is CLASSIFICATION and effort.interval is not None:
        raise InvalidInput("interval= is about numbers; leave it out")
    about_classes = (effort.threshold, effort.calibrate, effort.positive)
    if task is not CLASSIFICATION and any(each is not None for each in about_classes):
        raise InvalidInput("threshold=, calibrate= and positive= are about classes; leave them out")
    check_aim(effort.threshold, effort.calibrate)
    check_interval(effort.interval)


def choose(
    given: Given,
    effort: Effort,
    entry: Entry | None,
    parameters: dict[str, Any],
    coded: dict[str, Any],
) -> Choice:
    """Search where that was asked for, then decide on answers out of fold.

    Args:
        given: the rows.
        effort: what was asked for.
        entry: the named model; None compares all that are plausible.
        parameters: the caller's.
        coded: the same, as the estimator is given them.

    Raises:
        InvalidInput: the rows do not suffice; the message says for what.
        MissingExtra: Optuna is needed and not installed.
    """
    found: Found | None = None
    if entry is None or effort.searching:
        timed = effort.budget is None and effort.trials is None
        found = search(
            given,
            entry=entry,
            parameters=coded,
            budget=BUDGET if timed else effort.budget,
            trials=effort.trials,
        )
        # What the caller set stays as the caller wrote it.
        entry, parameters = found.entry, {**found.parameters, **parameters}
    board = None if found is None else found.leaderboard
    if not effort.deciding:
        return Choice(entry, parameters, board)
    rows, answers = (
        out_of_fold(given, entry, coded) if found is None else (found.rows, found.answers)
    )
    if effort.interval is not None:
        name = given.examples.target or "value"
        around = surround(given.target[rows], answers, name, level=effort.interval)
        return Choice(entry, parameters, board, around)
    groups = given.examples.groups
    decision = decide(
        given.examples.labels[rows],
        answers,
        given.classes,
        aim=effort.threshold,
        calibrate=effort.calibrate,
        positive=effort.positive,
        groups=None if groups is None else _some(groups, rows),
        seed=given.seed,
    )
    return Choice(entry, parameters, board, decision)


def _some(groups: Any, rows: NDArray[np.int64]) -> list[str]:
    return [groups[row] for row in rows.tolist()]
