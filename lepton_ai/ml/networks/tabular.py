"""Networks for rows of a table: a residual multilayer perceptron and a 1-D convolution."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.core.errors import InvalidInput
from lepton_ai.ml.networks.network import Network, NetworkClassifier, NetworkRegressor

__all__ = [
    "PerceptronClassifier",
    "PerceptronRegressor",
]


class _ResidualLayer(nn.Module):
    """Norm, wider layer, ReLU, back, added to the input (Gorishniy et al., 2021)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return hidden values of the same shape (rows, width)."""
        hidden = self.dropout(functional.relu(self.widen(self.norm(inputs))))
        narrowed: Tensor = self.narrow(hidden)
        return inputs + narrowed


@dataclass(kw_only=True, eq=False, repr=False)
class _Perceptron(Network):
    width: int = 64
    depth: int = 2
    dropout: float = 0.1

    def _body(self, shape: tuple[int, ...], outputs: int) -> nn.Module:
        _check_sizes(self.width, self.depth, self.dropout)
        features = int(torch.Size(shape).numel())
        layers = [_ResidualLayer(self.width, self.dropout) for _ in range(self.depth)]
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, self.width),
            *layers,
            nn.LayerNorm(self.width),
            nn.ReLU(),
            nn.Linear(self.width, outputs),
        )


@dataclass(kw_only=True, eq=False, repr=False)
class PerceptronClassifier(_Perceptron, NetworkClassifier):
    """A multilayer perceptron with residual layers that tells classes apart.

    Args:
        width: of each layer.
        depth: number of residual layers.
        dropout: share of hidden values set to zero while learning.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class PerceptronRegressor(_Perceptron, NetworkRegressor):
    """A multilayer perceptron with residual layers that gives values.

    Args:
        width: of each layer.
        depth: number of residual layers.
        dropout: share of hidden values set to zero while learning.
    """


def _check_sizes(width: int, depth: int, dropout: float) -> None:
    if width < 1 or depth < 1 or not 0 <= dropout < 1:
        raise InvalidInput(
            "width and depth must be 1 or more and dropout from 0 to below 1; "
            f"got {width}, {depth} and {dropout}"
        )
