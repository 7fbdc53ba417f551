"""Stability: how far an explanation holds when what it rests on is drawn anew."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.stats import rankdata

from lepton_ai.core.errors import InvalidInput
from lepton_ai.data.analysis.lines import aligned
from lepton_ai.ml.evaluation.shown import printable, written
from lepton_ai.ml.explanation.explainer import Explainer
from lepton_ai.ml.explanation.space import TableSpace
from lepton_ai.ml.model import Model

__all__ = ["Stability", "stability"]

Matrix = NDArray[np.float64]

# How far numbers are moved, in spreads of their column.
_MOVE = 0.05
_TOP = 3


class Stability(Struct, frozen=True, kw_only=True):
    """How an explanation differs between draws.

    Attributes:
        model: its reference.
        about: what was explained.
        draws: how many other backgrounds, and how many slightly changed records.
        background: mean rank correlation of contributions with those over another sample of
            prototypes, from -1 to 1; 1 is the same order.
        neighbours: the same, with those of records whose numbers differ a little.
        top: the share of the three largest columns that stay among the three largest.
        deviations: of each column's contribution over all draws.
    """

    model: str
    about: str
    draws: int
    background: float
    neighbours: float
    top: float
    deviations: dict[str, float]

    def __float__(self) -> float:
        return min(self.background, self.neighbours)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    def __str__(self) -> str:
        rows = [(printable(name), written(value)) for name, value in self.deviations.items()]
        return (
            f"{self.model}, {self.about}: rank correlation {self.background:.3f} over other "
            f"prototypes, {self.neighbours:.3f} over near records; {self.top:.0%} of the three "
            f"largest stay\n{aligned(('column', 'deviation'), rows, (1,))}"
        )


def stability(
    model: Model, record: Any, *, about: str | None = None, draws: int = 10, seed: int = 0
) -> Stability:
    """Tell how far the explanation of one row depends on the prototypes and on small changes.

    Prototypes are drawn with replacement, as a bootstrap does; numbers of the record are moved by
    a twentieth of their column's spread, at random.

    Args:
        model: to explain.
        record: one row.
        about: what is explained; by default what the row is answered.
        draws: of each kind.
        seed: of the draws, and of what is sampled in each.

    Raises:
        InvalidInput: the data is not one row, or draws are fewer than 2.
    """
    if draws < 2:
        raise InvalidInput(f"draws must be 2 or more; got {draws}")
    rows, one = model.rows(record)
    if not one and len(rows) != 1:
        raise InvalidInput(f"stability is of one row; got {len(rows)}")
    explainer = model.explainer
    row, rng = rows[0], np.random.default_rng(seed)
    (first,) = explainer.explain([row], about=about, seed=seed)
    names = explainer.space.names
    wanted = np.array([first[name] for name in names])
    others = [
        _values(_redrawn(explainer, rng), row, first.about, names, seed + 1 + draw)
        for draw in range(draws)
    ]
    near = [
        _values(explainer, _moved(explainer, row, rng), first.about, names, seed + 1 + draw)
        for draw in range(draws)
    ]
    every = np.stack([*others, *near])
    largest = set(np.argsort(-np.abs(wanted))[:_TOP].tolist())
    kept = [
        len(largest & set(np.argsort(-np.abs(each))[:_TOP].tolist())) / len(largest)
        for each in every
    ]
    return Stability(
        model=model.ref,
        about=first.about,
        draws=draws,
        background=float(np.mean([_agreement(wanted, each) for each in others])),
        neighbours=float(np.mean([_agreement(wanted, each) for each in near])),
        top=float(np.mean(kept)),
        deviations=dict(
            sorted(zip(names, every.std(axis=0).tolist(), strict=True), key=lambda item: -item[1])
        ),
    )


def _values(
    explainer: Explainer, row: Any, about: str, names: tuple[str, ...], seed: int
) -> Matrix:
    known = about.partition(", mean of ")[0]
    asked = None if known == "score" and known not in explainer.predictor.outcome.names else known
    (found,) = explainer.explain([row], about=asked, seed=seed)
    by_name = {item.column: item.contribution for item in found.contributions}
    return np.array([by_name[name] for name in names])


def _redrawn(explainer: Explainer, rng: np.random.Generator) -> Explainer:
    """Return the explainer over a bootstrap of its prototypes."""
    weights = explainer.basis.shares
    drawn = rng.multinomial(len(weights), weights / weights.sum()) / len(weights)
    other = msgspec.structs.replace(explainer.basis, weights=tuple(drawn.tolist()))
    terms = other.terms
    if terms is not None:
        # A sum of terms starts from the mean of the rows alone, which is redrawn as well.
        mean = drawn @ explainer.space.background
        other = msgspec.structs.replace(other, mean=type(other.mean).of(mean))
    return explainer.over(other)


def _moved(explainer: Explainer, row: Any, rng: np.random.Generator) -> Any:
    space = explainer.space
    if isinstance(space, TableSpace):
        moved = dict(row)
        for name, column in space.columns.items():
            value = moved.get(name)
            known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if column.kind == "number" and known and value == value and value is not None:
                moved[name] = float(value) + _MOVE * column.spread * float(rng.standard_normal())
        return moved
    assert explainer.basis.arrays is not None
    spread = explainer.basis.arrays.values.std(axis=0)
    return np.asarray(row) + _MOVE * spread * rng.standard_normal(len(spread))


def _agreement(one: Matrix, other: Matrix) -> float:
    """Return Spearman's correlation; 1 for equal constants, which have no order to differ in."""
    if len(one) < 2 or np.allclose(one, other, rtol=1e-9, atol=1e-12):
        return 1.0
    first, second = rankdata(one), rankdata(other)
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
