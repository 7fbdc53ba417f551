"""Trying: one model with one setting is asked about rows that it did not learn from."""

import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from lepton_ai.compute.engine import Engine, Reference
from lepton_ai.core.errors import MissingExtra
from lepton_ai.ml.fitting import fit
from lepton_ai.ml.selection.blending import losses, parts_of
from lepton_ai.ml.selection.folds import Plan
from lepton_ai.ml.selection.sides import Sides, Source
from lepton_ai.ml.task import CLASSIFICATION, Task
from lepton_ai.ml.zoo import Entry

__all__ = ["RUNG", "Course", "Trial"]

Matrix = NDArray[np.float64]

# A setting that may be stopped is judged after so many folds.
RUNG = 2


class Trial:
    """One model with one setting, and what it answered so far.

    Attributes:
        entry: which model.
        parameters: the setting, over the zoo's own.
        answers: of each finished repeat, to the rows that were asked about (rows, width).
        fold_losses: mean loss in each fold.
        state: see `lepton_ai.ml.selection.leaderboard.Contender`; ``missing`` where its library is
            not installed.
        note: why it is not complete.
        seconds: that fits and answers took, of all folds together.
        token: whatever drew the setting wants to know it by.
    """

    def __init__(self, entry: Entry, parameters: dict[str, Any], token: Any = None) -> None:
        self.entry = entry
        self.parameters = parameters
        self.token = token
        self.answers: list[Matrix] = []
        self.fold_losses: list[float] = []
        self.state = "complete"
        self.note = ""
        self.seconds = 0.0

    @property
    def loss(self) -> float:
        """The mean of its folds' losses."""
        return float(np.mean(self.fold_losses))

    def stop(self, state: str, note: str) -> None:
        """Say that it is not asked any further, and why."""
        self.state, self.note = state, note


class Answer(Struct, frozen=True):
    """What one fold came to: the answers to its test rows (rows, width), and the seconds."""

    answers: Matrix
    seconds: float


