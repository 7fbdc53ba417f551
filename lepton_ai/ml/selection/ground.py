"""Ground: what a search stands on: the rows, their folds, the processes, and the time there is."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.compute.engine import Engine
from lepton_ai.compute.local import ProcessEngine
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.selection.folds import Plan, plan
from lepton_ai.ml.selection.sides import Source
from lepton_ai.ml.selection.trying import Course, Trial
from lepton_ai.ml.task import Task

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["MEMBERS", "Clock", "Given", "Ground"]

Matrix = NDArray[np.float64]

MEMBERS = 8
"""Models of an ensemble, at most."""
_REPEATS = 2
# Rows up to which folds drawn anew tell something: a figure of few rows hangs on the division.
_FEW_ROWS = 5000
# Values (rows times features) from which processes beside each other pay for their start.
_WORTH_PROCESSES = 300_000
# The share of the time after which no setting is drawn any more.
_DRAWING = 0.7
# A model one setting of which takes more than this share of the time is not tried with another.
_SLOW = 0.1


class Given(Struct, frozen=True, kw_only=True):
    """What is learned from, and how.

    Attributes:
        task: of the models.
        examples: all training rows.
        target: codes of the classes, or values (rows,).
        classes: their names; empty for values.
        balanced: whether each class weighs the same in all.
        recipe: what columns go through first; fitted anew in each fold.
        kinds: of columns.
        components: principal components.
        window: steps of a series that a row is seen with; 0 for rows that stand alone.
        seed: of everything random.
        workers: processors to use.
    """

    task: Task
    examples: Examples
    target: NDArray[Any]
    classes: tuple[str, ...]
    balanced: bool = False
    recipe: "Recipe | None" = None
    kinds: Mapping[str, Any] | None = None
    components: int | float | None = None
    window: int = 0
    seed: int = 0
    workers: int = 1


class Clock:
    """The time that is left of a budget, what the final fit will take being set aside."""

    def __init__(self, budget: float | None) -> None:
        self.budget = budget
        self.aside = 0.0
        self._begun = time.monotonic()

    def left(self) -> float:
        """Return the seconds that are left for comparing."""
        if self.budget is None:
            return np.inf
        return self.budget - self.aside - (time.monotonic() - self._begun)

    def reserve(self, every: Sequence[Trial]) -> None:
        """Set aside the time of fitting the best trials so far to all rows, and exporting them."""
        if self.budget is None:
            return
        done = sorted((t for t in every if t.answers), key=lambda trial: trial.loss)[:MEMBERS]
        fits = sum(trial.seconds / len(trial.fold_losses) for trial in done)
        self.aside = min(0.5 * self.budget, 2 * fits + 0.12 * self.budget)

    @property
    def late(self) -> bool:
        """Whether it is too late to draw another setting."""
        return self.budget is not None and self.left() < (1 - _DRAWING) * self.budget

    def slow(self, trial: Trial) -> bool:
        """Tell whether a trial took so long that its model is not tried again."""
        return self.budget is not None and trial.seconds > _SLOW * self.budget


class Ground:
    """The course of a search, and the processes it runs on where they pay."""

    def __init__(
        self, given: Given, clock: Clock, *, scaled: bool, repeats: int = _REPEATS
    ) -> None:
        examples = given.examples
        rows = len(given.target)
        self.plan: Plan = plan(
            rows,
            codes=given.target if given.classes else None,
            groups=examples.groups,
            times=_order(given),
            seed=given.seed,
            repeats=repeats if rows <= _FEW_ROWS else 1,
        )
        source = Source(
            examples,
            given.target,
            classes=len(given.classes),
            balanced=given.balanced,
            recipe=given.recipe,
            kinds=given.kinds,
            components=given.components,
            scaled=scaled,
            window=given.window,
        )
        build = partial(
            Course,
            given.task,
            source,
            self.plan,
            width=len(given.classes) or 1,
            seed=given.seed,
            # Fits this small wait for each other's threads longer than they calculate.
            workers=1,
            left=clock.left,
        )
        self.course: Course = build(engine=None)
        self.sides = self.course.sides(0, 0)
        self._engine: Engine | None = None
        if given.workers > 1 and self.sides.train.size >= _WORTH_PROCESSES:
            self._engine = ProcessEngine(given.workers)
            self.course = build(engine=self._engine)

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *error: object) -> None:
        if self._engine is not None:
            self._engine.close()


def _order(given: Given) -> Matrix | None:
    """Return the order of the rows that folds keep to."""
    examples = given.examples
    if not given.window:
        return examples.times
    if examples.groups is not None:
        # Whole series are asked about; the time is the order within each.
        return None
    # Neighbouring windows share steps, and would be on both sides.
    return (
        np.arange(len(given.target), dtype=np.float64) if examples.times is None else examples.times
    )
