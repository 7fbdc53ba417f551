"""Output: which of a model's answers is explained, and in what space its numbers are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.explanation.forest import Link
from lepton_ai.ml.outcome import Classes, Clusters, Forecast, Outcome, Scores

__all__ = ["Output", "Score", "log_ratio", "output_of", "plain", "score_of"]

Matrix = NDArray[np.float64]

_NEAR = 1e-4


class Output(Struct, frozen=True):
    """One number of an answer.

    Attributes:
        about: what it is of: a class, a cluster, what is predicted, a series.
        space: what the number is.
        place: of the class or cluster among the answers; 0 where there is one answer.
        take: weights of the answers whose sum is the number (width,).
    """

    about: str
    space: str
    place: int
    take: Matrix

    def of(self, answers: Matrix) -> Matrix:
        """Return the number of each row (rows,)."""
        number: Matrix = answers @ self.take
        return number


def output_of(outcome: Outcome, about: str | None, answer: Matrix) -> Output:
    """Return what is to be explained of a row.

    Args:
        outcome: what the answers mean.
        about: a class or cluster, or the name of a series, or ``name + 3`` for its third step;
            None for the label that the row was given, the value, or the first series.
        answer: of the row (width,).

    Raises:
        InvalidInput: there is no such answer; the message lists them.
    """
    if isinstance(outcome, Forecast):
        return _of_series(outcome, about)
    if isinstance(outcome, Scores):
        _check(about, ("score",))
        return Output("score", "score of anomaly", 0, np.ones(1))
    names = outcome.names
    _check(about, names)
    if isinstance(outcome, Classes | Clusters):
        label = outcome.labels(answer[None])[0] if about is None else str(about)
        place = names.index(label)
        space = "probability" if isinstance(outcome, Classes) else "membership"
        return Output(label, space, place, np.eye(len(names))[place])
    place = 0 if about is None else names.index(str(about))
    return Output(names[place], "value", place, np.eye(outcome.width)[place])


def _check(about: str | None, names: tuple[str, ...]) -> None:
    if about is not None and str(about) not in names:
        raise InvalidInput(
            f"about={about!r} is nothing that the model answers; it answers: {', '.join(names)}"
        )


def _of_series(outcome: Forecast, about: str | None) -> Output:
    name, _, step = (about or outcome.names[0]).rpartition(" + ")
    if not name or not step.isdigit():
        name, step = about or outcome.names[0], ""
    if name not in outcome.names or (step and not 1 <= int(step) <= outcome.steps):
        raise InvalidInput(
            f"about={about!r} is nothing that the model forecasts; give a series such as "
            f"{outcome.names[0]!r}, or one of its {outcome.steps} steps as "
            f"'{outcome.names[0]} + {outcome.steps}'"
        )
    take = np.zeros((outcome.steps, len(outcome.names)))
    column = outcome.names.index(name)
    if step:
        take[int(step) - 1, column] = 1.0
    else:
        take[:, column] = 1 / outcome.steps
    said = f"{name} + {step}" if step else f"{name}, mean of {outcome.steps} steps"
    return Output(said, "value", column, take.reshape(-1))


class Score(Struct, frozen=True):
    """How a number is read from the scores of a sum, such as a forest's.

    Attributes:
        space: what the number is.
        take: weights of the scores (scores,).
        offset: added to them.
        of_answers: the same number, of answers (rows, width); NaN where a probability is too near
            to 0 or 1 for single precision to tell.
    """

    space: str
    take: Matrix
    offset: float
    of_answers: Callable[[Matrix], Matrix]


def score_of(link: Link, output: Output, scores: int, outcome: Outcome) -> Score:
    """Return how an output is read from scores, in the space where they add up.

    Args:
        link: what makes answers of scores.
        output: what is explained.
        scores: how many there are.
        outcome: what the answers mean.
    """
    place = output.place
    if link == "identity":
        return Score(output.space, output.take, 0.0, output.of)
    if scores == 1:
        # One score of two classes belongs to the second.
        sign = 1.0 if place == 1 else -1.0
        if link == "probability":
            return Score("probability", np.array([sign]), float(place == 0), output.of)
        return Score("log-odds", np.array([sign]), 0.0, lambda answers: _logits(answers, place))
    if link == "probability":
        return Score("probability", np.eye(scores)[place], 0.0, output.of)
    # Softmax forgets what all scores have in common, so it is taken out of them.
    take = np.eye(scores)[place] - 1 / scores
    return Score(
        "log-odds against the average class", take, 0.0, lambda answers: _logarithms(answers) @ take
    )


def _logits(answers: Matrix, place: int) -> Matrix:
    return log_ratio(answers, place, 1 - place)


def log_ratio(answers: Matrix, place: int, other: int) -> Matrix:
    """Return how much likelier one class is than another (rows,), as a logarithm."""
    logarithms = _logarithms(answers)
    ratio: Matrix = logarithms[:, place] - logarithms[:, other]
    return ratio


def _logarithms(answers: Matrix) -> Matrix:
    # Next to 1 single precision has steps of 6e-8, and what is left to 0 is made of them.
    near = (answers < _NEAR) | (answers > 1 - _NEAR)
    given: Matrix = np.log(np.where(near, np.nan, answers))
    return given


def plain(outcome: Any, answers: Matrix) -> dict[str, Any]:
    """Return one row's answer (1, width) as the endpoint gives it."""
    record: dict[str, Any] = outcome.records(outcome.labels(answers), answers)[0]
    return record
