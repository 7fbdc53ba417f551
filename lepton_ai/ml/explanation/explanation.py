"""Explanation: why a model gave one answer, as data that shows itself."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, to_builtins
from numpy.typing import NDArray

from lepton_ai.ml.explanation.basis import Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import Group

__all__ = ["Contribution", "Evidence", "Explanation", "Heat", "PathStep"]


class Contribution(Struct, frozen=True):
    """What one column adds to an answer.

    Attributes:
        column: of the user's own data, or a region of an image.
        value: that the record has there; None where it is missing, or a region.
        contribution: in the explanation's space.
        error: standard error, where contributions were sampled.
    """

    column: str
    value: Value = None
    contribution: float = 0.0
    error: float | None = None


class PathStep(Struct, frozen=True):
    """One question of a decision tree, and its answer.

    Attributes:
        rule: that holds of the row, such as ``age <= 35``.
        value: of the feature that was asked about, in the user's units.
    """

    rule: str
    value: float


class Evidence(Struct, frozen=True):
    """What naive Bayes has for one class: prior times likelihoods, as logarithms.

    Attributes:
        label: the class.
        prior: logarithm of its share.
        likelihoods: logarithm of each column's likelihood in it.
        joint: their sum: the logarithm of the posterior, up to what all classes share.
        probability: the posterior, the sum over all classes being 1.
    """

    label: str
    prior: float
    likelihoods: dict[str, float]
    joint: float
    probability: float


class Heat(Struct, frozen=True):
    """Contributions over an image, or over the steps and sensors of a series.

    Attributes:
        shape: (height, width), (depth, height, width), or (steps, sensors).
        values: what each place adds, flattened; for Grad-CAM how much it counts, 0 to 1.
        picture: what was seen there, 0 to 1, flattened.
        sensors: the names along the last axis, for series.
        activation: Grad-CAM (Selvaraju et al., 2017), 0 to 1, of the same shape, where there is
            one: where the last convolution saw what speaks for the answer.
    """

    shape: tuple[int, ...]
    values: list[float]
    picture: list[float]
    sensors: tuple[str, ...] = ()
    activation: list[float] | None = None

    def array(self, name: str = "values") -> NDArray[np.float64]:
        """Return one of the attributes in its shape."""
        return np.asarray(getattr(self, name), dtype=np.float64).reshape(self.shape)


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a model gave an answer: a base, and what each column adds to it.

    ``base`` and the contributions add up to ``answer``.

    Attributes:
        model: its reference, such as ``risk:3``.
        method: how contributions were found.
        about: the class, cluster, value or series that is explained.
        space: what the numbers are: ``probability``, ``log-odds``, ``value`` and the like.
        answer: the model's answer, in that space.
        base: the answer where nothing is known of the row: over the prototypes of training, at
            their mean, or by the prior.
        contributions: the largest first.
        prediction: what the endpoint answers for the row.
        prediction_id: of the receipt, where an endpoint was asked.
        gap: what base and contributions lack to the answer of the served form.
        path: of a decision tree, the questions on the way to its leaf.
        evidence: of naive Bayes, prior and likelihoods of each class.
        heat: of images and series, the contributions as a picture.
        notes: what a reader should know.
    """

    model: str
    method: str
    about: str
    space: str
    answer: float
    base: float
    contributions: tuple[Contribution, ...]
    prediction: dict[str, Any]
    prediction_id: str = ""
    gap: float = 0.0
    path: tuple[PathStep, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    heat: Heat | None = None
    notes: tuple[str, ...] = ()

    def __getitem__(self, column: str) -> float:
        """Return the contribution of a column.

        Raises:
            KeyError: there is no such column.
        """
        return {item.column: item.contribution for item in self.contributions}[column]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        values: dict[str, Any] = to_builtins(self)
        return values

    def plots(self) -> "dict[str, Figure]":
        """Return the plots by name: contributions, and for images and series the picture."""
        from lepton_ai.ml.explanation import plots

        found = {"contributions": plots.contributions(self)}
        if self.heat is not None:
            found["heat"] = plots.heat(self)
        return found

    def save_plots(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Draw every plot into a folder, as PNG, and return the files."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        files = []
        for name, figure in self.plots().items():
            files.append(target / f"{name}.png")
            figure.savefig(files[-1])
        return files

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the explanation as one page of HTML that needs nothing else."""
        from lepton_ai.ml.explanation import rendering

        target = Path(path)
        target.write_text(rendering.page(self), encoding="utf-8")
        return target

    def __str__(self) -> str:
        from lepton_ai.ml.explanation import rendering

        return rendering.text(self)

    def __rich__(self) -> "Group":
        from lepton_ai.ml.explanation import rendering

        return rendering.terminal(self)

    def _repr_html_(self) -> str:
        from lepton_ai.ml.explanation import rendering

        return rendering.html(self)
