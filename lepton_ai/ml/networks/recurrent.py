"""Recurrent networks for series: classes, values, and the remaining useful life of a machine.

A row folds to ``shape=(steps, channels)``, oldest step first; a row without a second axis is a
series of one channel.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network
from lepton_ai.ml.networks.sequence import as_sequence, channels_of
from lepton_ai.ml.networks.supervised import NetworkClassifier, NetworkRegressor

__all__ = ["RecurrentClassifier", "RecurrentRegressor", "RemainingLifeRegressor"]

CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class _Recurrent(nn.Module):
    """Reads a series and answers from its last state and the mean of all states."""

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, cell: str, width: int, depth: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cells = CELLS[cell](
            channels_of(shape), width, depth, batch_first=True,
            dropout=dropout if depth > 1 else 0.0,
        )  # fmt: skip
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, outputs),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (rows, outputs) of series (rows, \\*shape)."""
        states, _ = self.cells(as_sequence(inputs))
        answer: Tensor = self.head(torch.cat([states[:, -1], states.mean(dim=1)], dim=1))
        return answer


class _Within(nn.Module):
    """Answers between 0 and 1; while learning beyond them too, where there are gradients."""

    def forward(self, outputs: Tensor) -> Tensor:
        """Return outputs of the same shape."""
        return outputs if self.training else outputs.clamp(0, 1)


@dataclass(kw_only=True, eq=False, repr=False)
class _RecurrentNetwork(Network):
    cell: str = "lstm"
    width: int = 32
    depth: int = 1
    dropout: float = 0.2

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return _Recurrent(
            shape,
            outputs,
            cell=self.cell,
            width=self.width,
            depth=self.depth,
            dropout=self.dropout,
        )

    def _check(self) -> None:
        super()._check()
        if self.cell not in CELLS:
            raise InvalidInput(f"cell {self.cell!r} is unknown; known: {', '.join(CELLS)}")
        if self.width < 1 or self.depth < 1 or not 0 <= self.dropout < 1:
            raise InvalidInput(
                "width and depth must be 1 or more and dropout from 0 to below 1; "
                f"got {self.width}, {self.depth} and {self.dropout}"
            )


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentClassifier(_RecurrentNetwork, NetworkClassifier):
    """A recurrent network that tells classes of series apart.

    Args:
        cell: ``lstm`` (Hochreiter and Schmidhuber, 1997) or ``gru`` (Cho et al., 2014).
        width: of the state.
        depth: layers of cells.
        dropout: share of hidden values set to zero while learning.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentRegressor(_RecurrentNetwork, NetworkRegressor):
    """A recurrent network that gives values of series.

    Args:
        cell: ``lstm`` (Hochreiter and Schmidhuber, 1997) or ``gru`` (Cho et al., 2014).
        width: of the state.
        depth: layers of cells.
        dropout: share of hidden values set to zero while learning.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Columns in any order, as scikit-learn's checks have them, are no series.
        tags.regressor_tags.poor_score = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class RemainingLifeRegressor(RecurrentRegressor):
    """A recurrent network that gives the remaining useful life of a machine.

    Long before a failure nothing in the sensors tells how far off it is: lives are learned only
    up to `longest` (the piecewise linear target of Heimes, 2008), and answers lie between 0 and
    the longest life that was learned.

    Args:
        cell: ``lstm`` (Hochreiter and Schmidhuber, 1997) or ``gru`` (Cho et al., 2014).
        width: of the state.
        depth: layers of cells.
        dropout: share of hidden values set to zero while learning.
        longest: life, in the unit of the target, from which on all lives count as equal.
    """

    longest: float = 125.0

    def _fit(
        self, features: NDArray[np.float32], targets: NDArray[np.float32], **given: Any
    ) -> None:
        if targets.min() < 0:
            raise InvalidInput(
                f"a remaining life is never negative; y holds {targets.min():g}; count down to 0 "
                "at the failure"
            )
        super()._fit(features, np.minimum(targets, np.float32(self.longest)), **given)

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        return nn.Sequential(super()._body(shape, outputs), _Within())

    def _target_moments(
        self, targets: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        longest = targets.max(axis=0)
        return np.zeros_like(longest), np.where(longest > 0, longest, np.float32(1))

    def _check(self) -> None:
        super()._check()
        if not self.longest > 0:
            raise InvalidInput(f"longest must be above 0; got {self.longest!r}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags
