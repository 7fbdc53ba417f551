"""Methods: how each family's answer is divided among columns.

Each gives a `Found`: a base and what every column adds, in the space where the model adds up.
"""

import math
from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.explanation.explanation import Evidence, PathStep
from lepton_ai.ml.explanation.forest import Forest
from lepton_ai.ml.explanation.output import Output, log_ratio, score_of
from lepton_ai.ml.explanation.rules import path_steps
from lepton_ai.ml.explanation.shapley import Game, exact, sampled
from lepton_ai.ml.explanation.space import Space
from lepton_ai.ml.explanation.terms import Binned, Counted, Gaussian, Linear
from lepton_ai.ml.explanation.tree_shapley import Paths, tree_shapley
from lepton_ai.ml.outcome import Outcome
from lepton_ai.ml.preparation import Preparation

__all__ = [
    "MOST_EXACT",
    "Asked",
    "Found",
    "Game",
    "linear",
    "naive_bayes",
    "shapley",
    "trees",
]

Matrix = NDArray[np.float64]

# What is served answers in single precision, and log-odds near 0 and 1 magnify that.
_ROUNDING = 5e-3

MOST_EXACT = 16
"""Players whose coalitions are all looked at, at most."""


class Found(Struct, frozen=True):
    """What a method found.

    Attributes:
        method: its name.
        space: of the numbers.
        base: where the contributions start.
        values: of each column (columns,).
        answer: the served form's own, in this space; NaN where its answers do not tell it, for
            one of them is next to 0 or 1.
        errors: standard errors (columns,), where values were sampled.
        places: contributions of each feature (features,), where they are known.
        activation: of Grad-CAM, in the shape of the picture.
        notes: what a reader should know.
    """

    method: str
    space: str
    base: float
    values: Matrix
    answer: float = float("nan")
    errors: Matrix | None = None
    places: Matrix | None = None
    activation: Matrix | None = None
    path: tuple[PathStep, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """What base and contributions come to."""
        return self.base + float(self.values.sum())

    @property
    def gap(self) -> float:
        """How far that is from the answer; 0 where the answer is not known in this space."""
        return 0.0 if math.isnan(self.answer) else abs(self.total - self.answer)

    @property
    def faithful(self) -> bool:
        """Whether it explains what is served, but for the rounding of single precision."""
        return self.gap <= _ROUNDING * max(1.0, abs(self.answer), abs(self.base))


class Asked(Struct, frozen=True):
    """One row to explain.

    Attributes:
        features: (features,).
        answer: of the served form (1, width).
        output: what of it is explained.
        owner: the column of each feature (features,).
        names: of the columns.
    """

    features: Matrix
    answer: Matrix
    output: Output
    outcome: Outcome
    owner: NDArray[np.int64]
    names: tuple[str, ...]

    def by_column(self, values: Matrix) -> Matrix:
        """Return the sums over the features of each column (columns,)."""
        return np.bincount(self.owner, values, minlength=len(self.names)).astype(np.float64)


def linear(asked: Asked, terms: Linear, mean: Matrix) -> Found:
    """Give each column its coefficients times the deviation of its features from their means."""
    start, parts = terms.parts(asked.features[None], mean)
    score = score_of(terms.link, asked.output, len(start), asked.outcome)
    places = score.take @ parts[0]
    return Found(
        "coefficient times deviation from the mean",
        score.space,
        float(score.take @ start + score.offset),
        asked.by_column(places),
        float(score.of_answers(asked.answer)[0]),
        places=places,
    )


def naive_bayes(asked: Asked, terms: Gaussian | Counted | Binned) -> Found:
    """Give each column the logarithm of how much likelier it is in the class than in another.

    The other class is the likeliest beside it. Prior and likelihoods of every class are kept.
    """
    likelihoods = terms.likelihoods(asked.features[None])[0]
    priors = terms.priors.values
    joint = priors + likelihoods.sum(axis=1)
    shares = np.exp(joint - joint.max())
    shares /= shares.sum()
    place = asked.output.place
    rivals = np.where(np.arange(len(joint)) == place, -np.inf, joint)
    rival = int(rivals.argmax())
    names = asked.outcome.names
    evidence = tuple(
        Evidence(
            name,
            float(priors[code]),
            dict(zip(asked.names, asked.by_column(likelihoods[code]).tolist(), strict=True)),
            float(joint[code]),
            float(shares[code]),
        )
        for code, name in enumerate(names)
    )
    places = likelihoods[place] - likelihoods[rival]
    return Found(
        "prior times likelihoods",
        f"log-odds against {names[rival]}",
        float(priors[place] - priors[rival]),
        asked.by_column(places),
        float(log_ratio(asked.answer, place, rival)[0]),
        places=places,
        evidence=evidence,
    )


def trees(
    asked: Asked,
    forest: Forest,
    paths: Callable[[NDArray[np.int64]], list[Paths] | None],
    space: Space,
    preparation: Preparation,
) -> Found | None:
    """Give each column its exact Shapley value of the trees' scores; None for too long ways."""
    portions = paths(asked.owner)
    if portions is None:
        return None
    start, values = tree_shapley(
        forest, portions, asked.features[None], space.background, space.shares, len(asked.names)
    )
    score = score_of(forest.link, asked.output, len(start), asked.outcome)
    alone = len(forest.roots) == 1
    return Found(
        "exact Shapley values of trees",
        score.space,
        float(score.take @ start + score.offset),
        values[0] @ score.take,
        float(score.of_answers(asked.answer)[0]),
        path=path_steps(forest, asked.features, preparation) if alone else (),
    )


def shapley(
    game: Game, players: int, output: Output, pairs: int | None = None, seed: int = 0
) -> Found:
    """Give each column its Shapley value of the answers, exact or over pairs of random orders."""
    if players < 1:
        raise InvalidInput("there is no column to explain by")
    shares = exact(game, players) if pairs is None else sampled(game, players, pairs, seed)
    return Found(
        "exact Shapley values" if pairs is None else f"Shapley values over {2 * pairs} orders",
        output.space,
        float(shares.base[0]),
        shares.values[:, 0],
        float(game(np.ones((1, players), dtype=bool))[0, 0]),
        errors=None if pairs is None else shares.errors[:, 0],
    )
