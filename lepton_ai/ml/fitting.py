"""Fitting of one zoo estimator to a feature matrix, the same bits for the same seed."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from lepton_ai.compute.engine import Engine
from lepton_ai.core.errors import InvalidInput
from lepton_ai.core.optional import load
from lepton_ai.ml.task import CLASSIFICATION, Task
from lepton_ai.ml.zoo import Entry, create

__all__ = ["Fitted", "fit"]

_FOLDS = 5
# Below so many features in all, one thread of a network is the quickest, and the bytes of its
# weights do not depend on the machine's number of processors.
_FEW_NUMBERS = 2**22
# What decides where and how fast a fit runs, and not what it finds.
_OF_THE_RUN = ("n_jobs", "threads", "checkpoint", "progress")

Codes = NDArray[np.int64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]


class Fitted(Struct, frozen=True):
    """A fitted estimator.

    Attributes:
        estimator: it answers by the method of its task.
        settings: every parameter that a caller may set, with the value it had.
        notes: what a reader of the model's card should know about the fit.
    """

    estimator: Any
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()


def fit(
    entry: Entry,
    matrix: NDArray[np.float64],
    target: NDArray[Any] | None,
    *,
    seed: int,
    parameters: dict[str, Any],
    task: Task = CLASSIFICATION,
    groups: Sequence[str] | None = None,
    weights: NDArray[np.float64] | None = None,
    times: NDArray[Any] | None = None,
    shape: tuple[int, ...] | None = None,
    workers: int = 1,
    managed: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Fitted:
    """Fit one estimator.

    Linear algebra runs on one thread, whose sums have a fixed order; trees of a forest are grown
    in parallel, which changes nothing in them.

    Args:
        entry: which model.
        matrix: features (rows, features).
        target: the class of each row, counted from 0 without gaps, or its value (rows,) or values
            (rows, outputs); None where the task has none.
        seed: of everything random.
        parameters: the caller's.
        task: what for.
        groups: of the rows; calibration and early stopping then keep a group on one side.
        weights: of the rows.
        times: of the rows; early stopping then watches the last ones.
        shape: how a row folds, for networks that see it as an image or a series.
        workers: threads that grow a forest.
        managed: more parameters that the platform sets, where the estimator has them.
        engine: whose workers share each batch of a network; this process alone if None.

    Raises:
        InvalidInput: a parameter does not fit the estimator or the data.
    """
    estimator = create(entry, seed, parameters, task)
    settings = {
        key: value
        for key, value in sorted(estimator.get_params(deep=False).items())
        if key not in entry.managed
    }
    known = estimator.get_params(deep=False)
    threads = 1 if matrix.size < _FEW_NUMBERS else workers
    own = {"shape": shape, "threads": threads, **(managed or {})}
    own |= {"n_jobs": workers} if entry.parallel else {}
    own = {name: value for name, value in own.items() if name in known}
    estimator.set_params(**own)
    notes: tuple[str, ...] = ()
    calibrated = entry.calibrated and task is CLASSIFICATION
    beside = {"sample_weight": weights, "groups": groups, "times": times}
    takes = inspect.signature(estimator.fit).parameters
    beside = {n: given for n, given in beside.items() if given is not None and n in takes}
    if weights is not None and "sample_weight" not in beside:
        raise InvalidInput(f"a {entry.name} cannot weigh rows; leave out sample_weight=")
    if calibrated:
        assert target is not None
        beside.pop("groups", None)
        splits, notes = _splits(target, groups, seed)
        estimator = CalibratedClassifierCV(estimator, method="sigmoid", cv=splits, ensemble=False)
    if engine is not None and not entry.distributed:
        raise InvalidInput(f"a {entry.name} is fitted in one process; engine= is for networks")
    try:
        with threadpool_limits(1), warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", ConvergenceWarning)
            if engine is None:
                estimator.fit(matrix, target, **beside)
            else:
                shared = load("lepton_ai.ml.networks.distributed:fit_distributed", extra="deep")
                shared(estimator, matrix, target, engine=engine, **beside)
            # Some parameters (more neighbours than rows) only show themselves in an answer.
            task.answers(estimator, matrix[:1])
    except ValueError as error:
        raise InvalidInput(f"the {entry.name} cannot be fitted to this data: {error}") from error
    notes += _unsettled(entry, heard)
    # What the fit used and the model doesn't need would only make its bytes differ.
    if calibrated:
        estimator.set_params(cv=None)
    else:
        estimator.set_params(**{name: known[name] for name in own if name in _OF_THE_RUN})
    return Fitted(estimator, settings, notes)


def _unsettled(entry: Entry, heard: Sequence[warnings.WarningMessage] | None) -> tuple[str, ...]:
    """Return and warn of a fit that did not settle, once; what else was heard is passed on."""
    said: list[str] = []
    for each in heard or ():
        if issubclass(each.category, ConvergenceWarning):
            said.append(str(each.message).split("\n")[0])
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if not said:
        return ()
    note = f"the {entry.name} did not settle: {said[0]}"
    warnings.warn(note, ConvergenceWarning, stacklevel=3)
    return (note,)


def _splits(
    codes: Codes, groups: Sequence[str] | None, seed: int
) -> tuple[list[Split], tuple[str, ...]]:
    """Choose the folds whose scores the calibration is fitted to, and say what is weak in them.

    Five folds that keep groups together, each class on every training side; fewer or ungrouped
    ones where the rows don't allow that.
    """
    rows, classes = np.arange(len(codes)), int(codes.max()) + 1
    fewest = int(np.bincount(codes).min())
    folds = min(_FOLDS, fewest)
    if folds < 2:
        note = (
            f"the rarest class has {fewest} row, too few to calibrate on rows that were not "
            "learned from: the probabilities are too sure"
        )
        return [(rows, rows)], (note,)
    if groups is not None:
        wanted = min(folds, min(len({g for g, c in zip(groups, codes, strict=True) if c == k})
                                for k in range(classes)))  # fmt: skip
        if wanted >= 2:
            grouped = StratifiedGroupKFold(wanted, shuffle=True, random_state=seed)
            splits = list(grouped.split(rows, codes, np.asarray(groups)))
            if all(len(np.unique(codes[train])) == classes for train, _ in splits):
                return splits, ()
        note = "a class has too few groups for calibration to keep each group on one side"
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, codes)), (
            note,
        )
    plain = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(plain.split(rows, codes)), ()
