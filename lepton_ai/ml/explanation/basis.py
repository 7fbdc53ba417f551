"""Basis: what a model's bundle holds so that its answers can be explained, as ``explanation.json``.

No row of the training is in it. Prototypes sum up at least ten rows each (the mean of numbers, the
commonest category that five of them share), and columns are described by quantiles and by the
categories that ten rows or more have; where rows belong to groups (patients), groups are counted.
"""

from typing import Literal, Self

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.core.errors import Corrupt
from lepton_ai.data.encoders import Array
from lepton_ai.ml.explanation.terms import Terms

__all__ = ["Basis", "ColumnSummary", "Value"]

Value = float | str | bool | None
Kind = Literal["number", "boolean", "date", "text"]


class ColumnSummary(Struct, frozen=True):
    """One column of the records that a model is asked about.

    Attributes:
        kind: of its values; dates are days since 1970-01-01 in UTC.
        prototypes: its value in each prototype; None where it is missing.
        low: the 1 % quantile of numbers and dates.
        high: the 99 % quantile.
        spread: the median distance to the median, or the deviation where that is zero.
        whole: whether all its numbers are whole.
        categories: the text that ten training rows or more have, the commonest first.
    """

    name: str
    kind: Kind
    prototypes: tuple[Value, ...]
    low: float = 0.0
    high: float = 0.0
    spread: float = 0.0
    whole: bool = False
    categories: tuple[str, ...] = ()


class Basis(Struct, frozen=True, kw_only=True):
    """What explanations of one model start from.

    Attributes:
        rows: how many training rows are summed up.
        weights: the share of the rows that each prototype stands for.
        mean: of each feature over the training rows (features,).
        columns: for tables, one for each column of a record.
        arrays: for other data, the prototypes (prototypes, places) as the encoding reads them; of
            windows, their features.
        terms: the model's own mathematics, where it is a sum of terms.
    """

    rows: int
    weights: tuple[float, ...]
    mean: Array
    columns: tuple[ColumnSummary, ...] = ()
    arrays: Array | None = None
    terms: Terms | None = None

    @property
    def shares(self) -> NDArray[np.float64]:
        """The weights as an array (prototypes,); their sum is 1."""
        return np.asarray(self.weights)

    def to_json(self) -> bytes:
        """Return the basis as JSON; equal ones give equal bytes."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a basis back.

        Raises:
            Corrupt: the bytes are no basis.
        """
        try:
            basis = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, ValueError) as error:
            raise Corrupt(f"not the basis of explanations: {error}") from error
        counts = {len(column.prototypes) for column in basis.columns}
        counts |= set() if basis.arrays is None else {basis.arrays.shape[0]}
        if counts != {len(basis.weights)}:
            raise Corrupt("the basis of explanations has prototypes and weights that do not fit")
        return basis
