"""Searching: which model to train, found by comparing many on rows that they did not learn from.

Every plausible model is tried with the zoo's own parameters, the baseline first; then settings are
drawn from their spaces until the trials or the time are used up; the best are asked again on folds
drawn anew; and of those a weighted ensemble is selected. A named model is tuned likewise, alone.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.compute.engine import Engine
from lepton_ai.compute.local import ProcessEngine
from lepton_ai.core.errors import InvalidInput, MissingExtra
from lepton_ai.ml import zoo
from lepton_ai.ml.examples import Examples
from lepton_ai.ml.selection.blending import LOSSES, bagged, losses, parts_of
from lepton_ai.ml.selection.candidates import plausible
from lepton_ai.ml.selection.folds import Plan, plan
from lepton_ai.ml.selection.judging import CONFIDENCE, figures_of, judged
from lepton_ai.ml.selection.leaderboard import Contender, Leaderboard
from lepton_ai.ml.selection.sampling import Sampler, sampler
from lepton_ai.ml.selection.sides import Source
from lepton_ai.ml.selection.trying import Course, Trial
from lepton_ai.ml.task import Task

if TYPE_CHECKING:
    from lepton_ai.data.recipes import Recipe

__all__ = ["BUDGET", "Found", "Given", "out_of_fold", "search"]

Matrix = NDArray[np.float64]

BUDGET = 60.0
_REPEATS = 2
# Rows up to which folds drawn anew tell something: a figure of few rows hangs on the division.
_FEW_ROWS = 5000
# Values (rows times features) from which processes beside each other pay for their start.
_WORTH_PROCESSES = 300_000
# The share of the time after which no setting is drawn any more.
_DRAWING = 0.7
_FINALISTS = 12
_MEMBERS = 8
# What an ensemble must take off the loss of the best single model, as a share of it.
_WORTH = 0.003
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


class Found(Struct, frozen=True):
    """What a search came to.

    Attributes:
        entry: the model to train.
        parameters: with which to train it.
        leaderboard: what it was chosen among.
        rows: those that were asked about, ascending.
        answers: what it answers them out of fold (rows, width), mean over the repeats.
    """

    entry: zoo.Entry
    parameters: dict[str, Any]
    leaderboard: Leaderboard
    rows: NDArray[np.int64]
    answers: Matrix


def search(
    given: Given,
    *,
    entry: zoo.Entry | None = None,
    parameters: Mapping[str, Any] | None = None,
    budget: float | None = None,
    trials: int | None = None,
) -> Found:
    """Find the model to train.

    Args:
        given: the rows.
        entry: the model to tune; None compares all that are plausible.
        parameters: of that model, which are not tuned.
        budget: seconds to use, the final fit included; a fit that runs is not cut short. With
            None, time does not count, and the same seed finds the same model.
        trials: settings to draw; None draws until the time is over.

    Raises:
        InvalidInput: a number is wrong, the model has nothing to tune, or the rows cannot be
            divided.
        MissingExtra: settings are to be drawn and Optuna is not installed.
    """
    _check(entry, budget, trials)
    clock = _Clock(budget)
    with _Ground(given, clock, scaled=True if entry is None else entry.scaled) as ground:
        fixed = dict(parameters or {})
        every, notes = _tried(given, ground, clock, entry, fixed, trials)
        finalists, repeats = _again(ground.course, every, clock, given)
        return _chosen(given, ground, finalists, repeats, every, entry, notes, budget, trials)


def out_of_fold(
    given: Given, entry: zoo.Entry, parameters: Mapping[str, Any]
) -> tuple[NDArray[np.int64], Matrix]:
    """Return rows and what models of one setting, which did not learn from them, answer.

    Raises:
        InvalidInput: the rows cannot be divided, or the model cannot be fitted in a fold.
    """
    with _Ground(given, _Clock(None), scaled=entry.scaled, repeats=1) as ground:
        trial = Trial(entry, dict(parameters))
        if not ground.course.run(trial, always=True):
            raise InvalidInput(f"the {entry.name} cannot be fitted in a fold: {trial.note}")
        return ground.plan.asked, trial.answers[0]


class _Clock:
    """The time that is left of a budget, what the final fit will take being set aside."""

    def __init__(self, budget: float | None) -> None:
        self.budget = budget
        self.aside = 0.0
        self._begun = time.monotonic()

    def left(self) -> float:
        if self.budget is None:
            return np.inf
        return self.budget - self.aside - (time.monotonic() - self._begun)

    def reserve(self, every: Sequence[Trial]) -> None:
        """Set aside the time of fitting the best trials so far to all rows, and exporting them."""
        if self.budget is None:
            return
        done = sorted((t for t in every if t.answers), key=_first_loss)[:_MEMBERS]
        fits = sum(trial.seconds / len(trial.fold_losses) for trial in done)
        self.aside = min(0.5 * self.budget, 2 * fits + 0.12 * self.budget)


class _Ground:
    """The course of a search, and the processes it runs on where they pay."""

    def __init__(
        self, given: Given, clock: _Clock, *, scaled: bool, repeats: int = _REPEATS
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

    def __enter__(self) -> "_Ground":
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


def _check(entry: zoo.Entry | None, budget: float | None, trials: int | None) -> None:
    if budget is not None and (
        isinstance(budget, bool) or not isinstance(budget, int | float) or not budget > 0
    ):
        raise InvalidInput(f"budget is in seconds, above 0; got {budget!r}")
    if trials is not None and (
        isinstance(trials, bool) or not isinstance(trials, int) or trials < 0
    ):
        raise InvalidInput(f"trials is a whole number of settings from 0; got {trials!r}")
    if entry is not None and not entry.space:
        known = ", ".join(sorted(each.name for each in zoo.entries().values() if each.space))
        raise InvalidInput(f"a {entry.name} has nothing to tune; these have: {known}")


def _tried(
    given: Given,
    ground: _Ground,
    clock: _Clock,
    entry: zoo.Entry | None,
    fixed: dict[str, Any],
    trials: int | None,
) -> tuple[list[Trial], list[str]]:
    """Try models as they are, then settings that are drawn."""
    course, notes = ground.course, list(ground.plan.notes)
    baseline = zoo.find("baseline", given.task.name)
    if entry is None:
        shape = ground.sides.shape
        rows = len(given.target)
        width = ground.sides.train.shape[1]
        pairs = plausible(given.task, rows, width, shape, clock.budget)
        every = [Trial(each, dict(setting)) for each, setting in pairs]
    else:
        every = [Trial(baseline, {}), Trial(entry, fixed)]
    slow: set[str] = set()
    for trial in every:
        if trial.entry.name in slow:
            trial.stop("late", "another setting of it took a tenth of the time")
            continue
        course.run(trial, always=trial.entry.name == baseline.name)
        clock.reserve(every)
        if _slow(trial, clock):
            slow.add(trial.entry.name)
    done = [trial for trial in every if trial.answers]
    if len(done) == 1:
        notes.append("no model but the baseline could be tried in time")
        return every, notes
    known = {trial.entry.name: trial.entry for trial in done if trial.entry.space}
    spaced = [each for name, each in known.items() if name not in slow]
    if trials == 0 or not spaced:
        return every, notes
    try:
        drawn = sampler(spaced, given.seed)
    except MissingExtra as error:
        if trials is not None or entry is not None:
            raise
        notes.append(f"only the zoo's own parameters were tried: {error}")
        return every, notes
    for trial in done:
        drawn.enter(trial)
    _draw(course, drawn, every, clock, fixed, trials)
    return every, notes


def _draw(
    course: Course,
    drawn: Sampler,
    every: list[Trial],
    clock: _Clock,
    fixed: dict[str, Any],
    trials: int | None,
) -> None:
    seen = {_key(trial) for trial in every}
    asked = 0
    idle = 0
    while (trials is None or asked < trials) and not _late(clock) and idle < _FINALISTS:
        trial = drawn.draw(fixed)
        if _key(trial) in seen:
            # A space of few settings is used up some day.
            trial.stop("failed", "a setting that was tried before")
            drawn.tell(trial)
            idle += 1
            continue
        idle = 0
        asked += 1
        seen.add(_key(trial))
        course.run(trial, keep=drawn.keep)
        drawn.tell(trial)
        every.append(trial)
        clock.reserve(every)


def _again(
    course: Course, every: list[Trial], clock: _Clock, given: Given
) -> tuple[list[Trial], int]:
    """Ask the best trials on folds drawn anew; return those that were, and on how many repeats."""
    ranked = sorted((trial for trial in every if trial.answers), key=_first_loss)
    # The best of each kind too: models that err otherwise are what an ensemble gains from.
    heads = {trial.entry.name: trial for trial in reversed(ranked)}
    first = ranked[:_FINALISTS]
    finalists = first + [t for t in ranked if t is heads[t.entry.name] and t not in first]
    for repeat in range(1, len(course.plan.repeats)):
        for trial in finalists:
            if clock.left() > 0:
                course.run(trial, repeat)
        through = [trial for trial in finalists if len(trial.answers) > repeat]
        if len(through) < min(_MEMBERS, len(finalists)):
            for trial in finalists:
                _cut(trial, repeat, len(course.plan.repeats[0]))
            return finalists, repeat
        for trial in finalists:
            if trial not in through:
                trial.stop("stopped", f"not asked on all {repeat + 1} repeats")
        finalists = through
    return finalists, len(course.plan.repeats)


def _cut(trial: Trial, repeats: int, folds: int) -> None:
    """Forget what a trial answered beyond so many repeats."""
    del trial.answers[repeats:], trial.fold_losses[repeats * folds :]
    trial.state, trial.note = "complete", ""


def _chosen(
    given: Given,
    ground: _Ground,
    finalists: list[Trial],
    repeats: int,
    every: list[Trial],
    entry: zoo.Entry | None,
    notes: list[str],
    budget: float | None,
    trials: int | None,
) -> Found:
    """Select an ensemble or the best single model, judge it, and draw up the leaderboard."""
    task = given.task.name
    rows = ground.plan.asked
    target = np.tile(given.target[rows], repeats)
    weights = np.tile(_counted(given, rows), repeats)
    answers = np.stack([np.concatenate(trial.answers[:repeats]) for trial in finalists])
    parts = np.stack([parts_of(each, target, task) for each in answers])
    choose = partial(_shares, parts, weights, task, single=entry is not None, seed=given.seed)
    shares = choose(np.arange(len(target)), np.ones(len(target)))
    figures, intervals = judged(
        answers,
        target,
        weights,
        np.tile(_units(given, rows), repeats),
        choose,
        given.classes,
        given.seed,
    )
    mixed = np.tensordot(shares, answers, axes=1)
    loss = float(np.average(losses(parts_of(mixed, target, task), task), weights=weights))
    weight_of = {id(t): float(s) for t, s in zip(finalists, shares, strict=True)}
    contenders = [
        _contender(trial, weight_of.get(id(trial), 0.0), target, weights, given, repeats, budget)
        for trial in every
    ]
    contenders.sort(key=lambda each: (each.loss is None, each.state != "complete", each.loss or 0))
    members = [(t, float(s)) for t, s in zip(finalists, shares, strict=True) if s > 0]
    members.sort(key=lambda member: -member[1])
    model, parameters, told = _described(members, task)
    board = Leaderboard(
        task=task,
        measure=LOSSES[task],
        rows=len(rows),
        plan=ground.plan.kind,
        repeats=repeats,
        contenders=tuple(contenders),
        chosen=told,
        selected_loss=loss,
        figures=figures,
        intervals=intervals,
        confidence=CONFIDENCE,
        seed=given.seed,
        budget=budget,
        trials=trials,
        notes=tuple(notes),
    )
    mean = mixed.reshape(repeats, len(rows), -1).mean(axis=0)
    return Found(model, parameters, board, rows, mean)


def _shares(
    parts: Matrix,
    weights: Matrix,
    task: str,
    rows: NDArray[np.int64],
    counted: Matrix,
    *,
    single: bool,
    seed: int,
) -> Matrix:
    """Return the weight of each model, as some rows have it."""
    seen, counts = parts[:, rows], weights[rows] * counted
    best = np.zeros(len(parts))
    alone = losses(seen, task) @ counts
    best[int(alone.argmin())] = 1.0
    if single:
        return best
    blend = bagged(seen, counts, task, _MEMBERS, seed)
    together = float(losses(blend @ seen, task) @ counts)
    return blend if together < (1 - _WORTH) * float(alone.min()) else best


def _described(
    members: list[tuple[Trial, float]], task: str
) -> tuple[zoo.Entry, dict[str, Any], str]:
    """Return the model to train, its parameters, and what it is in words."""
    if len(members) == 1:
        (trial, _) = members[0]
        return trial.entry, trial.parameters, trial.entry.name
    listed = [
        {"model": trial.entry.name, "parameters": trial.parameters, "weight": weight}
        for trial, weight in members
    ]
    told = ", ".join(f"{weight:.0%} {trial.entry.name}" for trial, weight in members)
    return zoo.find("ensemble", task), {"members": listed}, f"ensemble of {told}"


def _contender(
    trial: Trial,
    weight: float,
    target: NDArray[Any],
    weights: Matrix,
    given: Given,
    repeats: int,
    budget: float | None,
) -> Contender:
    each = trial.fold_losses
    figures: dict[str, float] = {}
    loss: float | None = float(np.mean(each)) if each else None
    if trial.answers:
        rows = len(trial.answers[0]) * min(repeats, len(trial.answers))
        answers = np.concatenate(trial.answers[:repeats])
        figures = figures_of(answers, target[:rows], weights[:rows], given.classes)
        part = parts_of(answers, target[:rows], given.task.name)
        loss = float(np.average(losses(part, given.task.name), weights=weights[:rows]))
    return Contender(
        model=trial.entry.name,
        parameters=trial.parameters,
        state=trial.state,
        note=trial.note,
        folds=len(each),
        loss=loss,
        spread=float(np.std(each, ddof=1)) if len(each) > 1 else None,
        figures=figures,
        weight=weight,
        seconds=None if budget is None else round(trial.seconds, 3),
    )


def _counted(given: Given, rows: NDArray[np.int64]) -> Matrix:
    known = given.examples.weights
    return np.ones(len(rows)) if known is None else known[rows]


def _units(given: Given, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which rows are drawn together: those of a group."""
    if given.examples.groups is None:
        return np.arange(len(rows))
    names = np.asarray(given.examples.groups, dtype=str)[rows]
    units: NDArray[np.int64] = np.unique(names, return_inverse=True)[1]
    return units


def _first_loss(trial: Trial) -> float:
    return float(np.mean(trial.fold_losses))


def _key(trial: Trial) -> tuple[str, tuple[tuple[str, Any], ...]]:
    return trial.entry.name, tuple(sorted(trial.parameters.items()))


def _late(clock: _Clock) -> bool:
    return clock.budget is not None and clock.left() < (1 - _DRAWING) * clock.budget


def _slow(trial: Trial, clock: _Clock) -> bool:
    return clock.budget is not None and trial.seconds > _SLOW * clock.budget