class Course:
    """The folds of a comparison, prepared once, that every trial goes through."""

    def __init__(
        self,
        task: Task,
        source: Source,
        plan: Plan,
        *,
        width: int,
        seed: int,
        workers: int,
        engine: Engine | None,
        left: Callable[[], float],
    ) -> None:
        """Keep what trials share.

        Args:
            task: of the models.
            source: of the sides of folds.
            plan: the folds.
            width: of the answers.
            seed: of every fit.
            workers: threads of a fit in this process.
            engine: runs folds beside each other; None for one after another, here.
            left: tells how many seconds may still be used.
        """
        self.task, self.source, self.plan = task, source, plan
        self._width, self._seed, self._workers = width, seed, workers
        self._engine, self._left = engine, left
        self._sides: dict[tuple[int, int], Sides] = {}
        self._shared: dict[tuple[int, int], tuple[Reference[Any], ...]] = {}

    def run(
        self,
        trial: Trial,
        repeat: int = 0,
        *,
        keep: Callable[[Trial], bool] | None = None,
        always: bool = False,
    ) -> bool:
        """Take a trial through the folds of one repeat; return whether it finished.

        Args:
            trial: which; what comes of it is noted there.
            repeat: number of the repeat.
            keep: asked after the first folds whether the trial is worth the rest.
            always: whether it is finished even when the time is over.
        """
        folds = self.plan.repeats[repeat]
        place = {row: number for number, row in enumerate(self.plan.asked.tolist())}
        collected = np.zeros((len(place), self._width))
        rungs = (range(min(RUNG, len(folds))), range(min(RUNG, len(folds)), len(folds)))
        done = 0
        for rung in rungs:
            for number, answer in self._answers(trial, repeat, rung, always):
                if answer is None:
                    return False
                rows = folds[number].test
                collected[[place[row] for row in rows.tolist()]] = answer.answers
                trial.seconds += answer.seconds
                trial.fold_losses.append(self._loss(answer.answers, rows))
                done += 1
            if keep is not None and done < len(folds) and not keep(trial):
                trial.stop("stopped", f"among the worse after {done} of {len(folds)} folds")
                return False
        trial.answers.append(collected)
        return True

    def weights(self, rows: NDArray[np.int64]) -> Matrix:
        """Return what each of some rows counts."""
        known = self.source.examples.weights
        return np.ones(len(rows)) if known is None else known[rows]

    def sides(self, repeat: int, number: int) -> Sides:
        """Return a fold's sides, prepared when first asked for."""
        key = (repeat, number)
        if key not in self._sides:
            self._sides[key] = self.source.sides(self.plan.repeats[repeat][number])
        return self._sides[key]

    def _loss(self, answers: Matrix, rows: NDArray[np.int64]) -> float:
        each = losses(parts_of(answers, self.source.target[rows], self.task.name), self.task.name)
        weights = self.weights(rows)
        total = weights.sum()
        return float(each @ weights / total) if total else float(each.mean())

    def _answers(
        self, trial: Trial, repeat: int, numbers: range, always: bool
    ) -> Iterator[tuple[int, Answer | None]]:
        """Yield the answer of each fold; None once the trial failed or the time is over."""
        ask = partial(self._ask, trial, repeat)
        try:
            if self._engine is not None and numbers and (always or self._left() > 0):
                running = [self._engine.submit(*ask(number)) for number in numbers]
                for number, future in zip(numbers, running, strict=True):
                    yield number, future.result()
                return
            for number in numbers:
                if not always and self._left() <= 0:
                    trial.stop("late", "the time was over")
                    yield number, None
                    return
                function, *arguments = ask(number)
                given = [a.get() if isinstance(a, Reference) else a for a in arguments]
                yield number, function(*given)
        except MissingExtra as error:
            trial.stop("missing", str(error))
            yield 0, None
        except Exception as error:
            # The others go on, whatever the library of one model raises; the leaderboard tells.
            trial.stop("failed", str(error) or type(error).__name__)
            yield 0, None

    def _ask(self, trial: Trial, repeat: int, number: int) -> tuple[Any, ...]:
        """Return the function of one fold and its arguments."""
        sides = self.sides(repeat, number)
        bare = sides
        train: Any = sides.train
        test: Any = sides.test
        if self._engine is not None:
            key = (repeat, number)
            if key not in self._shared:
                self._shared[key] = (self._engine.put(sides.train), self._engine.put(sides.test))
            train, test = self._shared[key]
            # The matrices travel once, through memory that every worker maps.
            empty = np.empty((0, 0))
            bare = replace(sides, train=empty, test=empty)
        threads = 1 if self._engine is not None else self._workers
        settings = (trial.entry, trial.parameters, self.task, self._seed, threads, self._width)
        return (_answered, settings, bare, train, test)


def _answered(
    settings: tuple[Entry, dict[str, Any], Task, int, int, int],
    sides: Sides,
    train: Matrix,
    test: Matrix,
) -> Answer:
    """Fit one model to one side of a fold and ask it about the other."""
    entry, parameters, task, seed, workers, width = settings
    started = time.perf_counter()
    if sides.present is not None and len(sides.present) == 1:
        alone = np.zeros((len(test), width))
        alone[:, sides.present] = 1
        return Answer(alone, time.perf_counter() - started)
    with warnings.catch_warnings():
        # A setting that does not settle shows so in its loss.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = fit(
            entry,
            train,
            sides.target,
            seed=seed,
            parameters=parameters,
            task=task,
            groups=sides.groups,
            weights=sides.weights,
            times=sides.times,
            shape=sides.shape,
            workers=workers,
        )
        answers = task.answers(fitted.estimator, test)
    if task is CLASSIFICATION:
        assert sides.present is not None
        every = np.zeros((len(test), width))
        every[:, sides.present] = answers
        answers = every
    return Answer(answers, time.perf_counter() - started)
