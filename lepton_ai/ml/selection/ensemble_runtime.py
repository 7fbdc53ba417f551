"""Ensembles in their members' own formats, each loaded by its own runtime."""

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from lepton_ai.ml.runtimes.runtime import Refused, load_runtime
from lepton_ai.ml.task import CLASSIFICATION, Task

__all__ = ["EnsembleRuntime", "Kept"]

_MOST_MEMBERS = 64


class Kept(Struct, frozen=True):
    """One member as it is stored.

    Attributes:
        weight: of its answers; those of all members sum to 1.
        format: a key of `lepton_ai.ml.runtimes.runtime.FORMATS`.
        data: the member in that format.
    """

    weight: float
    format: str
    data: bytes


class EnsembleRuntime:
    """Averages what the members' runtimes answer."""

    def __init__(self, data: bytes, task: Task = CLASSIFICATION) -> None:
        """Load every member.

        Raises:
            Refused: there are too many, one is itself an ensemble, or one is refused.
        """
        kept = msgspec.msgpack.decode(data, type=list[Kept])
        if not 0 < len(kept) <= _MOST_MEMBERS or any(each.format == "ensemble" for each in kept):
            raise Refused(
                f"an ensemble holds 1 to {_MOST_MEMBERS} models, none of them an ensemble"
            )
        self._members = [(each.weight, load_runtime(each.format, each.data, task)) for each in kept]

    def run(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers (rows, width) to features (rows, features)."""
        answers: NDArray[np.float64] = sum(
            (weight * member.run(matrix) for weight, member in self._members), start=np.zeros(1)
        )
        return answers
