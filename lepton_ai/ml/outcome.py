"""Outcome: what the columns of a model's answers mean, one class for each task.

Every form of a model gives float64 answers (rows, width). Its outcome names them: as tensors of the
Open Inference Protocol, as plain records, and as what `Model.predict` returns.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.bundle.signature import Field
from lepton_ai.ml.evaluation.metrics import winners
from lepton_ai.ml.evaluation.recalibration import Recalibration
from lepton_ai.ml.evaluation.thresholds import CostRule

__all__ = ["Classes", "Clusters", "Forecast", "Outcome", "Scores", "Values"]

Answers = NDArray[np.float64]


class _Named(Struct, frozen=True, tag_field="task"):
    """Answers that are a share for each of some names; the largest share gives the label."""

    names: tuple[str, ...]

    shares: ClassVar[str] = "probabilities"

    @property
    def width(self) -> int:
        """The columns of the answers."""
        return len(self.names)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The output tensors: ``label`` (rows), and the shares (rows, names)."""
        return (Field("label", "BYTES", (-1,)), Field(self.shares, "FP64", (-1, self.width)))

    def labels(self, answers: Answers) -> list[str]:
        """Return the name of the largest share of each row; of equals, the first."""
        return [self.names[code] for code in winners(answers)]

    def predicted(self, answers: Answers) -> NDArray[Any]:
        """Return the label of each row, as text (rows,)."""
        return np.array(self.labels(answers), dtype=str)

    def tensors(self, labels: Sequence[str], answers: Answers) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name."""
        return {"label": _text(labels), self.shares: answers}

    def records(self, labels: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
        """Return each row as plain values."""
        return [
            {"label": label, self.shares: dict(zip(self.names, row, strict=True))}
            for label, row in zip(labels, answers.tolist(), strict=True)
        ]


class Classes(_Named, frozen=True, tag="classification"):
    """A probability for each class.

    Attributes:
        names: of the classes, by code.
        positive: of two classes, the one that a threshold is about.
        threshold: the probability from which on a row is labelled ``positive``; None for one half.
        costs: of more than two classes, what labels are to cost least by.
        recalibration: the map from the model's probabilities to those that it answers with.
    """

    positive: str | None = None
    threshold: float | None = None
    costs: CostRule | None = None
    recalibration: Recalibration | None = None

    def settled(self, answers: Answers) -> Answers:
        """Return the model's probabilities as they are answered: recalibrated, if at all."""
        return answers if self.recalibration is None else self.recalibration.apply(answers)

    def labels(self, answers: Answers) -> list[str]:
        """Return the most probable class of each row, or what threshold or costs make of it."""
        if self.costs is not None:
            return [self.names[code] for code in self.costs.apply(answers)]
        if self.threshold is None or self.positive is None:
            return super().labels(answers)
        place = self.names.index(self.positive)
        other = self.names[1 - place]
        return [self.positive if share >= self.threshold else other for share in answers[:, place]]


class Clusters(_Named, frozen=True, tag="clustering"):
    """A membership for each cluster, and for ``noise`` where the method knows it."""

    shares: ClassVar[str] = "memberships"


class Values(Struct, frozen=True, tag_field="task", tag="regression"):
    """A value.

    Attributes:
        names: what is predicted: the target.
        reach: half the width of the interval around a value; None where it was not measured.
        level: the share of intervals that hold the truth.
    """

    names: tuple[str, ...]
    reach: float | None = None
    level: float | None = None

    @property
    def width(self) -> int:
        """The columns of the answers."""
        return len(self.names)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The output tensors: ``value`` (rows), with ``low`` and ``high`` where they are known."""
        names = ("value",) if self.reach is None else ("value", "low", "high")
        return tuple(Field(name, "FP64", (-1,)) for name in names)

    def labels(self, answers: Answers) -> list[str]:
        """Return nothing: a value is no label."""
        return []

    def predicted(self, answers: Answers) -> NDArray[Any]:
        """Return the value of each row (rows,)."""
        return answers[:, 0]

    def tensors(self, labels: Sequence[str], answers: Answers) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name."""
        value = answers[:, 0]
        if self.reach is None:
            return {"value": value}
        return {"value": value, "low": value - self.reach, "high": value + self.reach}

    def records(self, labels: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
        """Return each row as plain values."""
        columns = {name: each.tolist() for name, each in self.tensors(labels, answers).items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


class Scores(Struct, frozen=True, tag_field="task", tag="detection"):
    """A score, higher for what is stranger.

    Attributes:
        threshold: the score from which on a row is labelled ``anomaly``.
        contamination: the share of the training rows that have such a score.
    """

    threshold: float
    contamination: float

    width: ClassVar[int] = 1
    names: ClassVar[tuple[str, ...]] = ("normal", "anomaly")
    fields: ClassVar[tuple[Field, ...]] = (
        Field("label", "BYTES", (-1,)),
        Field("score", "FP64", (-1,)),
    )

    def labels(self, answers: Answers) -> list[str]:
        """Return ``anomaly`` or ``normal`` for each row."""
        return [self.names[int(score >= self.threshold)] for score in answers[:, 0]]

    def predicted(self, answers: Answers) -> NDArray[Any]:
        """Return the label of each row, as text (rows,)."""
        return np.array(self.labels(answers), dtype=str)

    def tensors(self, labels: Sequence[str], answers: Answers) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name."""
        return {"label": _text(labels), "score": answers[:, 0]}

    def records(self, labels: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
        """Return each row as plain values."""
        return [
            {"label": label, "score": score}
            for label, score in zip(labels, answers[:, 0].tolist(), strict=True)
        ]


class Forecast(Struct, frozen=True, tag_field="task", tag="forecasting"):
    """The next steps of each series.

    Attributes:
        names: of the series.
        steps: how many steps ahead; the answers' columns are (steps, series), flattened.
        season: steps of a day, where the model knows the time of day.
    """

    names: tuple[str, ...]
    steps: int
    season: int | None = None

    @property
    def width(self) -> int:
        """The columns of the answers."""
        return self.steps * len(self.names)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The output tensor: ``forecast`` (rows, steps, series)."""
        return (Field("forecast", "FP64", (-1, self.steps, len(self.names))),)

    def labels(self, answers: Answers) -> list[str]:
        """Return nothing: a forecast is no label."""
        return []

    def predicted(self, answers: Answers) -> NDArray[Any]:
        """Return the forecasts (rows, steps, series)."""
        return answers.reshape(-1, self.steps, len(self.names))

    def tensors(self, labels: Sequence[str], answers: Answers) -> dict[str, NDArray[Any]]:
        """Return the output tensors by name."""
        return {"forecast": self.predicted(answers)}

    def records(self, labels: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
        """Return each row as plain values: the steps of each series, by its name."""
        return [
            {"forecast": dict(zip(self.names, row.T.tolist(), strict=True))}
            for row in self.predicted(answers)
        ]


Outcome = Classes | Clusters | Values | Scores | Forecast


def _text(labels: Sequence[str]) -> NDArray[Any]:
    """Labels as a BYTES tensor (rows,)."""
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array
