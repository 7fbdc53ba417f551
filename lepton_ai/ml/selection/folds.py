"""Folds: which rows each model of a comparison learns from, and which it is asked about.

A leaf. Whole groups stay on one side, what comes later is asked by what came before, and each class
is on every training side where the rows allow that.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from lepton_ai.core.errors import InvalidInput

__all__ = ["Fold", "Plan", "plan"]

Rows = NDArray[np.int64]

_FOLDS = 5
# From so many rows on one fold tells enough: the figure's noise is then far below what models
# differ by, and the time goes into more models.
_PLENTY = 50_000
_SHARE = 0.2


class Fold(Struct, frozen=True):
    """One division of the rows.

    Attributes:
        train: rows that are learned from, ascending.
        test: rows that are asked about, ascending.
    """

    train: Rows
    test: Rows


class Plan(Struct, frozen=True):
    """The folds of a comparison.

    Attributes:
        repeats: of each repeat its folds, whose test rows are the same altogether.
        kind: how rows are divided, in words.
        notes: what is weak in it.
    """

    repeats: tuple[tuple[Fold, ...], ...]
    kind: str
    notes: tuple[str, ...] = ()

    @property
    def asked(self) -> Rows:
        """The rows that are asked about, ascending; all of them but for the first in time."""
        return np.sort(np.concatenate([fold.test for fold in self.repeats[0]]))


def plan(
    rows: int,
    *,
    codes: NDArray[np.int64] | None,
    groups: Sequence[str] | None,
    times: NDArray[np.float64] | None,
    seed: int,
    repeats: int = 1,
    folds: int = _FOLDS,
) -> Plan:
    """Divide rows into folds.

    Args:
        rows: how many there are.
        codes: the class of each, counted from 0; None for values.
        groups: what each belongs to; whole groups stay together.
        times: the order of the rows; a fold is asked about rows later than all it learns from,
            so that there is one way to divide them.
        seed: of the division.
        repeats: how often to divide anew.
        folds: how many, at most.

    Raises:
        InvalidInput: there is one group only, one moment only, or too few rows.
    """
    if rows < 4:
        raise InvalidInput(
            f"comparing models needs 4 rows at least; the data has {rows}: name a model type"
        )
    if times is not None:
        return _in_time(times, groups, folds)
    notes: list[str] = []
    names: Rows | None = None
    if groups is not None:
        names = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    if names is not None:
        count = int(names.max()) + 1
        if count < 2:
            raise InvalidInput(
                f"all {rows} rows belong to one group, so that no fold could be asked about "
                "another one: leave out groups=, or name a model type"
            )
        if count < folds:
            notes.append(f"{count} groups give {count} folds")
        folds = min(folds, count)
    folds = min(folds, rows // 2)
    made = tuple(_divided(rows, codes, names, folds, seed + place) for place in range(repeats))
    if codes is not None:
        classes = int(codes.max()) + 1
        lacking = sum(
            len(np.unique(codes[fold.train])) < classes for parts in made for fold in parts
        )
        if lacking:
            notes.append(
                f"{lacking} of {repeats * folds} folds learn without a class that has too few "
                f"{'rows' if names is None else 'groups'}; its probability is 0 there"
            )
    kind = "stratified" if codes is not None else "shuffled"
    kind += "" if names is None else ", whole groups"
    if rows >= _PLENTY:
        made = tuple(parts[:1] for parts in made[:1])
        return Plan(made, f"1 of {folds} folds, {kind}", tuple(notes))
    return Plan(made, f"{folds} folds, {kind}", tuple(notes))


def _divided(
    rows: int,
    codes: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
    folds: int,
    seed: int,
) -> tuple[Fold, ...]:
    options = {"n_splits": folds, "shuffle": True, "random_state": seed % 2**32}
    every = np.arange(rows)
    if codes is None:
        split = (KFold if groups is None else GroupKFold)(**options).split(every, groups=groups)
    elif groups is not None:
        split = StratifiedGroupKFold(**options).split(every, codes, groups)
    else:
        # Of a class with fewer rows than folds, some folds have none to ask about.
        rare = np.bincount(codes).max() < folds
        split = (KFold(**options) if rare else StratifiedKFold(**options)).split(every, codes)
    with warnings.catch_warnings():
        # A class with fewer rows than folds is told of in the plan's notes.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = [Fold(np.asarray(train), np.asarray(test)) for train, test in split]
    return tuple(part for part in parts if len(part.test) and len(part.train))


def _in_time(times: NDArray[np.float64], groups: Sequence[str] | None, folds: int) -> Plan:
    """Cut the moments into one more block than folds; each block is asked by those before it."""
    moments, place = np.unique(times, return_inverse=True)
    if len(moments) < 2:
        raise InvalidInput(
            "all rows are of one moment, so that none is later than another: leave out time=, or "
            "name a model type"
        )
    # Blocks of as many rows each, cut between moments.
    ends = np.cumsum(np.bincount(place))
    wanted = np.linspace(0, len(times), folds + 2)[1:-1]
    cuts = np.unique(np.clip(np.searchsorted(ends, wanted, side="left") + 1, 1, len(moments) - 1))
    block = np.searchsorted(cuts, place, side="right")
    names = None if groups is None else np.asarray(groups, dtype=str)
    parts = []
    for number in range(1, len(cuts) + 1):
        test = np.flatnonzero(block == number)
        train = np.flatnonzero(block < number)
        if names is not None:
            train = train[~np.isin(names[train], names[test])]
        if len(train) and len(test):
            parts.append(Fold(train, test))
    if not parts:
        raise InvalidInput(
            "every group lasts from the first to the last moment, so that no later row is of "
            "another group: leave out groups= or time=, or name a model type"
        )
    kind = f"{len(parts)} folds, each asked about rows later than all it learns from"
    if names is not None:
        kind += ", and of other groups"
    notes = () if len(parts) == folds else (f"the moments give {len(parts)} folds",)
    return Plan((tuple(parts),), kind, notes)
