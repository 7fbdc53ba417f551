"""Searching: which model to train, found by comparing many on rows that they did not learn from.

Every plausible model is tried with the zoo's own parameters, the baseline first; then settings are
drawn from their spaces until the trials or the time are used up; the best are asked again on folds
drawn anew; and of those a weighted ensemble is selected. A named model is tuned likewise, alone.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput, MissingExtra
from lepton_ai.core.progress import track
from lepton_ai.ml import zoo
from lepton_ai.ml.selection.blending import LOSSES, bagged, losses, parts_of
from lepton_ai.ml.selection.candidates import plausible
from lepton_ai.ml.selection.ground import MEMBERS, Clock, Given, Ground
from lepton_ai.ml.selection.judging import CONFIDENCE, figures_of, judged
from lepton_ai.ml.selection.leaderboard import Contender, Leaderboard
from lepton_ai.ml.selection.sampling import Sampler, sampler
from lepton_ai.ml.selection.trying import Course, Trial

__all__ = ["BUDGET", "Found", "out_of_fold", "search"]

Matrix = NDArray[np.float64]

BUDGET = 60.0
_FINALISTS = 12
# What an ensemble must take off the loss of the best single model, as a share of it.
_WORTH = 0.003


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
    clock = Clock(budget)
    with Ground(given, clock, scaled=True if entry is None else entry.scaled) as ground:
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
    with Ground(given, Clock(None), scaled=entry.scaled, repeats=1) as ground:
        trial = Trial(entry, dict(parameters))
        if not ground.course.run(trial, always=True):
            raise InvalidInput(f"the {entry.name} cannot be fitted in a fold: {trial.note}")
        return ground.plan.asked, trial.answers[0]


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
    ground: Ground,
    clock: Clock,
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
    for trial in track(every, "comparing models", status=partial(_best, every, given)):
        if trial.entry.name in slow:
            trial.stop("late", "another setting of it took a tenth of the time")
            continue
        course.run(trial, always=trial.entry.name == baseline.name)
        clock.reserve(every)
        if clock.slow(trial):
            slow.add(trial.entry.name)
    notes += _missing(every)
    every = [trial for trial in every if trial.state != "missing"]
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
    drawing = _draw(course, drawn, every, clock, fixed, trials)
    for _ in track(drawing, "drawing settings", trials, status=partial(_best, every, given)):
        pass
    return every, notes


def _best(every: list[Trial], given: Given) -> str:
    """Say which trial is the best so far."""
    best = min((t for t in every if t.answers), key=lambda trial: trial.loss, default=None)
    measure = LOSSES[given.task.name]
    return "" if best is None else f"best: {best.entry.name}, {measure} {best.loss:.4g}"


def _missing(every: list[Trial]) -> list[str]:
    """Say which models were not tried because their library is not installed."""
    extras: dict[str, dict[str, None]] = {}
    for trial in every:
        if trial.state == "missing":
            extras.setdefault(trial.entry.extra, {})[trial.entry.name] = None
    return [
        f"not tried: {', '.join(names)}; pip install 'lepton-ai[{extra}]'"
        for extra, names in extras.items()
    ]


def _draw(
    course: Course,
    drawn: Sampler,
    every: list[Trial],
    clock: Clock,
    fixed: dict[str, Any],
    trials: int | None,
) -> Iterator[Trial]:
    """Try settings that are drawn, each of which joins ``every``, until trials or time are over."""
    seen = {_key(trial) for trial in every}
    asked = 0
    idle = 0
    while (trials is None or asked < trials) and not clock.late and idle < _FINALISTS:
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
        yield trial


def _again(
    course: Course, every: list[Trial], clock: Clock, given: Given
) -> tuple[list[Trial], int]:
    """Ask the best trials on folds drawn anew; return those that were, and on how many repeats."""
    ranked = sorted((trial for trial in every if trial.answers), key=lambda trial: trial.loss)
    # The best of each kind too: models that err otherwise are what an ensemble gains from.
    heads = {trial.entry.name: trial for trial in reversed(ranked)}
    first = ranked[:_FINALISTS]
    finalists = first + [t for t in ranked if t is heads[t.entry.name] and t not in first]
    for repeat in range(1, len(course.plan.repeats)):
        status = partial(_best, every, given)
        for trial in track(finalists, "asking the best again", status=status):
            if clock.left() > 0:
                course.run(trial, repeat)
        through = [trial for trial in finalists if len(trial.answers) > repeat]
        if len(through) < min(MEMBERS, len(finalists)):
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
    ground: Ground,
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
    blend = bagged(seen, counts, task, MEMBERS, seed)
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


def _key(trial: Trial) -> tuple[str, tuple[tuple[str, Any], ...]]:
    return trial.entry.name, tuple(sorted(trial.parameters.items()))
